//! Metrics of a classifier that follow from how often which class was predicted for which.

use crate::interval::{Estimate, Z_95, mover, wilson};

/// Rows by label and predicted class, with their margins.
#[derive(Debug, Clone)]
pub(crate) struct Confusion {
    cells: Vec<(usize, usize, f64)>,
    classes: Vec<Class>,
    rows: i64,
    right: i64,
}

/// Rows of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    labelled: i64,
    predicted: i64,
    right: i64,
}

impl Class {
    fn occurs(&self) -> bool {
        self.labelled > 0 || self.predicted > 0
    }
}

/// How classes are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Average {
    /// Equal weights of the classes that occur as label or as prediction.
    Macro,
    /// Weights by number of labels.
    Weighted,
}

#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> f64 {
    // As scikit-learn: what is undefined counts as 0 in an average.
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

impl Confusion {
    /// Of label, predicted class and rows. `None` without rows, and where some count is negative:
    /// an incomplete window has no rates.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn new(classes: usize, counts: impl Iterator<Item = (usize, usize, i64)>) -> Option<Self> {
        let mut found = Self { cells: Vec::new(), classes: vec![Class::default(); classes], rows: 0, right: 0 };
        for (label, predicted, rows) in counts {
            if rows < 0 {
                return None;
            }
            found.cells.push((label, predicted, rows as f64));
            found.rows = found.rows.saturating_add(rows);
            let class = found.classes.get_mut(label)?;
            class.labelled = class.labelled.saturating_add(rows);
            if label == predicted {
                class.right = class.right.saturating_add(rows);
                found.right = found.right.saturating_add(rows);
            }
            let class = found.classes.get_mut(predicted)?;
            class.predicted = class.predicted.saturating_add(rows);
        }
        (found.rows > 0).then_some(found)
    }

    fn class(&self, class: usize) -> Class {
        self.classes.get(class).copied().unwrap_or_default()
    }

    /// Share of rows predicted right; Wilson.
    pub(crate) fn accuracy(&self) -> Option<Estimate> {
        wilson(self.right, self.rows)
    }

    /// Of the rows predicted as the class, the share that is; Wilson. `None` without such rows.
    pub(crate) fn precision(&self, class: usize) -> Option<Estimate> {
        wilson(self.class(class).right, self.class(class).predicted)
    }

    /// Of the rows of the class, the share predicted so; Wilson. `None` without such rows.
    pub(crate) fn recall(&self, class: usize) -> Option<Estimate> {
        wilson(self.class(class).right, self.class(class).labelled)
    }

    /// Share of rows predicted as the class; Wilson.
    pub(crate) fn predicted_share(&self, class: usize) -> Option<Estimate> {
        wilson(self.class(class).predicted, self.rows)
    }

    /// 2 TP / (2 TP + FP + FN) of a class. It rises with TP / (TP + FP + FN), which is a rate among
    /// the rows that are or are predicted as the class: the interval is Wilson's of that rate.
    pub(crate) fn f1(&self, class: usize) -> Option<Estimate> {
        let class = self.class(class);
        let either = class.labelled.saturating_add(class.predicted).saturating_sub(class.right);
        let f1 = |rate: f64| 2.0 * rate / (1.0 + rate);
        let rate = wilson(class.right, either)?;
        Some(Estimate { value: f1(rate.value), low: rate.low.map(f1), high: rate.high.map(f1) })
    }

    /// Mean recall of the classes that have labels; independent rates, so MOVER.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn balanced_accuracy(&self) -> Estimate {
        let recalls: Vec<Estimate> = (0..self.classes.len()).filter_map(|class| self.recall(class)).collect();
        let weight = 1.0 / recalls.len().max(1) as f64;
        mover(recalls.into_iter().map(|recall| (weight, recall)))
    }

    /// Mean recall of the classes that occur; MOVER.
    pub(crate) fn recall_macro(&self) -> Estimate {
        self.mean_rate(|class| self.recall(class))
    }

    /// Mean precision of the classes that occur; MOVER.
    pub(crate) fn precision_macro(&self) -> Estimate {
        self.mean_rate(|class| self.precision(class))
    }

    fn mean_rate(&self, rate: impl Fn(usize) -> Option<Estimate>) -> Estimate {
        mover(self.weights(Average::Macro).into_iter().map(|(class, weight)| {
            // A class without such rows counts as 0, and its interval, were there one, is unknown.
            (weight, rate(class).unwrap_or(Estimate::bare(0.0)))
        }))
    }

    #[allow(clippy::cast_precision_loss)]
    fn weights(&self, average: Average) -> Vec<(usize, f64)> {
        let occurring = self.classes.iter().filter(|class| class.occurs()).count().max(1) as f64;
        let weight = |class: &Class| match average {
            Average::Macro => 1.0 / occurring,
            Average::Weighted => share(class.labelled, self.rows),
        };
        self.classes.iter().enumerate().filter(|(_, c)| c.occurs()).map(|(i, c)| (i, weight(c))).collect()
    }

    /// Precision averaged by number of labels; delta method.
    pub(crate) fn precision_weighted(&self) -> Estimate {
        let precision = |class: usize| share(self.class(class).right, self.class(class).predicted);
        let value = self.weights(Average::Weighted).into_iter().map(|(class, w)| w * precision(class)).sum();
        self.delta(value, 0.0, |label, predicted| {
            let (hit, column) = (f64::from(u8::from(label == predicted)), self.class(predicted));
            precision(label) + share(column.labelled, column.predicted) * (hit - precision(predicted))
        })
    }

    /// Mean F1 of the classes that occur; delta method (K. Takahashi and others, Applied
    /// Intelligence 52, 2022).
    pub(crate) fn f1_macro(&self) -> Estimate {
        self.f1_average(Average::Macro)
    }

    /// F1 averaged by number of labels; delta method.
    pub(crate) fn f1_weighted(&self) -> Estimate {
        self.f1_average(Average::Weighted)
    }

    /// F = 2 p_right / s of a class, with s the share labelled plus the share predicted so:
    /// ∂F/∂p = 2 (1 − F) / s where both hold, −F / s where one does.
    #[allow(clippy::cast_precision_loss)]
    fn f1_average(&self, average: Average) -> Estimate {
        let mut slopes = vec![(0.0, 0.0); self.classes.len()];
        let mut value = 0.0;
        for (class, weight) in self.weights(average) {
            let rows = self.class(class);
            let either = rows.labelled.saturating_add(rows.predicted);
            let f1 = share(rows.right.saturating_mul(2), either);
            value += weight * f1;
            if let Some(slope) = slopes.get_mut(class) {
                *slope = (f1, weight * self.rows as f64 / either as f64);
            }
        }
        let slope = |class: usize| slopes.get(class).copied().unwrap_or_default();
        // The weights are shares of labels, hence functions of the cells too.
        let by_weight = f64::from(u8::from(average == Average::Weighted));
        self.delta(value, 0.0, |label, predicted| {
            let ((row_f1, row), (column_f1, column)) = (slope(label), slope(predicted));
            let hit = if label == predicted { row + column } else { 0.0 };
            by_weight * row_f1 + hit - row_f1 * row - column_f1 * column
        })
    }

    /// Cohen's kappa = (p0 − pe) / (1 − pe); standard error by the delta method, which is that of
    /// J. L. Fleiss, J. Cohen, B. S. Everitt (Psychological Bulletin 72, 1969). `None` where all
    /// rows are and are predicted as one class.
    pub(crate) fn kappa(&self) -> Option<Estimate> {
        let chance: f64 =
            self.classes.iter().map(|c| share(c.labelled, self.rows) * share(c.predicted, self.rows)).sum();
        if chance >= 1.0 {
            return None;
        }
        let wrong = 1.0 - share(self.right, self.rows);
        let value = 1.0 - wrong / (1.0 - chance);
        Some(self.delta(value, -1.0, |label, predicted| {
            let hit = f64::from(u8::from(label == predicted));
            let by_chance =
                share(self.class(label).predicted, self.rows) + share(self.class(predicted).labelled, self.rows);
            hit / (1.0 - chance) - wrong / ((1.0 - chance) * (1.0 - chance)) * by_chance
        }))
    }

    /// A function of the cells' shares p with gradient g: variance (Σ p g² − (Σ p g)²) / n.
    #[allow(clippy::cast_precision_loss)]
    fn delta(&self, value: f64, least: f64, gradient: impl Fn(usize, usize) -> f64) -> Estimate {
        let n = self.rows as f64;
        let (mut mean, mut squares) = (0.0, 0.0);
        for (label, predicted, rows) in &self.cells {
            let g = gradient(*label, *predicted);
            mean += rows / n * g;
            squares += rows / n * g * g;
        }
        let half = Z_95 * ((squares - mean * mean).max(0.0) / n).sqrt();
        Estimate::within(value, half, least, 1.0)
    }
}

/// How much better than a baseline on the same rows: (accuracy − baseline) / (1 − baseline).
/// With the accuracy of the most frequent class it is kappa-M, with that of repeating the last
/// label kappa-temporal (A. Bifet and others, KDD 2015). 1 is perfect, 0 no better than the
/// baseline. `None` where the baseline is perfect or one of both is no rate.
#[must_use]
pub fn kappa_against(accuracy: f64, baseline_accuracy: f64) -> Option<f64> {
    let are_rates = (0.0..=1.0).contains(&accuracy) && (0.0..1.0).contains(&baseline_accuracy);
    are_rates.then(|| (accuracy - baseline_accuracy) / (1.0 - baseline_accuracy))
}
