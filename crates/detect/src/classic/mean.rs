//! Running mean in the order of operations that decides the last bit.

use serde::{Deserialize, Serialize};

/// Mean of all values so far; 0 of nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Mean {
    /// Number of values, as a float: it is only ever calculated with.
    pub(super) count: f64,
    pub(super) value: f64,
}

impl Mean {
    pub(super) fn add(&mut self, x: f64) {
        self.count += 1.0;
        self.value += (1.0 / self.count) * (x - self.value);
    }
}
