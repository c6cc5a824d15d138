//! All columns at once: sums of the bundle's kernel, by slice and version, until the window is final.
//!
//! They are kept beside the slices, and what watches them beside the watch of single columns, since
//! checkpoints of before have neither.

use crate::config::{Config, Known};
use crate::judge::Turn;
use crate::state::Slice;
use crate::windows::ALL;
use detect::joint;
use domain::Version;
use profile::MeanVector;
use records::journal::KernelCell;
use records::window::Joint;
use std::collections::BTreeMap;

/// How all columns together are named among those that an alert names.
pub const JOINT_DISTRIBUTION: &str = "joint_distribution";

impl Turn<'_> {
    /// Takes the sum of some rows into that of their slice, unless its window was written for good or the
    /// version's bundle has another kernel.
    pub(crate) fn admit_together(&mut self, cell: KernelCell<MeanVector>) {
        let kernel = self.known.get(&cell.version).and_then(|known| known.kernel.as_ref());
        let fits = kernel.is_some_and(|kernel| cell.sum.is_of(kernel.frequencies.len()));
        if !fits || !self.takes(&self.state.together, cell.slice_start_ms) {
            // The rows were counted with the pane beside it.
            return;
        }
        let by_version = self.state.together.entry(cell.slice_start_ms).or_default();
        by_version.entry(cell.version).or_default().merge(&cell.sum);
    }

    /// The sum of the rows of a slice that a version scored, if it is of all of them: a replica that does not
    /// know the kernel yet tells none, and those of some partitions are not like the rest.
    pub(crate) fn sum_together(&self, start_ms: i64, version: &Version, slice: &Slice) -> Option<&MeanVector> {
        let sum = self.state.together.get(&start_ms)?.get(version)?;
        slice.scored.get(version).filter(|scored| scored.rows == sum.rows()).map(|_| sum)
    }

    /// How far a slice lies from each version's reference, by version; over all versions only where there
    /// is one.
    pub(crate) fn joint_by_version(&self, start_ms: i64, slice: &Slice) -> BTreeMap<String, Joint> {
        let mut found = BTreeMap::new();
        for version in slice.scored.keys() {
            let Some(joint) = self.known.get(version).and_then(|known| {
                let sum = self.sum_together(start_ms, version, slice)?;
                compared(known, sum, self.config)
            }) else {
                continue;
            };
            if slice.scored.len() == 1 {
                found.insert(ALL.to_owned(), joint);
            }
            found.insert(version.as_str().to_owned(), joint);
        }
        found
    }
}

fn compared(known: &Known, sum: &MeanVector, config: &Config) -> Option<Joint> {
    let found = joint::compare(known.kernel.as_ref()?, sum, config.joint_tolerance)?;
    let is_finite = found.squared_discrepancy.is_finite() && found.p_value.is_finite();
    is_finite.then_some(Joint {
        squared_mmd: found.squared_discrepancy,
        threshold: found.threshold.min(f64::MAX),
        p_value: found.p_value,
        drifted: found.p_value <= detect::drift::LEVEL,
    })
}
