//! A part of a whole.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::BadSetting;

/// A part of a whole: `0` to `1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(f64);

impl Fraction {
    /// The whole.
    pub const ALL: Self = Self(1.0);

    /// That part of a number, rounded down.
    pub fn of(self, whole: u32) -> u32 {
        // Between 0 and `whole`, since the fraction is between 0 and 1.
        (f64::from(whole) * self.0) as u32
    }
}

impl TryFrom<f64> for Fraction {
    type Error = BadSetting;

    fn try_from(part: f64) -> Result<Self, BadSetting> {
        match (0.0..=1.0).contains(&part) {
            true => Ok(Self(part)),
            false => Err(BadSetting::Fraction),
        }
    }
}

impl FromStr for Fraction {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let part: f64 = text.parse().map_err(|_| BadSetting::Fraction)?;
        part.try_into()
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        part.try_into().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_between_nothing_and_all() {
        let part = |text: &str| text.parse::<Fraction>();
        assert_eq!(part("0.1").unwrap().of(50_000), 5_000);
        assert_eq!(part("1").unwrap(), Fraction::ALL);
        assert_eq!(part("0").unwrap().of(7), 0);
        for text in ["1.1", "-0.1", "NaN", "half"] {
            assert_eq!(part(text), Err(BadSetting::Fraction), "{text}");
        }
    }
}
