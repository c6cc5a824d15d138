//! A reference survives its bytes, and broken bytes are refused with a reason.

use super::Reference;
use crate::{Bins, Counts, Layout};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use std::sync::Arc;

fn reference() -> Reference {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("x", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0), Some(4.0)]))),
        ("c", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("a"), None]))),
        ("empty", Arc::new(Float64Array::from(vec![None, None, None, None]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let layout = Layout::from_rows(&rows, 128).unwrap();
    let mut counts = Counts::default();
    layout.observe(&rows, &[0, 1, 2, 3], &mut counts).unwrap();
    Reference { layout, counts, importance: vec![0.75, 0.25, 0.0] }
}

#[test]
fn it_survives_its_bytes_and_the_bytes_are_stable() {
    let bytes = reference().to_arrow().unwrap();
    assert_eq!(bytes, reference().to_arrow().unwrap());
    let read = Reference::from_arrow(&bytes).unwrap();
    assert_eq!(read, reference());
    assert_eq!(read.to_arrow().unwrap(), bytes);
}

#[test]
fn broken_profiles_are_refused_with_a_reason() {
    fn edited(edit: impl Fn(&mut Reference)) -> Reference {
        let mut broken = reference();
        edit(&mut broken);
        broken.layout = Layout::new(broken.layout.columns);
        broken
    }
    let cases: [(Reference, &str); 6] = [
        (edited(|r| r.counts.add_rows(1)), "reference profile: counts of column x sum to 4, expected 5"),
        (edited(|r| r.layout.columns[2].name = "x".into()), "reference profile: column x comes twice"),
        (edited(|r| r.importance[0] = f64::NAN), "reference profile: an importance outside of 0 to 1"),
        (
            edited(|r| r.layout.columns[0].bins = Bins::Numeric { edges: vec![2.0, 1.0, 3.0, 4.0] }),
            "reference profile: edges of column x are not finite, ascending and at most 1024",
        ),
        (
            edited(|r| r.layout.columns[1].bins = Bins::Category { values: vec!["a".into(), "a".into()] }),
            "reference profile: values of column c are not distinct and at most 64",
        ),
        (
            edited(|r| r.layout.columns[0].bins = Bins::Numeric { edges: vec![1.0] }),
            "reference profile: edges of column x are not finite, ascending and at most 1024",
        ),
    ];
    for (broken, message) in cases {
        let bytes = broken.to_arrow().unwrap();
        assert_eq!(Reference::from_arrow(&bytes).unwrap_err().to_string(), message);
    }
    let short = Reference { importance: vec![1.0], ..reference() };
    assert_eq!(short.to_arrow().unwrap_err().to_string(), "reference profile: 1 importances for 3 columns");
}

#[test]
fn torn_bytes_are_errors() {
    let bytes = reference().to_arrow().unwrap();
    for length in 0..bytes.len() - 8 {
        // The last eight bytes mark the end of the stream; a batch before it is complete.
        if let Ok(read) = Reference::from_arrow(&bytes[..length]) {
            assert_eq!(read, reference(), "cut at {length}");
        }
    }
    assert!(Reference::from_arrow(&[]).is_err());
}
