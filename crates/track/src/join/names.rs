//! Names of segments and versions under small numbers, so that rows need not carry text.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Number of the segment of all rows.
pub(crate) const ALL: u32 = 0;

/// Values of one segment column that get a name of their own; later ones are `other`. A version has
/// a vocabulary of at most some 66 values, so what score writes comes near it only after many
/// promotions that each bring new values.
pub(crate) const VALUES_PER_COLUMN: usize = 4_096;

/// Bounded by the segment values of the champions' references and the number of promotions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Names {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
    values: BTreeMap<String, usize>,
}

impl Default for Names {
    fn default() -> Self {
        let all = "*".to_owned();
        Self { names: vec![all.clone()], numbers: BTreeMap::from([(all, ALL)]), values: BTreeMap::new() }
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

    /// The number of a value of a segment column: of `column=value`, or of `column=other`.
    pub(crate) fn segment(&mut self, column: &str, value: &str) -> u32 {
        let name = format!("{column}={value}");
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        match self.values.get_mut(column) {
            Some(values) if *values >= VALUES_PER_COLUMN => return self.number(&format!("{column}=other")),
            Some(values) => *values += 1,
            None => {
                self.values.insert(column.to_owned(), 1);
            }
        }
        self.number(&name)
    }

    /// The name behind a number.
    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }
}
