//! [`Canvas`] and [`Color`]: pixels, mixing and the smooth noise that scenes are made of.

use crate::random::mix;

/// A colour with components from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color {
    pub(super) red: f32,
    pub(super) green: f32,
    pub(super) blue: f32,
}

impl Color {
    /// A colour by hue (a turn is 1), saturation and lightness.
    pub(super) fn hsl(hue: f32, saturation: f32, lightness: f32) -> Self {
        let chroma = saturation * lightness.min(1.0 - lightness);
        let component = |offset: f32| {
            let place = (offset + hue.rem_euclid(1.0) * 12.0).rem_euclid(12.0);
            lightness - chroma * (place - 3.0).min(9.0 - place).clamp(-1.0, 1.0)
        };
        Self {
            red: component(0.0),
            green: component(8.0),
            blue: component(4.0),
        }
    }

    /// This colour at 0, the other one at 1.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        let share = share.clamp(0.0, 1.0);
        let blend = |from: f32, to: f32| from + (to - from) * share;
        Self {
            red: blend(self.red, other.red),
            green: blend(self.green, other.green),
            blue: blend(self.blue, other.blue),
        }
    }

    /// Light of this colour added on top.
    pub(super) fn lit(self, light: Self, strength: f32) -> Self {
        // "Screen": never brighter than white.
        let screen = |base: f32, light: f32| 1.0 - (1.0 - base) * (1.0 - light * strength.clamp(0.0, 1.0));
        Self {
            red: screen(self.red, light.red),
            green: screen(self.green, light.green),
            blue: screen(self.blue, light.blue),
        }
    }

    fn bytes(self) -> [u8; 3] {
        [self.red, self.green, self.blue].map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
    }
}

/// A picture in the making.
pub(super) struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A black picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            rgb: vec![0; width as usize * height as usize * 3],
        }
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    pub(super) fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, row by row, three bytes each.
    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Colours every pixel by its place; the shorter side of the picture is 1 long, the origin is
    /// the upper left corner.
    pub(super) fn fill(&mut self, color: impl Fn(f32, f32) -> Color) {
        let unit = 1.0 / self.width.min(self.height) as f32;
        let rows = self.rgb.chunks_exact_mut(self.width as usize * 3);
        for (y, row) in rows.enumerate() {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&color(x as f32 * unit, y as f32 * unit).bytes());
            }
        }
    }

    /// Moves one pixel towards a colour. Places outside the picture are ignored.
    pub(super) fn blend(&mut self, x: u32, y: u32, color: Color, share: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        let pixel = &mut self.rgb[at..at + 3];
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(|value| f32::from(value) / 255.0);
        pixel.copy_from_slice(&Color { red, green, blue }.mix(color, share).bytes());
    }
}

/// Smooth noise in -1..1 over the plane: random values on a lattice, blended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(pub(super) u64);

impl Noise {
    fn lattice(self, x: i32, y: i32) -> f32 {
        let place = (u64::from(x.cast_unsigned()) << 32) | u64::from(y.cast_unsigned());
        (mix(self.0 ^ mix(place)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// The noise at one place, with features of size 1.
    pub(super) fn at(self, x: f32, y: f32) -> f32 {
        let (column, row) = (x.floor(), y.floor());
        let smooth = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (across, down) = (smooth(x - column), smooth(y - row));
        let (column, row) = (column as i32, row as i32);
        let edge = |row: i32| {
            let left = self.lattice(column, row);
            left + (self.lattice(column + 1, row) - left) * across
        };
        let top = edge(row);
        top + (edge(row + 1) - top) * down
    }

    /// Several layers, each half as large and half as strong as the one before; about -1..1.
    pub(super) fn layered(self, x: f32, y: f32, layers: u32) -> f32 {
        let (mut sum, mut strength, mut scale) = (0.0, 0.5, 1.0);
        for layer in 0..layers {
            let shift = layer as f32 * 17.3;
            sum += strength * self.at(x * scale + shift, y * scale - shift);
            strength *= 0.5;
            scale *= 2.0;
        }
        sum
    }
}

/// A function over the picture, computed on a coarse grid and blended in between: what makes large
/// pictures affordable.
pub(super) struct Field {
    columns: usize,
    cells: f32,
    values: Vec<f32>,
}

impl Field {
    /// Samples a function over a picture of the given extent (in units of its shorter side).
    pub(super) fn new(right: f32, bottom: f32, cells: u16, value: impl Fn(f32, f32) -> f32) -> Self {
        let cells = f32::from(cells);
        let columns = (right * cells) as usize + 2;
        let rows = (bottom * cells) as usize + 2;
        let values = (0..rows * columns)
            .map(|at| value((at % columns) as f32 / cells, (at / columns) as f32 / cells))
            .collect();
        Self {
            columns,
            cells,
            values,
        }
    }

    /// The function at a place inside the extent.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x * self.cells, y * self.cells);
        let (column, row) = (x as usize, y as usize);
        let (across, down) = (x - column as f32, y - row as f32);
        let value = |row: usize, column: usize| {
            let at = row * self.columns + column;
            self.values.get(at).copied().unwrap_or_default()
        };
        let edge = |row| {
            let left = value(row, column);
            left + (value(row, column + 1) - left) * across
        };
        let top = edge(row);
        top + (edge(row + 1) - top) * down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_are_where_they_belong() {
        assert_eq!(Color::hsl(0.0, 1.0, 0.5).bytes(), [255, 0, 0]);
        assert_eq!(Color::hsl(1.0 / 3.0, 1.0, 0.5).bytes(), [0, 255, 0]);
        assert_eq!(Color::hsl(2.0 / 3.0, 1.0, 0.5).bytes(), [0, 0, 255]);
        assert_eq!(Color::hsl(0.4, 0.0, 1.0).bytes(), [255, 255, 255]);
    }

    #[test]
    fn noise_is_smooth_and_bounded() {
        let noise = Noise(3);
        for step in 0..1000 {
            let x = step as f32 * 0.05 - 20.0;
            let (here, next) = (noise.at(x, 0.4), noise.at(x + 0.001, 0.4));
            assert!(here.abs() <= 1.0 && (here - next).abs() < 0.02);
        }
    }

    #[test]
    fn a_field_meets_the_function_on_its_grid() {
        let field = Field::new(2.0, 1.0, 4, |x, y| 3.0 * x - y);
        for (x, y) in [(0.0, 0.0), (1.25, 0.75), (2.0, 1.0), (0.1, 0.9)] {
            assert!((field.at(x, y) - (3.0 * x - y)).abs() < 1e-4);
        }
    }
}
