//! What the simulated pictures show: ridges under a sky, flowing silk, or lights in the dark.
//!
//! The prompt decides the colours, so pictures of one prompt are a family; the seed decides the
//! kind of scene and where everything is.

use super::canvas::{Canvas, Color, Field, Noise};
use crate::random::{Stream, mix};

/// Paints the scene that belongs to a prompt (by its hash) and a seed.
pub(super) fn paint(canvas: &mut Canvas, prompt: u64, seed: u64) {
    let palette = Palette::of(prompt);
    let mut random = Stream::new(mix(prompt) ^ mix(seed.wrapping_add(1)));
    match random.below(3) {
        0 => ridges(canvas, &palette, &mut random),
        1 => silk(canvas, &palette, &mut random),
        _ => lights(canvas, &palette, &mut random),
    }
}

/// Four colours that go together.
struct Palette {
    deep: Color,
    main: Color,
    bright: Color,
    accent: Color,
}

impl Palette {
    fn of(prompt: u64) -> Self {
        let mut random = Stream::new(prompt);
        // Sea green over blue and violet to orange; the yellow greens between look sickly.
        let hue = random.range(0.45, 1.08);
        // Neighbouring hues for the most part, with one accent from the other side.
        let drift = random.range(0.05, 0.12) * if random.below(2) == 0 { 1.0 } else { -1.0 };
        let saturation = random.range(0.45, 0.8);
        Self {
            deep: Color::hsl(hue - drift, saturation, 0.13),
            main: Color::hsl(hue, saturation, 0.42),
            bright: Color::hsl(hue + drift, saturation * 0.9, 0.74),
            accent: Color::hsl(hue + 0.5 + drift * 0.5, 0.85, 0.68),
        }
    }

    /// From dark to light.
    fn gradient(&self, place: f32) -> Color {
        let place = place.clamp(0.0, 1.0);
        if place < 0.5 {
            self.deep.mix(self.main, place * 2.0)
        } else {
            self.main.mix(self.bright, place * 2.0 - 1.0)
        }
    }
}

/// How large the picture is in units of its shorter side.
fn extent(canvas: &Canvas) -> (f32, f32) {
    let unit = canvas.width().min(canvas.height()) as f32;
    (canvas.width() as f32 / unit, canvas.height() as f32 / unit)
}

/// 0 below `from`, 1 above `to`, smooth in between.
fn step(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// A sun over mountain ridges that fade into the distance.
fn ridges(canvas: &mut Canvas, palette: &Palette, random: &mut Stream) {
    const RIDGES: u16 = 6;
    let (right, bottom) = extent(canvas);
    let horizon = bottom * random.range(0.32, 0.45);
    let sun = (right * random.range(0.2, 0.8), horizon * random.range(0.35, 0.95));
    let radius = random.range(0.05, 0.1);
    let clouds = Noise(random.word());
    let clouds = Field::new(right, bottom, 96, |x, y| clouds.layered(x * 2.0, y * 7.0, 4));
    let outlines: Vec<(Field, Color)> = (0..RIDGES)
        .map(|ridge| {
            let near = f32::from(ridge) / f32::from(RIDGES - 1);
            let noise = Noise(random.word());
            let base = horizon + (bottom - horizon) * near * 0.72;
            let steepness = 0.1 + 0.12 * near;
            let outline = Field::new(right, 0.0, 256, |x, _| {
                base - steepness * (noise.layered(x * (1.6 + near), 0.5, 6) + 0.3)
            });
            let far = palette.bright.mix(palette.main, 0.35);
            (outline, far.mix(palette.deep, near.powf(0.8)))
        })
        .collect();
    canvas.fill(|x, y| {
        let mut color = palette.main.mix(palette.bright, step(-0.1, horizon * 1.15, y));
        color = color.lit(palette.bright, 0.35 * step(0.05, 0.4, clouds.at(x, y)));
        let distance = (x - sun.0).hypot(y - sun.1);
        color = color.lit(palette.accent, 0.75 * (-distance * 3.2).exp());
        color = color.mix(
            palette.accent.lit(palette.bright, 0.8),
            1.0 - step(radius - 0.004, radius + 0.004, distance),
        );
        for (outline, ridge) in &outlines {
            let depth = y - outline.at(x, 0.0);
            if depth > 0.0 {
                // Mist gathers at the foot of each ridge.
                let misty = ridge.mix(palette.bright, 0.3 * step(0.0, 0.3, depth));
                color = color.mix(misty, step(0.0, 0.004, depth));
            }
        }
        color
    });
}

/// Folds of cloth: noise that is displaced by other noise.
fn silk(canvas: &mut Canvas, palette: &Palette, random: &mut Stream) {
    let (right, bottom) = extent(canvas);
    let (warp, weave) = (Noise(random.word()), Noise(random.word()));
    let (size, strength) = (random.range(1.1, 2.0), random.range(0.9, 1.6));
    let fold = |x: f32, y: f32| {
        let (x, y) = (x * size, y * size);
        let along = warp.layered(x, y, 3) * strength;
        let across = warp.layered(x + 5.2, y + 1.3, 3) * strength;
        weave.layered(x + along * 1.7, y + across * 1.7, 4)
    };
    let folds = Field::new(right, bottom, 192, fold);
    let threads = Field::new(right, bottom, 96, |x, y| {
        warp.layered(x * size + 3.0, y * size - 8.0, 3)
    });
    canvas.fill(|x, y| {
        let height = folds.at(x, y);
        // Light falls in from the upper left: slopes that face it shine.
        let slope = (height - folds.at((x - 0.012).max(0.0), (y - 0.012).max(0.0))) * 6.0;
        let color = palette.gradient(0.5 + height * 0.95);
        let color = color.lit(palette.bright, slope.max(0.0));
        let color = color.mix(palette.deep, (-slope).max(0.0) * 0.8);
        color.lit(palette.accent, 0.55 * step(0.25, 0.6, threads.at(x, y)))
    });
}

/// Lamps out of focus over a dark ground.
fn lights(canvas: &mut Canvas, palette: &Palette, random: &mut Stream) {
    struct Lamp {
        x: f32,
        y: f32,
        radius: f32,
        color: Color,
        strength: f32,
    }
    let (right, bottom) = extent(canvas);
    let count = 16 + random.below(14);
    let lamps: Vec<Lamp> = (0..count)
        .map(|_| {
            let tint = random.unit();
            Lamp {
                x: random.range(0.0, right),
                y: random.range(0.0, bottom),
                radius: 0.03 + 0.15 * random.unit().powi(2),
                color: if tint < 0.3 {
                    palette.accent
                } else {
                    palette.main.mix(palette.bright, tint)
                },
                strength: random.range(0.35, 0.9),
            }
        })
        .collect();
    let haze = Noise(random.word());
    let haze = Field::new(right, bottom, 64, |x, y| haze.layered(x * 1.5, y * 1.5, 4));
    canvas.fill(|x, y| {
        let mut color = palette.gradient(0.12 + 0.25 * haze.at(x, y) + 0.12 * y / bottom);
        for lamp in &lamps {
            let distance = (x - lamp.x).hypot(y - lamp.y) / lamp.radius;
            if distance < 4.0 {
                let rim = step(0.75, 0.95, distance) * 0.35;
                let disc = (0.55 + rim) * (1.0 - step(0.96, 1.04, distance));
                let glow = 0.3 * (1.0 - distance / 4.0).powi(3);
                color = color.lit(lamp.color, (disc + glow) * lamp.strength);
            }
        }
        color
    });
}
