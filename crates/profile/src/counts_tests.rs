//! Merging and subtracting are exact, whatever the cuts; bytes are sparse and bounded.

use super::Counts;
use proptest::prelude::*;

fn counts(rows: &[(usize, usize)]) -> Counts {
    let mut counts = Counts::default();
    for (column, bin) in rows {
        counts.bins_mut(*column, bin + 1)[*bin] += 1;
    }
    counts.add_rows(rows.len() as u64);
    counts
}

fn bytes(counts: &Counts) -> Vec<u8> {
    postcard::to_stdvec(counts).unwrap()
}

proptest! {
    #[test]
    fn parts_in_any_cut_and_order_merge_to_the_whole(
        rows in prop::collection::vec((0_usize..5, 0_usize..131), 0..200),
        cut in 0_usize..200,
        turn in any::<bool>(),
    ) {
        let (left, right) = rows.split_at(cut.min(rows.len()));
        let (mut first, mut second) = (counts(left), counts(right));
        if turn {
            std::mem::swap(&mut first, &mut second);
        }
        let whole = counts(&rows);
        first.merge(&second);
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(bytes(&first), bytes(&whole));
        first.subtract(&second).unwrap();
        second.subtract(&second.clone()).unwrap();
        prop_assert!(second.is_empty());
        prop_assert_eq!(second, Counts::default());
    }

    #[test]
    fn what_was_merged_can_be_taken_out_again(
        rows in prop::collection::vec((0_usize..5, 0_usize..131), 0..100),
        more in prop::collection::vec((0_usize..7, 0_usize..131), 0..100),
    ) {
        let before = counts(&rows);
        let mut after = before.clone();
        after.merge(&counts(&more));
        after.subtract(&counts(&more)).unwrap();
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(bytes(&after), bytes(&before));
        prop_assert_eq!(postcard::from_bytes::<Counts>(&bytes(&after)).unwrap(), after);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(counts) = postcard::from_bytes::<Counts>(&bytes) {
            let mut twice = counts.clone();
            twice.merge(&counts);
            prop_assert!(twice.rows() >= counts.rows());
        }
    }
}

#[test]
fn few_rows_are_few_bytes() {
    // rows, columns, then per column: pairs, and (skipped, count) each of one byte.
    let sparse = bytes(&counts(&[(0, 100), (2, 7)]));
    assert_eq!(sparse, [2, 3, 1, 100, 1, 0, 1, 7, 1]);
}

#[test]
fn a_bin_beyond_the_limit_is_refused_before_it_is_allocated() {
    let hostile = postcard::to_stdvec(&(1_u64, vec![vec![(u32::MAX, 1_u64)]])).unwrap();
    assert!(postcard::from_bytes::<Counts>(&hostile).is_err());
}

#[test]
fn nothing_becomes_negative_and_a_refusal_changes_nothing() {
    let cases = [
        (counts(&[(0, 1)]), counts(&[(0, 1), (0, 1)]), "cannot subtract 2 from 1 rows (column None, bin None)"),
        (counts(&[(0, 1)]), counts(&[(1, 0)]), "cannot subtract 1 from 0 rows (column Some(1), bin Some(0))"),
    ];
    for (mut have, less, message) in cases {
        let before = have.clone();
        assert_eq!(have.subtract(&less).unwrap_err().to_string(), message);
        assert_eq!(have, before);
    }
}
