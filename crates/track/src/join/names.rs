//! Names of segments and versions under small numbers, so that rows need not carry text.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of the segment of all rows.
pub(crate) const ALL: u32 = 0;

/// Bounded by the segment values of the champions' references and the number of promotions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Names {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Default for Names {
    fn default() -> Self {
        let all = "*".to_owned();
        Self { names: vec![all.clone()], numbers: BTreeMap::from([(all, ALL)]) }
    }
}

impl Names {
    /// The number of a name, for ever.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The name behind a number.
    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }
}
