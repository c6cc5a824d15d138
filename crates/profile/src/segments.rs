//! Values of a segmentation, and what a reference says of each.

use crate::counts::Counts;
use crate::layout::Layout;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Segment value of what the reference does not know.
const OTHER: &str = "other";
/// Segment value of a null.
const MISSING: &str = "missing";

/// Segments that are profiled on their own, over all segmentations: each costs as much memory as all
/// rows together do. Those with most rows in the reference are kept.
pub const SEGMENTS_MAX: usize = 64;
/// Rows of the reference below which a segment is not profiled on its own.
pub const ROWS_MIN: usize = 500;

/// Counts of the reference rows of each profiled segment, in the bins of all rows; by `name=value`.
pub type SegmentCounts = BTreeMap<String, Counts>;

/// What a bundle says of segments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segments {
    /// Column of each segmentation that was profiled, by name: under another column the same name
    /// means something else.
    pub columns: BTreeMap<String, String>,
    /// The profiles.
    pub counts: SegmentCounts,
}

/// Name of a segment in windows, panes and references.
#[must_use]
pub fn segment_name(segmentation: &str, value: &str) -> String {
    format!("{segmentation}={value}")
}

/// Values of one segmentation: those of the reference, `other` and `missing`.
#[derive(Debug, Clone)]
pub struct SegmentValues {
    values: Vec<String>,
    known: BTreeMap<String, u32>,
    other: u32,
    missing: u32,
}

impl SegmentValues {
    /// Of a column: the values with a bin of their own, and of a boolean one both.
    #[must_use]
    pub fn new(layout: &Layout, column: &str, is_boolean: bool) -> Self {
        let mut made = Self { values: Vec::new(), known: BTreeMap::new(), other: 0, missing: 0 };
        if is_boolean {
            made.code("false");
            made.code("true");
        }
        for value in layout.values(column).unwrap_or_default() {
            made.code(value);
        }
        made.other = made.code(OTHER);
        made.missing = made.code(MISSING);
        made
    }

    /// The values, by code.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Code of a value, which is added if it is new.
    fn code(&mut self, value: &str) -> u32 {
        if let Some(known) = self.known.get(value) {
            return *known;
        }
        let code = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.to_owned());
        self.known.insert(value.to_owned(), code);
        code
    }

    /// Code of every row of a column; a column of another type, or none, is all `other`.
    #[must_use]
    pub fn codes(&self, column: Option<&ArrayRef>, rows: usize) -> Vec<u32> {
        let code = |value: Option<&str>| match value {
            Some(value) => self.known.get(value).copied().unwrap_or(self.other),
            None => self.missing,
        };
        match column {
            Some(column) if column.data_type() == &DataType::Utf8 => {
                column.as_string::<i32>().iter().map(code).collect()
            }
            Some(column) if column.data_type() == &DataType::Boolean => {
                let text = |value: bool| if value { "true" } else { "false" };
                column.as_boolean().iter().map(|value| code(value.map(text))).collect()
            }
            _ => vec![self.other; rows],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SegmentValues;
    use crate::{Bins, ColumnLayout, Layout};
    use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};
    use std::sync::Arc;

    fn codes(column: Option<ArrayRef>, is_boolean: bool) -> Vec<String> {
        let bins = Bins::Category { values: vec!["b".to_owned(), "missing".to_owned(), "a".to_owned()] };
        let layout = Layout::new(vec![ColumnLayout { name: "column".to_owned(), bins }]);
        let values = SegmentValues::new(&layout, if is_boolean { "flag" } else { "column" }, is_boolean);
        let codes = values.codes(column.as_ref(), 2);
        codes.iter().map(|code| values.values()[*code as usize].clone()).collect()
    }

    #[test]
    fn every_row_has_a_value_whatever_the_column_holds() {
        let texts = StringArray::from(vec![Some("a"), Some("b"), Some("never seen"), None, Some("missing")]);
        let expected = ["a", "b", "other", "missing", "missing"];
        assert_eq!(codes(Some(Arc::new(texts)), false), expected);
        let flags = BooleanArray::from(vec![Some(true), None, Some(false)]);
        assert_eq!(codes(Some(Arc::new(flags)), true), ["true", "missing", "false"]);
        assert_eq!(codes(Some(Arc::new(Float64Array::from(vec![1.0, 2.0]))), false), ["other", "other"]);
        assert_eq!(codes(None, false), ["other", "other"]);
    }
}
