//! Harm: the realised loss of a version exceeds its reference by more than the tolerance.
//!
//! Two monitors, since one cannot keep a budget of false alarms and be quick: [`Trigger`] starts
//! runs and pages nobody, [`Page`] keeps the stated budget. Both are e-detectors (Shin, Ramdas,
//! Rinaldo, NEJSDS 2023): while the mean given the past is at most p0, alarms in n test slices
//! number at most n / threshold in expectation, whatever the distribution.
//! Rules as tried on recorded data, with [`plan()`] deriving p0 and bets from the validation fold.

mod page;
mod plan;
mod trigger;

pub use page::Page;
pub use plan::{PageBets, Plan, TOLERANCE, gap_plan, page_threshold, plan};
pub use trigger::{Alarm, TRIGGER_THRESHOLD, Trigger};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;
