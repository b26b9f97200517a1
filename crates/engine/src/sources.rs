//! One picture that a client sends, as base64 or as an address, on its way into the horde (spec: image, section
//! 5.8; alchemy, section A4).

use std::time::Duration;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use muster_protocol::ReturnCode;

use crate::{
    Engine, EngineError,
    error::Result,
    outbound::OutboundError,
    pictures::{self, PictureError},
};

/// How well source images are kept.
const QUALITY: f32 = 50.0;
/// The most bytes that are fetched from an address.
const FETCH_LIMIT: usize = 5000 * 1024;
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// The most pixels that a picture in the request itself may have.
const MOST_PIXELS: u64 = 3072 * 3072;
/// Base64 as people send it, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Engine {
    /// Fetches a picture from where its client says it is.
    ///
    /// # Errors
    /// `SourceImageSizeExceeded`; `ImageValidationFailed` if nothing can be fetched there.
    pub(crate) async fn fetch_source(&self, url: &str) -> Result<Bytes> {
        let fetched = self.outbound.fetch(url, FETCH_LIMIT, FETCH_TIMEOUT).await;
        fetched.map_err(|error| match error {
            OutboundError::TooLarge(_) => refusal(
                ReturnCode::SourceImageSizeExceeded,
                "a picture behind an address has at most 5000 kB",
            ),
            other => refusal(ReturnCode::ImageValidationFailed, other),
        })
    }
}

/// Reads a picture that was fetched.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_fetched(bytes: &[u8]) -> Result<image::DynamicImage> {
    pictures::decode(bytes, None).map_err(|error| refusal(fetched_refusal(error), error))
}

/// The size of a picture that was fetched; nothing is decoded.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn size_of_fetched(bytes: &[u8]) -> Result<(u32, u32)> {
    pictures::size(bytes).map_err(|error| refusal(fetched_refusal(error), error))
}

/// Reads a picture that was sent as base64.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_sent(text: &str) -> Result<image::DynamicImage> {
    let bytes = from_base64(text)?;
    pictures::decode(&bytes, Some(MOST_PIXELS)).map_err(|error| refusal(sent_refusal(error), error))
}

/// A picture in the form in which it is kept.
///
/// # Errors
/// It cannot be encoded.
pub(crate) fn encode(picture: &image::DynamicImage) -> Result<Bytes> {
    pictures::encode(picture, QUALITY).map_err(|error| refusal(ReturnCode::SourceImageUnreadable, error))
}

/// The bytes of a picture in base64. What does not belong there (line breaks, a data URI's prefix) is passed
/// over.
fn from_base64(text: &str) -> Result<Vec<u8>> {
    let text = match text.split_once("base64,") {
        Some((prefix, rest)) if prefix.starts_with("data:") => rest,
        _ => text,
    };
    let significant: Vec<u8> = text
        .bytes()
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
        .collect();
    LENIENT.decode(significant).map_err(|_| {
        refusal(
            ReturnCode::ImageValidationFailed,
            "it is neither an address nor a picture in base64",
        )
    })
}

/// What is wrong with a picture behind an address.
fn fetched_refusal(error: PictureError) -> ReturnCode {
    match error {
        PictureError::UnknownFormat => ReturnCode::SourceImageUrlInvalid,
        PictureError::TooLarge => ReturnCode::SourceImageResolutionExceeded,
        PictureError::Empty | PictureError::Unreadable => ReturnCode::SourceImageUnreadable,
    }
}

/// What is wrong with a picture in the request itself.
fn sent_refusal(error: PictureError) -> ReturnCode {
    match error {
        PictureError::TooLarge => ReturnCode::SourceImageResolutionExceeded,
        _ => ReturnCode::ImageValidationFailed,
    }
}

/// A picture that is refused, and why.
pub(crate) fn refusal(code: ReturnCode, why: impl std::fmt::Display) -> EngineError {
    EngineError::refused(code, format!("The source image was refused: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_people_send_it() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8",
            " aGVs\nbG8=\0",
            "data:image/png;base64,aGVsbG8=",
            "aGVs*bG8=",
        ] {
            assert_eq!(from_base64(text).unwrap(), b"hello", "{text}");
        }
        assert!(from_base64("a").is_err());
        assert!(from_base64("=aGVsbG8").is_err());
    }

    /// A small picture of every format that is read, with a few bytes changed and its end cut off.
    fn damaged() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use image::ImageFormat as F;
        use proptest::prelude::*;
        let formats = [F::Png, F::Jpeg, F::Gif, F::WebP, F::Bmp, F::Tiff];
        let pictures: Vec<Vec<u8>> = formats
            .into_iter()
            .map(|format| {
                let picture =
                    image::RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 9) as u8, (y * 9) as u8, 7]));
                let mut bytes = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut bytes, format).unwrap();
                bytes.into_inner()
            })
            .collect();
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
        let kept = prop_oneof![3 => Just(1.0), 1 => 0.0..1.0];
        (proptest::sample::select(pictures), changes, kept).prop_map(|(mut bytes, changes, kept)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate((bytes.len() as f64 * kept) as usize);
            bytes
        })
    }

    proptest::proptest! {
        /// Whatever is sent as a picture, it is one or is refused, within the limits.
        #[test]
        fn no_picture_fails(bytes in damaged()) {
            use base64::Engine as _;
            let sent = base64::engine::general_purpose::STANDARD.encode(&bytes);
            if let Ok(picture) = read_sent(&sent) {
                proptest::prop_assert!(u64::from(picture.width()) * u64::from(picture.height()) <= MOST_PIXELS);
                let _ = encode(&picture);
            }
            let _ = read_fetched(&bytes).map(|picture| encode(&picture));
            let _ = size_of_fetched(&bytes);
        }

        #[test]
        fn no_text_fails(text in ".{0,80}|(data:image/png;base64,)?[A-Za-z0-9+/=]{0,80}") {
            let _ = read_sent(&text);
        }
    }
}
