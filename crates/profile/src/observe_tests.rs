//! Every value lands in the bin that the layout describes.

use crate::{Bins, ColumnLayout, Counts, Error, Layout};
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::Int32Type;
use proptest::prelude::*;
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn observed(layout: &Layout, rows: &RecordBatch) -> Counts {
    let all: Vec<u32> = (0..rows.num_rows() as u32).collect();
    let mut counts = Counts::default();
    layout.observe(rows, &all, &mut counts).unwrap();
    let of_rows = layout.bins_of(rows, &all).unwrap();
    for column in 0..layout.columns.len() {
        let mut one_by_one = vec![0; layout.bin_count(column)];
        of_rows.iter().for_each(|bins| one_by_one[usize::from(bins[column])] += 1);
        assert_eq!(one_by_one, counts.column(column, layout.bin_count(column)), "row by row");
    }
    counts
}

fn numeric(edges: &[f64]) -> Layout {
    Layout::new(vec![ColumnLayout { name: "x".into(), bins: Bins::Numeric { edges: edges.to_vec() } }])
}

#[test]
fn numbers_find_under_inner_over_and_missing() {
    let cases: [(&[f64], f64, usize); 13] = [
        (&[0.0, 1.0, 2.0], -0.1, 0),
        (&[0.0, 1.0, 2.0], f64::NEG_INFINITY, 0),
        (&[0.0, 1.0, 2.0], -0.0, 1),
        (&[0.0, 1.0, 2.0], 0.9, 1),
        (&[0.0, 1.0, 2.0], 1.0, 2),
        (&[0.0, 1.0, 2.0], 2.0, 2),
        (&[0.0, 1.0, 2.0], 2.1, 3),
        (&[0.0, 1.0, 2.0], f64::INFINITY, 3),
        (&[0.0, 1.0, 2.0], f64::NAN, 4),
        (&[5.0, 5.0], 5.0, 1),
        (&[5.0, 5.0], 6.0, 2),
        (&[], 6.0, 0),
        (&[], f64::NAN, 1),
    ];
    for (edges, value, bin) in cases {
        let layout = numeric(edges);
        let counts = observed(&layout, &batch(vec![("x", Arc::new(Float64Array::from(vec![value])))]));
        let mut expected = vec![0; edges.len() + 2];
        expected[bin] = 1;
        assert_eq!(counts.column(0, layout.bin_count(0)), expected, "{value} among {edges:?}");
    }
}

#[test]
fn every_type_of_column_is_counted_with_its_own_bins() {
    let rows = batch(vec![
        ("float", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(2.0)]))),
        ("integer", Arc::new(Int64Array::from(vec![Some(3), Some(3), None, Some(9)]))),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![Some(5), Some(6), Some(7), None]).with_timezone("UTC"))),
        ("text", Arc::new(StringArray::from(vec![Some("b"), Some("a"), Some("b"), None]))),
        ("small", Arc::new(Int8Array::from(vec![1, 1, 1, 1]))),
        ("coded", Arc::new(vec!["x", "y", "y", "y"].into_iter().collect::<DictionaryArray<Int32Type>>())),
    ]);
    let layout = Layout::from_rows(&rows, 128).unwrap();
    let counts = observed(&layout, &rows);
    let expected: [&[u64]; 7] = [
        &[0, 1, 1, 0, 2],
        &[0, 2, 1, 0, 1],
        &[0, 1, 2, 0, 1],
        &[0, 1, 1, 1, 0, 1],
        &[2, 1, 0, 1],
        &[0, 4, 0, 0],
        &[3, 1, 0, 0],
    ];
    for (column, expected) in expected.into_iter().enumerate() {
        let name = &layout.columns[column].name;
        assert_eq!(counts.column(column, layout.bin_count(column)), expected, "column {name}");
    }
    assert_eq!(layout.values("text"), Some(&["b".to_owned(), "a".to_owned()][..]));
    assert_eq!(counts.rows(), 4);
    // A layout that went through JSON finds the same bins.
    let copy: Layout = serde_json::from_str(&serde_json::to_string(&layout).unwrap()).unwrap();
    assert_eq!(copy, layout);
    assert_eq!(observed(&copy, &rows), counts);
}

#[test]
fn strangers_are_other_and_only_selected_rows_count() {
    let seen = batch(vec![("c", Arc::new(StringArray::from(vec!["a", "b", "a"])))]);
    let layout = Layout::from_rows(&seen, 8).unwrap();
    let rows = batch(vec![("c", Arc::new(StringArray::from(vec!["z", "b", "a", "z"])))]);
    let mut counts = Counts::default();
    layout.observe(&rows, &[0, 1, 0], &mut counts).unwrap();
    assert_eq!(counts.column(0, 4), [0, 1, 2, 0]);
    let refused = layout.observe(&rows, &[4], &mut counts).unwrap_err();
    assert_eq!(refused, Error::Selection { row: 4, rows: 4 });
    assert_eq!(counts.rows(), 3, "a refused batch leaves no trace");
}

#[test]
fn missing_columns_and_wrong_types_are_named() {
    let layout = numeric(&[0.0, 1.0]);
    let cases: [(&str, ArrayRef, &str); 2] = [
        ("y", Arc::new(Int64Array::from(vec![1])), "column x is not in the batch, which has y"),
        (
            "x",
            Arc::new(StringArray::from(vec!["1"])),
            "column x has type Utf8, expected a number, a boolean or a timestamp",
        ),
    ];
    for (name, array, message) in cases {
        let refused = layout.observe(&batch(vec![(name, array)]), &[0], &mut Counts::default());
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

#[test]
fn quantile_bins_hold_equal_shares_of_the_reference() {
    let values: Vec<f64> = (0..12_800_u32).map(|i| f64::from(i * 7919 % 12_800).powi(3)).collect();
    let rows = batch(vec![("x", Arc::new(Float64Array::from(values)))]);
    let layout = Layout::from_rows(&rows, 128).unwrap();
    let bins = observed(&layout, &rows).column(0, layout.bin_count(0));
    assert_eq!(bins.len(), 131);
    assert!(bins[1..=128].iter().all(|count| (98..=102).contains(count)), "{bins:?}");
    assert_eq!((bins[0], bins[129], bins[130]), (0, 0, 0));
}

proptest! {
    #[test]
    fn batches_cut_anywhere_count_as_one(values in prop::collection::vec(prop::option::of(-5.0_f64..5.0), 1..100), cut in 0_usize..100) {
        let rows = batch(vec![("x", Arc::new(Float64Array::from(values)))]);
        let layout = Layout::from_rows(&rows, 16).unwrap();
        let cut = cut.min(rows.num_rows());
        let mut parts = observed(&layout, &rows.slice(0, cut));
        parts.merge(&observed(&layout, &rows.slice(cut, rows.num_rows() - cut)));
        let whole = observed(&layout, &rows);
        prop_assert_eq!(whole.column(0, layout.bin_count(0)).iter().sum::<u64>(), whole.rows());
        prop_assert_eq!(parts, whole);
    }
}
