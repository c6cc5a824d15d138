//! Sums of values and of their squares, and vectors of sums.

use domain::Fixed;
use serde::{Deserialize, Serialize};

/// The term, rounded, of a row that comes or goes.
pub(crate) fn signed(term: f64, sign: i64) -> Fixed {
    let term = Fixed::from_f64(term);
    if sign < 0 { -term } else { term }
}

/// Adds or takes out a term.
pub(crate) fn apply(sum: &mut Fixed, term: f64, sign: i64) {
    *sum += signed(term, sign);
}

/// +1 or −1.
pub(crate) fn unit(sign: i64) -> i64 {
    if sign < 0 { -1 } else { 1 }
}

/// Σx and Σx² of a value per row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub(crate) sum: Fixed,
    pub(crate) squares: Fixed,
}

impl Moments {
    pub(crate) fn add(&mut self, value: f64, sign: i64) {
        apply(&mut self.sum, value, sign);
        apply(&mut self.squares, value * value, sign);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// Adds term i of an iterator to sum i. Zero sums at the end are left out, so that a row taken
/// out again leaves no trace.
pub(crate) fn add_terms(sums: &mut Vec<Fixed>, terms: impl Iterator<Item = f64>, sign: i64) {
    for (i, term) in terms.enumerate() {
        if sums.len() <= i {
            sums.push(Fixed::ZERO);
        }
        if let Some(sum) = sums.get_mut(i) {
            apply(sum, term, sign);
        }
    }
    trim(sums);
}

pub(crate) fn merge_terms(sums: &mut Vec<Fixed>, other: &[Fixed]) {
    if sums.len() < other.len() {
        sums.resize(other.len(), Fixed::ZERO);
    }
    for (sum, more) in sums.iter_mut().zip(other) {
        *sum += *more;
    }
    trim(sums);
}

fn trim(sums: &mut Vec<Fixed>) {
    while sums.last() == Some(&Fixed::ZERO) {
        sums.pop();
    }
}

/// The sums as numbers, as many as asked for.
pub(crate) fn padded(sums: &[Fixed], count: usize) -> Vec<f64> {
    (0..count).map(|i| sums.get(i).map_or(0.0, |sum| sum.to_f64())).collect()
}
