//! Times as records write them, to epoch milliseconds.

use crate::format::TimeUnit;
use crate::scan::Slot;

/// Earliest time accepted: the start of year 0, the first RFC 3339 can write.
pub const EARLIEST_MS: i64 = -62_167_219_200_000;
/// Latest time accepted: the end of year 9999.
pub const LATEST_MS: i64 = 253_402_300_799_999;

/// The time, if it lies in the years RFC 3339 can write.
pub(crate) fn in_range(time_ms: i64) -> Option<i64> {
    (EARLIEST_MS..=LATEST_MS).contains(&time_ms).then_some(time_ms)
}

/// Reads the time in `slot`; parts of a millisecond are cut towards the past.
pub(crate) fn read(slot: Slot, message: &str, unit: TimeUnit) -> Option<i64> {
    let time_ms = match (slot, unit) {
        (Slot::Text { start, end, escaped: false }, TimeUnit::Rfc3339) => parse_rfc3339(message.get(start..end)?)?,
        (Slot::Number(start, end), unit) => from_number(message.get(start..end)?, unit)?,
        _ => return None,
    };
    in_range(time_ms)
}

fn from_number(text: &str, unit: TimeUnit) -> Option<i64> {
    match (integer(text), unit) {
        (_, TimeUnit::Rfc3339) => None,
        (Some(value), TimeUnit::Seconds) => value.checked_mul(1000),
        (Some(value), TimeUnit::Milliseconds) => Some(value),
        (Some(value), TimeUnit::Microseconds) => Some(value.div_euclid(1000)),
        (Some(value), TimeUnit::Nanoseconds) => Some(value.div_euclid(1_000_000)),
        (None, TimeUnit::Seconds) => {
            let millis = (text.parse::<f64>().ok()? * 1000.0).floor();
            // Beyond 2^53 milliseconds nothing is in range, so the cast is exact.
            (millis.abs() < 9_007_199_254_740_992.0).then_some(millis as i64)
        }
        (None, _) => None,
    }
}

/// Reads an integer without fraction or exponent; `text` is a JSON number.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum: i64, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Days from 1970-01-01 to a civil date, `None` if there is no such day. The count of days before
/// a year is 365 per year and a day for every leap year before it.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = *BEFORE_MONTH.get(usize::try_from(month - 1).ok()?)?;
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let last = year - 1;
    let leaps = last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400);
    let of_year = before + day - 1 + i64::from(leap && month > 2);
    // 719,162 days lie between 0001-01-01 and 1970-01-01.
    Some(365 * last + leaps + of_year - 719_162)
}

/// Reads RFC 3339: `2013-01-01T10:15:00Z`, any fraction, `+hh:mm` offsets, a blank for the `T`,
/// or a date alone, which means its midnight in UTC. The same forms as `records::time` reads.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let field = |from: usize, to: usize| bytes.get(from..to).and_then(digits);
    let is = |place: usize, byte: u8| bytes.get(place) == Some(&byte);
    if !is(4, b'-') || !is(7, b'-') {
        return None;
    }
    let days = days(field(0, 4)?, field(5, 7)?, field(8, 10)?)?;
    if bytes.len() == 10 {
        return Some(days * 86_400_000);
    }
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let separated = matches!(bytes.get(10)?, b'T' | b't' | b' ') && is(13, b':') && is(16, b':');
    if !separated || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(bytes.get(19..)?)?;
    let offset_minutes = offset(zone)?;
    Some(days * 86_400_000 + hour * 3_600_000 + (minute - offset_minutes) * 60_000 + second * 1000 + millis)
}

/// Milliseconds of a fraction (digits beyond are cut), and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else { return Some((0, rest)) };
    let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, zone) = rest.split_at_checked(length)?;
    let place = |at: usize| digits.get(at).map_or(0, |b| i64::from(b - b'0'));
    (length > 0).then(|| (place(0) * 100 + place(1) * 10 + place(2), zone))
}

fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let minutes = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}
