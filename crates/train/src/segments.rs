//! Training rows of the segments that drift is watched in.

use crate::Spec;
use arrow::array::RecordBatch;
use domain::FieldType;
use profile::segments::{ROWS_MIN, SEGMENTS_MAX};
use profile::{Layout, SegmentValues, segment_name};
use std::cmp::Reverse;

/// Row numbers by segment, in the order of the rows: of the segments that have enough of them, and of
/// more than can be kept those that have most.
pub(crate) fn members(spec: &Spec, layout: &Layout, rows: &RecordBatch) -> Vec<(String, Vec<u32>)> {
    let mut found: Vec<(String, Vec<u32>)> = Vec::new();
    for segment in &spec.drift_segments {
        let is_boolean =
            spec.schema.fields.iter().any(|f| f.name == segment.column && f.field_type == FieldType::Boolean);
        let values = SegmentValues::new(layout, &segment.column, is_boolean);
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); values.values().len()];
        let codes = values.codes(rows.column_by_name(&segment.column), rows.num_rows());
        for (row, code) in (0_u32..).zip(codes) {
            if let Some(of_code) = members.get_mut(code as usize) {
                of_code.push(row);
            }
        }
        let names = values.values().iter().map(|value| segment_name(&segment.name, value));
        found.extend(names.zip(members).filter(|(_, members)| members.len() >= ROWS_MIN));
    }
    found.sort_by(|(a, of_a), (b, of_b)| (Reverse(of_a.len()), a).cmp(&(Reverse(of_b.len()), b)));
    found.truncate(SEGMENTS_MAX);
    found
}

/// The rows of each slice that are members; both are in order.
pub(crate) fn within(slices: &[Vec<u32>], members: &[u32]) -> Vec<Vec<u32>> {
    let rows = |slice: &Vec<u32>| {
        let (Some(first), Some(last)) = (slice.first(), slice.last()) else { return Vec::new() };
        let from = members.partition_point(|row| row < first);
        let until = members.partition_point(|row| row <= last);
        members.get(from..until).unwrap_or_default().to_vec()
    };
    // Slices without such rows stay: whoever looks at runs of slices counts them too.
    slices.iter().map(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn slices_keep_the_rows_that_are_members() {
        let slices = [vec![2, 3, 4], vec![5, 6], vec![7], vec![8, 9]];
        assert_eq!(within(&slices, &[0, 3, 4, 7, 9, 12]), [vec![3, 4], vec![], vec![7], vec![9]]);
        assert_eq!(within(&slices, &[]), vec![Vec::<u32>::new(); 4]);
        assert_eq!(within(&[], &[1]), Vec::<Vec<u32>>::new());
    }
}
