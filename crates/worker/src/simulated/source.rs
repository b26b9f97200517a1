//! [`Source`]: the picture that a simulated one starts from.

use bytes::Bytes;
use muster_protocol::image::SourceProcessing;

use super::canvas::{Canvas, Color};
use crate::backend::{BackendError, Job};

/// How much of the source image is redrawn unless the job says so.
const USUAL_STRENGTH: f64 = 0.75;

/// The picture that a simulated one starts from.
#[derive(Clone, Debug)]
pub struct Source {
    image: Bytes,
    mask: Option<Bytes>,
    /// How much of it is redrawn, from 0 to 1.
    strength: f32,
    /// Only what the mask, or transparency, marks is redrawn.
    painting: bool,
}

/// A decoded WebP file, seen through the pixels of another size.
struct Pixels<'a> {
    picture: &'a webp::WebPImage,
    size: (u32, u32),
}

impl Source {
    /// The source image of a job, if it has one.
    pub fn of(job: &Job) -> Option<Self> {
        let image = job.source_image.clone()?;
        Some(Self {
            image,
            mask: job.source_mask.clone(),
            strength: job.payload.denoising_strength.unwrap_or(USUAL_STRENGTH) as f32,
            painting: matches!(
                job.source_processing,
                SourceProcessing::Inpainting | SourceProcessing::Outpainting
            ),
        })
    }

    /// Lets the source image shine through what was drawn.
    pub(super) fn apply(&self, canvas: &mut Canvas) -> Result<(), BackendError> {
        let size = (canvas.width(), canvas.height());
        let image = decode(&self.image)?;
        let mask = self.mask.as_ref().map(decode).transpose()?;
        let image = Pixels {
            picture: &image,
            size,
        };
        let mask = mask.as_ref().map(|picture| Pixels { picture, size });
        for y in 0..size.1 {
            for x in 0..size.0 {
                let [red, green, blue, alpha] = image.at(x, y);
                let marked = mask.as_ref().map_or(1.0 - alpha, |mask| mask.brightness(x, y));
                let kept = if self.painting {
                    1.0 - marked
                } else {
                    1.0 - self.strength
                };
                canvas.blend(x, y, Color { red, green, blue }, kept);
            }
        }
        Ok(())
    }
}

fn decode(file: &Bytes) -> Result<webp::WebPImage, BackendError> {
    webp::Decoder::new(file)
        .decode()
        .ok_or_else(|| BackendError::Unusable("a source image is no WebP file".to_owned()))
}

impl Pixels<'_> {
    /// Red, green, blue and alpha, from 0 to 1.
    fn at(&self, x: u32, y: u32) -> [f32; 4] {
        let (width, height) = (self.picture.width(), self.picture.height());
        let scaled = |place: u32, from: u32, to: u32| u64::from(place) * u64::from(to) / u64::from(from);
        let (column, row) = (scaled(x, self.size.0, width), scaled(y, self.size.1, height));
        let bytes = if self.picture.is_alpha() { 4 } else { 3 };
        let at = (row * u64::from(width) + column) as usize * bytes;
        let value = |index: usize| f32::from(self.picture[at + index]) / 255.0;
        let alpha = if bytes == 4 { value(3) } else { 1.0 };
        [value(0), value(1), value(2), alpha]
    }

    fn brightness(&self, x: u32, y: u32) -> f32 {
        let [red, green, blue, _] = self.at(x, y);
        (red + green + blue) / 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::draw;

    const SIZE: (u32, u32) = (64, 64);

    /// A picture whose left half has one grey and whose right half another.
    fn halves(left: u8, right: u8) -> Bytes {
        let pixels: Vec<u8> = (0..16 * 16)
            .flat_map(|at| [if at % 16 < 8 { left } else { right }; 3])
            .collect();
        Bytes::copy_from_slice(&webp::Encoder::from_rgb(&pixels, 16, 16).encode_lossless())
    }

    fn source(strength: f32, painting: bool) -> Source {
        Source {
            image: halves(255, 255),
            mask: painting.then(|| halves(255, 0)),
            strength,
            painting,
        }
    }

    /// The mean brightness of the upper part of a half.
    fn brightness(file: &Bytes, left: bool) -> f32 {
        let picture = webp::Decoder::new(file).decode().unwrap();
        let of_half = |at: usize| (at % 64 < 32) == left;
        let values: Vec<f32> = (0..64 * 32)
            .filter(|at| of_half(*at))
            .map(|at| {
                f32::from(picture[at * 3]) + f32::from(picture[at * 3 + 1]) + f32::from(picture[at * 3 + 2])
            })
            .collect();
        values.iter().sum::<f32>() / values.len() as f32 / 3.0
    }

    #[test]
    fn the_less_is_redrawn_the_more_of_the_source_is_seen() {
        let drawn = |strength| draw("night", 3, SIZE, Some(&source(strength, false))).unwrap();
        let seen = [1.0, 0.5, 0.1].map(|strength| brightness(&drawn(strength), true));
        assert!(
            seen[0] < seen[1] && seen[1] < seen[2] && seen[2] > 220.0,
            "{seen:?}"
        );
        assert_eq!(drawn(0.5), drawn(0.5));
        assert_eq!(drawn(1.0), draw("night", 3, SIZE, None).unwrap());
    }

    #[test]
    fn painting_keeps_what_the_mask_does_not_mark() {
        let painted = draw("night", 3, SIZE, Some(&source(0.2, true))).unwrap();
        assert!(brightness(&painted, false) > 245.0);
        let plain = draw("night", 3, SIZE, None).unwrap();
        assert!((brightness(&painted, true) - brightness(&plain, true)).abs() < 8.0);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let broken = Source {
            image: Bytes::from_static(b"hello"),
            ..source(0.5, false)
        };
        assert!(matches!(
            draw("x", 1, SIZE, Some(&broken)),
            Err(BackendError::Unusable(_))
        ));
    }
}
