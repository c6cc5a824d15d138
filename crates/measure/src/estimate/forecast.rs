//! What is expected of scored rows, whatever the task.

use super::gap::{Gap, error_gap, gap};
use super::{ChildSums, Expected};
use crate::Performance;
use crate::interval::Estimate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sums over rows whose labels are not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Forecast {
    /// Of a classification: from its calibrated probabilities.
    Classes(Expected),
    /// Of a regression: from the child models that predict its errors.
    Errors(ChildSums),
}

impl Forecast {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> i64 {
        match self {
            Self::Classes(expected) => expected.rows(),
            Self::Errors(sums) => sums.rows(),
        }
    }

    /// Adds the other's sums. Those of another kind are no sums of the same rows: nothing is added,
    /// and the answer is `false`.
    pub fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Classes(ours), Self::Classes(more)) => ours.merge(more),
            (Self::Errors(ours), Self::Errors(more)) => ours.merge(more),
            _ => return false,
        }
        true
    }

    /// The metrics to be expected, by name.
    #[must_use]
    pub fn estimates(&self) -> BTreeMap<String, Estimate> {
        match self {
            Self::Classes(expected) => expected.estimates(),
            Self::Errors(sums) => sums.estimates(),
        }
    }

    /// Realised minus estimated, with the name of the metric: `accuracy`, or `mae` of numbers. `None`
    /// where one of them is not known, or they are of different tasks.
    #[must_use]
    pub fn gap(&self, served: &Performance) -> Option<(&'static str, Gap)> {
        match (self, served) {
            (Self::Errors(sums), Performance::Regression(_) | Performance::Binned { .. }) => {
                let realised = served.regression()?;
                Some(("mae", error_gap(realised.mae()?, realised.rows(), sums)?))
            }
            (Self::Classes(expected), Performance::Binary(_) | Performance::Multiclass(_)) => {
                Some(("accuracy", gap(served.right(), served.rows(), expected)?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Forecast;
    use crate::{ChildSums, Expected, Performance, Shape};
    use domain::Task;

    fn errors(of: &[(f64, f64)]) -> Forecast {
        let mut sums = ChildSums::default();
        of.iter().for_each(|(absolute, squared)| sums.add(*absolute, Some(*squared), 1));
        Forecast::Errors(sums)
    }

    #[test]
    fn numbers_have_a_mean_error_and_a_gap_to_the_realised_one() {
        let mut forecast = errors(&[(1.0, 2.0), (3.0, 10.0)]);
        assert!(forecast.merge(&errors(&[(2.0, 5.0), (2.0, 5.0)])));
        let mut served = Performance::empty(Shape { task: Task::Regression, classes: 0 });
        for (prediction, label) in [(1.0, 2.0), (5.0, 1.0)] {
            served.add(&[prediction], label, 1);
        }
        // Realised (1 + 4) / 2, expected (1 + 3 + 2 + 2) / 4; the variance inside is 1 in each row, that
        // between rows 0.5: √(1/2 + 0.5 (1/2 − 1/4)).
        let (name, gap) = forecast.gap(&served).unwrap();
        assert_eq!((name, gap.value), ("mae", 0.5));
        assert!((gap.standard_error - 0.625_f64.sqrt()).abs() < 1e-12, "{gap:?}");
        assert_eq!(forecast.estimates()["mae"].value, 2.0);
        assert_eq!(forecast.rows(), 4);
    }

    #[test]
    fn kinds_do_not_mix() {
        let mut forecast = errors(&[(1.0, 2.0)]);
        let before = forecast.clone();
        assert!(!forecast.merge(&Forecast::Classes(Expected::new(2))));
        assert_eq!(forecast, before);
        assert!(forecast.gap(&Performance::empty(Shape { task: Task::BinaryClassification, classes: 2 })).is_none());
    }
}
