//! [`SimulatedAlchemist`]: forms without a model.

use std::time::Duration;

use bytes::Bytes;
use image::{DynamicImage, GenericImageView as _, Rgba, imageops::FilterType};
use muster_protocol::alchemy::Form;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::look::Look;
use crate::backend::{AlchemyBackend, BackendError, FormJob, FormProduct, Progress};

/// The longest side of a WebP picture.
const LONGEST_SIDE: u32 = 16_383;
/// How far a colour may be from that of the border to count as background, in each channel.
const LIKE_THE_BORDER: i16 = 32;

/// The backend that enlarges pictures for real and otherwise only tells what can be seen without a model.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedAlchemist {
    /// How long a form takes at least.
    pub time: Duration,
}

impl Default for SimulatedAlchemist {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
        }
    }
}

impl AlchemyBackend for SimulatedAlchemist {
    async fn transform(&self, job: &FormJob, progress: &Progress<'_>) -> Result<FormProduct, BackendError> {
        let end = Instant::now() + self.time;
        let (form, picture) = (job.form, job.picture.clone());
        let product = tokio::task::spawn_blocking(move || transform(form, &picture))
            .await
            .map_err(|error| BackendError::Failed(error.to_string()))??;
        tokio::time::sleep_until(end).await;
        progress(1.0);
        Ok(product)
    }
}

/// Does a form. Takes up to seconds of computing; not for async threads.
fn transform(form: Form, picture: &[u8]) -> Result<FormProduct, BackendError> {
    let picture = image::load_from_memory(picture)
        .map_err(|error| BackendError::Unusable(format!("its picture cannot be read: {error}")))?;
    if form.post_processor().is_none() {
        return Ok(FormProduct::Finding(find_out(form, &Look::at(&picture))));
    }
    let made = match form {
        Form::StripBackground => without_background(&picture),
        // Faces are left as they are.
        Form::GFPGAN | Form::GFPGANv1_3 | Form::CodeFormers | Form::RestoreFormer => picture,
        upscaler => enlarged(&picture, factor(upscaler))?,
    };
    encode(&made).map(FormProduct::Picture)
}

/// What a form finds out.
fn find_out(form: Form, look: &Look) -> Value {
    match form {
        Form::Nsfw => json!(false),
        Form::Vectorize => json!(look.svg()),
        Form::Palette => {
            let colours = look.palette().into_iter();
            colours
                .map(|(colour, share)| json!({"color": colour, "share": share}))
                .collect()
        }
        Form::Aesthetic => json!((look.contrast() * 20.0).min(10.0)),
        Form::Interrogation => {
            let tags: Vec<Value> = look
                .words()
                .into_iter()
                .map(|word| json!({"text": word, "confidence": 1.0}))
                .collect();
            json!({"tags": tags, "sites": [], "artists": [], "flavors": [], "mediums": [], "movements": [],
                "techniques": []})
        }
        _ => json!(look.caption()),
    }
}

/// How much larger an upscaler makes a picture. All that are known name it, but two, which do four times.
fn factor(upscaler: Form) -> u32 {
    match upscaler {
        Form::RealESRGAN_x2plus | Form::ModernSpanimation2x => 2,
        _ => 4,
    }
}

fn enlarged(picture: &DynamicImage, factor: u32) -> Result<DynamicImage, BackendError> {
    let (width, height) = picture.dimensions();
    let size = (width.saturating_mul(factor), height.saturating_mul(factor));
    if size.0.max(size.1) > LONGEST_SIDE {
        return Err(BackendError::Unusable(format!(
            "{}×{} is no size for a picture",
            size.0, size.1
        )));
    }
    Ok(picture.resize_exact(size.0, size.1, FilterType::Lanczos3))
}

/// Makes transparent what has the colour of the upper left corner.
fn without_background(picture: &DynamicImage) -> DynamicImage {
    let mut picture = picture.to_rgba8();
    let Some(border) = picture.pixels().next().copied() else {
        return picture.into();
    };
    for Rgba(pixel) in picture.pixels_mut() {
        let near = |channel: usize| {
            (i16::from(pixel[channel]) - i16::from(border.0[channel])).abs() <= LIKE_THE_BORDER
        };
        if near(0) && near(1) && near(2) {
            pixel[3] = 0;
        }
    }
    picture.into()
}

fn encode(picture: &DynamicImage) -> Result<Bytes, BackendError> {
    let failed = |what: String| BackendError::Failed(format!("WebP encoding: {what}"));
    let picture: DynamicImage = if picture.color().has_alpha() {
        picture.to_rgba8().into()
    } else {
        picture.to_rgb8().into()
    };
    let encoder = webp::Encoder::from_image(&picture).map_err(|error| failed(error.to_owned()))?;
    let file = encoder
        .encode_simple(false, 90.0)
        .map_err(|error| failed(format!("{error:?}")))?;
    Ok(Bytes::copy_from_slice(&file))
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, RgbImage};
    use strum::IntoEnumIterator as _;

    use super::*;

    /// A blue picture with a red square in its middle.
    fn picture(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(48, 32, |x, y| {
            let middle = (16..32).contains(&x) && (8..24).contains(&y);
            Rgb(if middle { [220, 30, 30] } else { [20, 30, 200] })
        });
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn product(form: Form) -> FormProduct {
        transform(form, &picture(ImageFormat::Png)).unwrap()
    }

    fn made(form: Form) -> DynamicImage {
        match product(form) {
            FormProduct::Picture(file) => {
                image::load_from_memory_with_format(&file, ImageFormat::WebP).unwrap()
            }
            FormProduct::Finding(finding) => panic!("{form}: {finding}"),
        }
    }

    fn found(form: Form) -> Value {
        match product(form) {
            FormProduct::Finding(finding) => finding,
            FormProduct::Picture(_) => panic!("{form}: a picture"),
        }
    }

    #[test]
    fn every_form_is_done_and_repeats_itself() {
        for form in Form::iter() {
            let made = product(form);
            assert_eq!(
                matches!(made, FormProduct::Picture(_)),
                form.post_processor().is_some(),
                "{form}"
            );
            assert_eq!(made, product(form), "{form}");
        }
    }

    #[test]
    fn upscalers_enlarge() {
        assert_eq!(made(Form::RealESRGAN_x4plus).dimensions(), (192, 128));
        assert_eq!(made(Form::RealESRGAN_x2plus).dimensions(), (96, 64));
        assert_eq!(made(Form::GFPGAN).dimensions(), (48, 32));
        assert!(enlarged(&DynamicImage::new_rgb8(5000, 1), 4).is_err());
    }

    #[test]
    fn the_background_goes_and_the_rest_stays() {
        let picture = made(Form::StripBackground).to_rgba8();
        assert_eq!(picture.get_pixel(0, 0).0[3], 0);
        assert_eq!(picture.get_pixel(24, 16).0[3], 255);
    }

    #[test]
    fn what_is_told_is_what_is_seen() {
        assert_eq!(
            found(Form::Caption),
            "a dark, flat, bluish, wide picture of 48x32 pixels (simulated)"
        );
        assert_eq!(found(Form::Nsfw), false);
        assert_eq!(found(Form::Interrogation)["tags"][2]["text"], "bluish");
        let palette = found(Form::Palette);
        assert_eq!(palette[0]["color"], "#1515c1");
        assert!(found(Form::Vectorize).as_str().unwrap().starts_with("<svg "));
        let beauty = found(Form::Aesthetic).as_f64().unwrap();
        assert!((0.0..=10.0).contains(&beauty));
    }

    #[test]
    fn pictures_of_all_kinds_are_read_and_others_refused() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            assert!(transform(Form::Caption, &picture(format)).is_ok());
        }
        assert!(matches!(
            transform(Form::Caption, b"no picture"),
            Err(BackendError::Unusable(_))
        ));
    }
}
