//! Pictures as strangers send them, and in the form in which the horde keeps them.
//!
//! Everything here takes milliseconds to seconds of one core, so it does not belong on a thread that
//! serves others; see [`Studio`].

use std::{io::Cursor, sync::Arc};

use bytes::Bytes;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use tokio::sync::Semaphore;
use webp::WebPConfig;

/// The longest side that is decoded, and the longest that WebP can have.
const LONGEST_SIDE: u32 = 16_383;
/// What decoding one picture may take, in bytes: four bytes for each of 89 million pixels, half of the
/// size at which other software speaks of a decompression bomb.
const MEMORY: u64 = 358 << 20;

/// Why a picture cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PictureError {
    /// There are no bytes at all.
    #[error("it is empty")]
    Empty,
    /// No picture, or of a kind that is not known here.
    #[error("it is no picture of a known kind")]
    UnknownFormat,
    /// It has more pixels than allowed.
    #[error("it has too many pixels")]
    TooLarge,
    /// It looks like a picture, but cannot be decoded, or only with a great deal of memory.
    #[error("it cannot be decoded")]
    Unreadable,
}

/// Decodes a picture, the right way up. `most_pixels` is tested before anything is decoded.
pub(crate) fn decode(bytes: &[u8], most_pixels: Option<u64>) -> Result<DynamicImage, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|_| PictureError::UnknownFormat)?;
    if reader.format().is_none() {
        return Err(PictureError::UnknownFormat);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| PictureError::Unreadable)?;
    let (width, height) = decoder.dimensions();
    if most_pixels.is_some_and(|most| u64::from(width) * u64::from(height) > most) {
        return Err(PictureError::TooLarge);
    }
    if decoder.total_bytes() > MEMORY {
        return Err(PictureError::Unreadable);
    }
    let orientation = decoder.orientation().map_err(|_| PictureError::Unreadable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| PictureError::Unreadable)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Width and height of a picture as its beginning tells them; nothing is decoded.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|_| PictureError::UnknownFormat)?;
    if reader.format().is_none() {
        return Err(PictureError::UnknownFormat);
    }
    reader.into_dimensions().map_err(|_| PictureError::Unreadable)
}

/// Encodes a picture as lossy WebP of a quality between 0 and 100. Colours below full transparency are
/// kept: a mask may be hidden there.
pub(crate) fn encode(picture: &DynamicImage, quality: f32) -> Result<Bytes, PictureError> {
    let picture: DynamicImage = if picture.color().has_alpha() {
        picture.to_rgba8().into()
    } else {
        picture.to_rgb8().into()
    };
    let encoder = webp::Encoder::from_image(&picture).map_err(|_| PictureError::Unreadable)?;
    let mut config = WebPConfig::new().map_err(|()| PictureError::Unreadable)?;
    config.quality = quality;
    config.exact = 1;
    let webp = encoder
        .encode_advanced(&config)
        .map_err(|_| PictureError::Unreadable)?;
    Ok(Bytes::copy_from_slice(&webp))
}

/// Whether these bytes begin like a WebP picture. Quick: nothing is decoded.
pub(crate) fn is_webp(bytes: &[u8]) -> bool {
    let is_webp = matches!(image::guess_format(bytes), Ok(ImageFormat::WebP));
    is_webp
        && ImageReader::with_format(Cursor::new(bytes), ImageFormat::WebP)
            .into_dimensions()
            .is_ok()
}

/// Where pictures are worked on: beside the threads that serve, and not more of them at once than
/// there are cores.
#[derive(Clone, Debug)]
pub(crate) struct Studio(Arc<Semaphore>);

impl Studio {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// Does the work when its turn comes. `None` if the server is stopping.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView as _, Rgba, RgbaImage};

    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    fn plain(width: u32, height: u32) -> DynamicImage {
        RgbaImage::from_pixel(width, height, Rgba([200, 10, 10, 255])).into()
    }

    #[test]
    fn what_is_no_picture_says_why() {
        assert_eq!(decode(b"", None).unwrap_err(), PictureError::Empty);
        assert_eq!(decode(b"hello", None).unwrap_err(), PictureError::UnknownFormat);
        let mut cut = encoded(&plain(64, 64), ImageFormat::Png);
        cut.truncate(60);
        assert_eq!(decode(&cut, None).unwrap_err(), PictureError::Unreadable);
    }

    #[test]
    fn the_limit_is_tested_before_decoding() {
        let png = encoded(&plain(8, 8), ImageFormat::Png);
        assert!(decode(&png, Some(64)).is_ok());
        assert_eq!(decode(&png, Some(63)).unwrap_err(), PictureError::TooLarge);
    }

    #[test]
    fn a_decompression_bomb_does_not_go_off() {
        // 16,000 pixels square of one colour: a gigabyte of memory in a file of a few kilobytes.
        let bomb = bomb(16_000);
        assert!(bomb.len() < 2_000_000, "{}", bomb.len());
        assert_eq!(decode(&bomb, None).unwrap_err(), PictureError::Unreadable);
    }

    /// The header of a PNG file that promises so many pixels a side; decoding would ask for all of them.
    fn bomb(side: u32) -> Vec<u8> {
        let mut bytes = encoded(&plain(1, 1), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&side.to_be_bytes());
        bytes[20..24].copy_from_slice(&side.to_be_bytes());
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn colours_survive_below_full_transparency() {
        let hidden: DynamicImage = RgbaImage::from_pixel(16, 16, Rgba([0, 0, 250, 0])).into();
        let webp = encode(&hidden, 50.0).unwrap();
        assert!(is_webp(&webp));
        let Rgba([red, _, blue, alpha]) = decode(&webp, None).unwrap().get_pixel(8, 8);
        assert!(red < 60 && blue > 200 && alpha == 0);
    }

    #[test]
    fn a_photo_is_turned_the_right_way_up() {
        let jpeg = encoded(
            &DynamicImage::ImageRgb8(plain(16, 8).to_rgb8()),
            ImageFormat::Jpeg,
        );
        assert_eq!(decode(&jpeg, None).unwrap().dimensions(), (16, 8));
        assert_eq!(decode(&turned(&jpeg), None).unwrap().dimensions(), (8, 16));
    }

    /// The same file with an Exif header that says "rotated by 90 degrees".
    fn turned(jpeg: &[u8]) -> Vec<u8> {
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec();
        // One entry: orientation (0x0112), a short, one value: 6.
        exif.extend(b"\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
        let length = (exif.len() + 2) as u16;
        let mut file = jpeg[..2].to_vec();
        file.extend([0xff, 0xe1]);
        file.extend(length.to_be_bytes());
        file.extend(exif);
        file.extend(&jpeg[2..]);
        file
    }

    #[tokio::test]
    async fn work_is_done_beside_the_threads_that_serve() {
        assert_eq!(Studio::new().work(|| 5).await, Some(5));
    }
}
