//! What can be seen of a picture without a model.

use image::{DynamicImage, GenericImageView as _, Rgb, RgbImage, imageops::FilterType};

/// How many colours a palette has.
const COLOURS: usize = 5;
/// The side of the small copy that is looked at.
const SMALL: u32 = 32;
/// The side of a drawing in squares.
const SQUARES: u32 = 8;

/// A look at a picture.
pub(super) struct Look {
    width: u32,
    height: u32,
    small: RgbImage,
}

impl Look {
    pub(super) fn at(picture: &DynamicImage) -> Self {
        let (width, height) = picture.dimensions();
        Self {
            width,
            height,
            small: picture.resize_exact(SMALL, SMALL, FilterType::Triangle).to_rgb8(),
        }
    }

    /// Mean brightness, from 0 to 1.
    pub(super) fn brightness(&self) -> f64 {
        let sum: f64 = self.small.pixels().copied().map(brightness).sum();
        sum / f64::from(SMALL * SMALL)
    }

    /// Standard deviation of the brightness, from 0 to 0.5.
    pub(super) fn contrast(&self) -> f64 {
        let mean = self.brightness();
        let squares: f64 = self
            .small
            .pixels()
            .map(|pixel| (brightness(*pixel) - mean).powi(2))
            .sum();
        (squares / f64::from(SMALL * SMALL)).sqrt()
    }

    /// The commonest colours as `#rrggbb`, with the share of the picture that each has.
    pub(super) fn palette(&self) -> Vec<(String, f64)> {
        let mut counts = std::collections::BTreeMap::<[u8; 3], u32>::new();
        for pixel in self.small.pixels() {
            // A third of the values is enough to tell colours apart.
            *counts
                .entry(pixel.0.map(|value| value / 43 * 43 + 21))
                .or_default() += 1;
        }
        let mut colours: Vec<([u8; 3], u32)> = counts.into_iter().collect();
        colours.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let share = |count: u32| f64::from(count) / f64::from(SMALL * SMALL);
        let named = |[red, green, blue]: [u8; 3]| format!("#{red:02x}{green:02x}{blue:02x}");
        colours
            .into_iter()
            .take(COLOURS)
            .map(|(colour, count)| (named(colour), share(count)))
            .collect()
    }

    /// What it shows, in words.
    pub(super) fn words(&self) -> Vec<&'static str> {
        let light = match self.brightness() {
            dark if dark < 0.33 => "dark",
            bright if bright > 0.66 => "bright",
            _ => "softly lit",
        };
        let depth = if self.contrast() < 0.1 {
            "flat"
        } else {
            "contrasty"
        };
        let shape = match self.width.cmp(&self.height) {
            std::cmp::Ordering::Less => "upright",
            std::cmp::Ordering::Equal => "square",
            std::cmp::Ordering::Greater => "wide",
        };
        vec![light, depth, self.hue(), shape]
    }

    /// The colour that it mostly has.
    fn hue(&self) -> &'static str {
        let sum = self.small.pixels().fold([0_u32; 3], |sum, Rgb(pixel)| {
            [0, 1, 2].map(|channel| sum[channel] + u32::from(pixel[channel]))
        });
        let [red, green, blue] = sum.map(|channel| channel / (SMALL * SMALL));
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        if most - least < 16 {
            "grey"
        } else if most == red {
            "reddish"
        } else if most == green {
            "greenish"
        } else {
            "bluish"
        }
    }

    /// A sentence about it.
    pub(super) fn caption(&self) -> String {
        format!(
            "a {} picture of {}x{} pixels (simulated)",
            self.words().join(", "),
            self.width,
            self.height
        )
    }

    /// A drawing of it, in squares.
    pub(super) fn svg(&self) -> String {
        use std::fmt::Write as _;
        let squares = image::imageops::resize(&self.small, SQUARES, SQUARES, FilterType::Triangle);
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {SQUARES} {SQUARES}">"#,
            self.width, self.height
        );
        for (x, y, Rgb([red, green, blue])) in squares.enumerate_pixels() {
            // Writing to a text cannot fail.
            let _ = write!(
                svg,
                r##"<rect x="{x}" y="{y}" width="1" height="1" fill="#{red:02x}{green:02x}{blue:02x}"/>"##
            );
        }
        svg.push_str("</svg>");
        svg
    }
}

fn brightness(Rgb([red, green, blue]): Rgb<u8>) -> f64 {
    (0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)) / 255.0
}
