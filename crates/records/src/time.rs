//! RFC 3339 in UTC with milliseconds, and back: how derived records write time.

/// Days from 1970-01-01 to a civil date (proleptic Gregorian calendar). After Howard Hinnant's
/// `days_from_civil`, <https://howardhinnant.github.io/date_algorithms.html>
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Civil date of a number of days since 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends a time, for example `2013-01-01T10:15:00.000Z`.
pub fn write_rfc3339(out: &mut Vec<u8>, time_ms: i64) {
    let (year, month, day) = civil_from_days(time_ms.div_euclid(86_400_000));
    let of_day = time_ms.rem_euclid(86_400_000);
    let digits = |out: &mut Vec<u8>, value: i64, width: u32| {
        for place in (0..width).rev() {
            let digit = value / 10_i64.pow(place) % 10;
            out.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
    };
    if !(0..=9999).contains(&year) {
        // Outside what RFC 3339 can write: the expanded form of ISO 8601.
        out.push(if year < 0 { b'-' } else { b'+' });
        digits(out, year.abs(), 6);
    } else {
        digits(out, year, 4);
    }
    for (separator, value, width) in [
        (b'-', month, 2),
        (b'-', day, 2),
        (b'T', of_day / 3_600_000, 2),
        (b':', of_day / 60_000 % 60, 2),
        (b':', of_day / 1000 % 60, 2),
        (b'.', of_day % 1000, 3),
    ] {
        out.push(separator);
        digits(out, value, width);
    }
    out.push(b'Z');
}

/// A time as text.
#[must_use]
pub fn rfc3339(time_ms: i64) -> String {
    let mut out = Vec::with_capacity(24);
    write_rfc3339(&mut out, time_ms);
    String::from_utf8(out).unwrap_or_default()
}

fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 9 {
        return None;
    }
    bytes.iter().try_fold(0i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Reads RFC 3339 (`2013-01-01T10:15:00Z`, any fraction, `+hh:mm` offsets, a blank for the `T`,
/// or a date alone, which means its midnight in UTC). Digits beyond milliseconds are cut.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let field = |range: std::ops::Range<usize>| b.get(range).and_then(digits);
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    if b.get(4) != Some(&b'-') || b.get(7) != Some(&b'-') || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    if b.len() == 10 {
        return Some(days * 86_400_000);
    }
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    let separators = matches!(b.get(10)?, b'T' | b't' | b' ') && b.get(13) == Some(&b':') && b.get(16) == Some(&b':');
    if !separators || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = b.get(19..)?;
    let mut millis = 0;
    if let Some((b'.', fraction)) = rest.split_first() {
        let length = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        let mut padded = [b'0'; 3];
        for (to, from) in padded.iter_mut().zip(fraction.get(..length)?) {
            *to = *from;
        }
        millis = if length == 0 { return None } else { digits(&padded)? };
        rest = fraction.get(length..)?;
    }
    let offset_minutes = match rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    Some(days * 86_400_000 + hour * 3_600_000 + (minute - offset_minutes) * 60_000 + second * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::{parse_rfc3339, rfc3339};

    #[test]
    fn known_times_are_written_and_read() {
        // Seconds from `date -u -d TEXT +%s`.
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2013-01-01T10:15:00.000Z", 1_357_035_300_000),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn other_forms_are_read_and_nonsense_is_not() {
        for (text, ms) in [
            ("2013-01-01T10:15:00Z", Some(1_357_035_300_000)),
            ("2013-01-01 10:15:00.5Z", Some(1_357_035_300_500)),
            ("2013-01-01T11:15:00+01:00", Some(1_357_035_300_000)),
            ("2013-01-01", Some(1_356_998_400_000)),
            ("2013-02-30T00:00:00Z", None),
            ("2013-01-01T10:15:00", None),
            ("2013-01-01T10:15:00.Z", None),
            ("yesterday", None),
            ("2013-13-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), ms, "{text}");
        }
    }
}
