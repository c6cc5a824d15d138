//! Spans of time as people write them: `30s`, `12h`, `3d`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A span of time in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(i64);

/// Units in descending length, in milliseconds.
const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// A span of so many milliseconds.
    pub(crate) const fn ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Its milliseconds.
    pub(crate) const fn as_ms(self) -> i64 {
        self.0
    }

    /// The standard library's form; a negative span is zero.
    pub(crate) fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads `3d`, `12h`, `90m`, `30s`, `250ms`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, ms)| *ms);
        let number: Option<i64> = number.parse().ok();
        match (number, factor) {
            (Some(number), Some(factor)) => {
                number.checked_mul(factor).map(Self).ok_or_else(|| format!("`{text}` is too long a span of time"))
            }
            _ => Err(format!(
                "`{text}` is not a span of time; expected a whole number and d, h, m, s or ms, as in `12h`"
            )),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, ms) = UNITS.iter().find(|(_, ms)| self.0 % ms == 0).copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0 / ms)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A stated number of false alarms per span of stream time: `1 per 30d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Budget {
    /// False alarms.
    pub(crate) count: f64,
    /// Per so much stream time.
    pub(crate) period: Span,
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fault = || {
            serde::de::Error::custom(format!(
                "`{text}` is not a budget of false alarms; expected a number, `per` and a span, as in `1 per 30d`"
            ))
        };
        let (count, period) = text.split_once("per").ok_or_else(fault)?;
        let count: f64 = count.trim().parse().map_err(|_| fault())?;
        let period = Span::parse(period).map_err(serde::de::Error::custom)?;
        if count.is_finite() && count > 0.0 && period.as_ms() > 0 { Ok(Self { count, period }) } else { Err(fault()) }
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} per {}", self.count, self.period))
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_are_read_and_written_in_their_longest_unit() {
        for (text, ms, written) in
            [("3d", 259_200_000, "3d"), ("24h", 86_400_000, "1d"), ("250ms", 250, "250ms"), ("0s", 0, "0d")]
        {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.as_ms(), span.to_string().as_str()), (ms, written), "{text}");
        }
        for text in ["", "3", "d", "3 weeks", "-1d", "1.5h", "99999999999999999d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
