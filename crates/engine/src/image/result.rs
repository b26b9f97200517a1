//! Results that a worker sends along instead of uploading them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::pictures;

/// How well a result is kept when it has to be converted.
const QUALITY: f32 = 95.0;

/// What a worker sent as a result.
#[derive(Debug, PartialEq)]
pub(crate) enum Sent {
    /// A picture, now in the form in which results are kept.
    Picture(Bytes),
    /// Anything else. It is kept as it is and handed to the client like that.
    Text,
}

/// Reads a result. Takes milliseconds for a large picture that is not WebP, so it does not belong on
/// a thread that serves others.
pub(crate) fn read(generation: &str) -> Sent {
    let Ok(bytes) = STANDARD.decode(generation.trim()) else {
        return Sent::Text;
    };
    if pictures::is_webp(&bytes) {
        return Sent::Picture(bytes.into());
    }
    let converted = pictures::decode(&bytes, None).and_then(|picture| pictures::encode(&picture, QUALITY));
    converted.map_or(Sent::Text, Sent::Picture)
}

/// Whether reading the result is quick: nothing has to be decoded.
pub(crate) fn is_quick(generation: &str) -> bool {
    const WEBP: &str = "UklGR";
    generation.starts_with(WEBP) || generation.len() < 1024
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::*;

    fn encoded(format: ImageFormat) -> String {
        let picture =
            image::DynamicImage::ImageRgb8(image::RgbImage::from_pixel(8, 8, image::Rgb([200, 10, 10])));
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        STANDARD.encode(bytes)
    }

    #[test]
    fn webp_is_kept_as_it_is() {
        let sent = encoded(ImageFormat::WebP);
        assert!(is_quick(&sent));
        assert_eq!(read(&sent), Sent::Picture(STANDARD.decode(&sent).unwrap().into()));
    }

    #[test]
    fn other_formats_become_webp() {
        let Sent::Picture(bytes) = read(&encoded(ImageFormat::Png)) else {
            panic!("a picture")
        };
        assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::WebP);
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 8));
    }

    #[test]
    fn what_is_no_picture_is_text() {
        for text in ["", "not base64!", "aGVsbG8=", "UklGRgAAAABXRUJQ"] {
            assert_eq!(read(text), Sent::Text, "{text}");
        }
    }
}
