//! The colour of buttons.

use std::fmt;
use std::str::FromStr;

/// The colour of buttons, with a colour for the text on it that everybody can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    red: u8,
    green: u8,
    blue: u8,
}

impl Default for Accent {
    fn default() -> Self {
        Self { red: 0x1f, green: 0x5f, blue: 0x8b }
    }
}

impl Accent {
    /// Returns black or white: the one that contrasts more. One of the two always has a contrast of more than 4.5:1.
    fn text(self) -> &'static str {
        let luminance = 0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue);
        let (with_white, with_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
        if with_white >= with_black { "#ffffff" } else { "#000000" }
    }

    /// Returns the rule of the stylesheet that sets the two colours.
    pub(crate) fn rule(self) -> String {
        format!(":root {{\n  --accent: {self};\n  --on-accent: {};\n}}\n", self.text())
    }
}

/// Returns the share of light of a component (WCAG 2.2, relative luminance).
fn linear(component: u8) -> f64 {
    let value = f64::from(component) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl FromStr for Accent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| format!("expected a colour such as #1f5f8b, found {text:?}"))?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        let accent: Accent = "#A0b1C2".parse().unwrap();
        assert_eq!(accent.to_string(), "#a0b1c2");
        for wrong in ["", "#", "a0b1c2", "#a0b1c", "#a0b1c2d", "#a0b1cg", "#+0b1c2", "red"] {
            assert!(wrong.parse::<Accent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_on_buttons_can_be_read() {
        for (colour, text) in
            [("#ffffff", "#000000"), ("#000000", "#ffffff"), ("#1f5f8b", "#ffffff"), ("#ffcc00", "#000000")]
        {
            assert_eq!(colour.parse::<Accent>().unwrap().text(), text, "{colour}");
        }
        assert!(Accent::default().rule().contains("--on-accent: #ffffff;"));
    }
}
