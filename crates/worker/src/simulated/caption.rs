//! The line at the lower edge of a simulated picture, written with a built-in bitmap font.

use super::canvas::{Canvas, Color};

const GLYPH_WIDTH: u32 = 5;
const GLYPH_HEIGHT: u32 = 7;
/// Distance from one character to the next.
const ADVANCE: u32 = GLYPH_WIDTH + 1;

/// Writes `SIMULATED` and as much of the prompt as fits on a dark strip.
pub(super) fn write(canvas: &mut Canvas, prompt: &str) {
    let scale = (canvas.width().min(canvas.height()) / 256).max(1);
    let strip = (GLYPH_HEIGHT + 4) * scale;
    let top = canvas.height().saturating_sub(strip);
    let (black, white) = (Color::hsl(0.0, 0.0, 0.0), Color::hsl(0.0, 0.0, 1.0));
    for y in top..canvas.height() {
        for x in 0..canvas.width() {
            canvas.blend(x, y, black, 0.55);
        }
    }
    let room = (canvas.width() / scale).saturating_sub(4) / ADVANCE;
    for (place, character) in (0_u32..).zip(text(prompt, room as usize).chars()) {
        let left = (2 + place * ADVANCE) * scale;
        for (x, y) in dots(character) {
            for (dx, dy) in (0..scale).flat_map(|dx| (0..scale).map(move |dy| (dx, dy))) {
                canvas.blend(left + x * scale + dx, top + (2 + y) * scale + dy, white, 0.9);
            }
        }
    }
}

/// The words of the caption, in capitals, cut to whole words if they don't fit.
fn text(prompt: &str, room: usize) -> String {
    let mut text = "SIMULATED".to_owned();
    let mut separator = ": ";
    for word in prompt.split_whitespace() {
        let word = word.to_uppercase();
        if text.chars().count() + separator.len() + word.chars().count() > room {
            break;
        }
        text.push_str(separator);
        text.push_str(&word);
        separator = " ";
    }
    text.chars().take(room).collect()
}

/// The dots of a character, from its upper left corner.
fn dots(character: char) -> impl Iterator<Item = (u32, u32)> {
    let rows = glyph(character);
    (0..GLYPH_HEIGHT)
        .flat_map(|y| (0..GLYPH_WIDTH).map(move |x| (x, y)))
        .filter(move |&(x, y)| rows[y as usize] >> (GLYPH_WIDTH - 1 - x) & 1 == 1)
}

/// The rows of a character, five bits each. Characters that the font lacks are a dot in the middle.
#[rustfmt::skip]
fn glyph(character: char) -> [u8; GLYPH_HEIGHT as usize] {
    match character {
        'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110],
        'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01111],
        'H' => [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'J' => [0b00111, 0b00010, 0b00010, 0b00010, 0b00010, 0b10010, 0b01100],
        'K' => [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10001, 0b10101, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001, 0b10001],
        'Y' => [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b11111],
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        ',' => [0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b00100, 0b01000],
        ':' => [0b00000, 0b01100, 0b01100, 0b00000, 0b01100, 0b01100, 0b00000],
        ';' => [0b00000, 0b01100, 0b01100, 0b00000, 0b01100, 0b00100, 0b01000],
        '-' => [0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000],
        '_' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b11111],
        '!' => [0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00000, 0b00100],
        '?' => [0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b00000, 0b00100],
        '\'' => [0b00100, 0b00100, 0b01000, 0b00000, 0b00000, 0b00000, 0b00000],
        '"' => [0b01010, 0b01010, 0b01010, 0b00000, 0b00000, 0b00000, 0b00000],
        '(' => [0b00010, 0b00100, 0b01000, 0b01000, 0b01000, 0b00100, 0b00010],
        ')' => [0b01000, 0b00100, 0b00010, 0b00010, 0b00010, 0b00100, 0b01000],
        '/' => [0b00000, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b00000],
        '+' => [0b00000, 0b00100, 0b00100, 0b11111, 0b00100, 0b00100, 0b00000],
        '#' => [0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010],
        '&' => [0b01100, 0b10010, 0b10100, 0b01000, 0b10101, 0b10010, 0b01101],
        ' ' => [0; 7],
        _ => [0b00000, 0b00000, 0b00000, 0b00100, 0b00000, 0b00000, 0b00000],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caption_is_cut_to_whole_words() {
        assert_eq!(
            text("a lighthouse in a storm", 80),
            "SIMULATED: A LIGHTHOUSE IN A STORM"
        );
        assert_eq!(text("a lighthouse in a storm", 20), "SIMULATED: A");
        assert_eq!(text("lighthouses", 12), "SIMULATED");
        assert_eq!(text("anything", 4), "SIMU");
    }

    #[test]
    fn letters_have_the_right_dots() {
        let mut picture = [[' '; 5]; 7];
        for (x, y) in dots('L') {
            picture[y as usize][x as usize] = '#';
        }
        let rows: Vec<String> = picture.iter().map(|row| row.iter().collect()).collect();
        assert_eq!(rows[0], "#    ");
        assert_eq!(rows[6], "#####");
    }

    #[test]
    fn the_strip_darkens_the_lower_edge_only() {
        let mut canvas = Canvas::new(64, 64);
        canvas.fill(|_, _| Color::hsl(0.0, 0.0, 1.0));
        write(&mut canvas, "");
        assert_eq!(canvas.rgb()[0], 255);
        assert!(canvas.rgb()[canvas.rgb().len() - 1] < 128);
    }
}
