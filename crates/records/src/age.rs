//! Ages of labels in fixed bins, so that counts of any slices and partitions merge.
//!
//! The age of a label is its time less the event's. Bin 0 holds ages below a second (a label may
//! even be early), bin k those from 2^(k-1) s to 2^k s, the last one all from 2^22 s (48 days) on.

/// Number of bins.
pub const AGE_BINS: u8 = 24;

/// The bin of an age in milliseconds.
#[must_use]
pub fn age_bin(age_ms: i64) -> u8 {
    let seconds = age_ms.max(0).unsigned_abs() / 1_000;
    // Bits of the number: 0 has none, 1 has one, 2 and 3 have two.
    let bits = u64::BITS - seconds.leading_zeros();
    u8::try_from(bits).unwrap_or(u8::MAX).min(AGE_BINS - 1)
}

/// All ages of a bin are below this many seconds; the last bin has no end.
#[must_use]
pub fn age_bin_end_s(bin: u8) -> Option<u64> {
    if bin < AGE_BINS - 1 { 1_u64.checked_shl(u32::from(bin)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{AGE_BINS, age_bin, age_bin_end_s};

    #[test]
    fn every_age_lies_in_its_bin() {
        for (age_ms, bin) in [
            (i64::MIN, 0),
            (-1, 0),
            (999, 0),
            (1_000, 1),
            (1_999, 1),
            (2_000, 2),
            (3_999, 2),
            (4_000, 3),
            (4_194_303_999, 22),
            (4_194_304_000, 23),
            (i64::MAX, 23),
        ] {
            assert_eq!(age_bin(age_ms), bin, "{age_ms} ms");
        }
        assert_eq!([0, 1, 2, 22].map(age_bin_end_s), [1, 2, 4, 4_194_304].map(Some));
        assert_eq!(age_bin_end_s(AGE_BINS - 1), None);
    }
}
