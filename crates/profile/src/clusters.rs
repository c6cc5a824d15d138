//! Numbers of clusters as a column that is profiled like any other.

use arrow::array::StringArray;

/// The cluster of every row as a category: its number, in words.
pub fn cluster_names(clusters: impl Iterator<Item = usize>) -> StringArray {
    // One text per cluster, not per row.
    let mut names: Vec<String> = Vec::new();
    let mut numbers = Vec::new();
    for cluster in clusters {
        let place = cluster.min(NAMES_MAX);
        while names.len() <= place {
            names.push(names.len().to_string());
        }
        numbers.push(place);
    }
    numbers.iter().map(|place| names.get(*place).map(String::as_str)).collect()
}

/// Clusters that are told apart: as many as a model may have.
const NAMES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::cluster_names;

    #[test]
    fn every_row_has_its_cluster_s_number() {
        let found = cluster_names([2, 0, 11, usize::MAX].into_iter());
        let found: Vec<&str> = found.iter().flatten().collect();
        assert_eq!(found, ["2", "0", "11", "4096"]);
    }
}
