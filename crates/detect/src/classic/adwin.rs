//! ADWIN, the adaptive window (Bifet, Gavaldà, SIAM Data Mining 2007).

use super::Detector;
use serde::{Deserialize, Serialize};

/// What an [`Adwin`] is set to. The defaults are River's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdwinOptions {
    /// Confidence of a cut, above 0: 0.002.
    pub delta: f64,
    /// Values between two looks: 32.
    pub clock: u64,
    /// Entries of one size before two of them merge: 5 (2 to 64).
    pub entries_max: usize,
    /// Least values on either side of a cut: 5.
    pub side_min: f64,
    /// Values that the window must exceed before the first look: 10.
    pub grace: f64,
}

impl Default for AdwinOptions {
    fn default() -> Self {
        Self { delta: 0.002, clock: 32, entries_max: 5, side_min: 5.0, grace: 10.0 }
    }
}

/// Summary of 2^i neighbouring values, i being the number of its row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Entry {
    total: f64,
    /// Sum of squared deviations from the entry's mean.
    deviations: f64,
}

/// A window that forgets its oldest values once their mean differs from that of the newer ones.
/// Its memory grows with the logarithm of the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    options: AdwinOptions,
    /// Row i holds entries of 2^i values, oldest first; the last row holds the oldest values.
    rows: Vec<Vec<Entry>>,
    width: f64,
    total: f64,
    deviations: f64,
    ticks: u64,
    drifted: bool,
}

impl Adwin {
    /// A detector that has seen nothing. Options out of range count as the nearest in range.
    #[must_use]
    pub fn new(options: AdwinOptions) -> Self {
        let AdwinOptions { delta, clock, entries_max, side_min, grace } = options;
        let options = AdwinOptions {
            delta: delta.max(f64::MIN_POSITIVE),
            clock: clock.max(1),
            entries_max: entries_max.clamp(2, 64),
            side_min: side_min.max(1.0),
            grace: grace.max(1.0),
        };
        Self { options, rows: Vec::new(), width: 0.0, total: 0.0, deviations: 0.0, ticks: 0, drifted: false }
    }

    /// Number of values in the window.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Sum of the values in the window.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Sum of squared deviations from the window's mean (what River calls the variance).
    #[must_use]
    pub fn deviations(&self) -> f64 {
        self.deviations
    }

    /// Mean of the values in the window; 0 of nothing.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.width > 0.0 { self.total / self.width } else { 0.0 }
    }

    fn insert(&mut self, x: f64) {
        self.width += 1.0;
        if self.width > 1.0 {
            let gap = x - self.total / (self.width - 1.0);
            self.deviations += (self.width - 1.0) * gap * gap / self.width;
        }
        self.total += x;
        let mut carried = Entry { total: x, deviations: 0.0 };
        let mut values = 1.0;
        for row in &mut self.rows {
            row.push(carried);
            if row.len() <= self.options.entries_max {
                return;
            }
            let mut oldest = row.drain(..2);
            let (Some(first), Some(second)) = (oldest.next(), oldest.next()) else { return };
            carried = merged(first, second, values);
            values *= 2.0;
        }
        self.rows.push(vec![carried]);
    }

    /// Forgets the oldest entry. The order of the operations decides the last bit.
    fn forget(&mut self) {
        let values = size_of_row(self.rows.len().saturating_sub(1));
        let Some(row) = self.rows.last_mut().filter(|row| !row.is_empty()) else { return };
        let entry = row.remove(0);
        if row.is_empty() {
            self.rows.pop();
        }
        let mean = entry.total / values;
        self.width -= values;
        self.total -= entry.total;
        let rest = self.total / self.width;
        self.deviations -=
            entry.deviations + values * self.width * (mean - rest) * (mean - rest) / (values + self.width);
    }

    /// Whether the means of the older and the newer values differ at any cut between two entries.
    fn differs(&self) -> bool {
        let (mut n_old, mut n_new, mut old, mut new) = (0.0, self.width, 0.0, self.total);
        for (number, row) in self.rows.iter().enumerate().rev() {
            let values = size_of_row(number);
            // There is no cut behind the newest entry.
            let cuts = if number == 0 { row.len().saturating_sub(1) } else { row.len() };
            for entry in row.iter().take(cuts) {
                n_old += values;
                n_new -= values;
                old += entry.total;
                new -= entry.total;
                let is_long = n_new >= self.options.side_min && n_old >= self.options.side_min;
                if is_long && self.is_cut(n_old, n_new, old / n_old - new / n_new) {
                    return true;
                }
            }
        }
        false
    }

    /// Whether two means of so many values differ by more than chance.
    fn is_cut(&self, n_old: f64, n_new: f64, difference: f64) -> bool {
        let side_min = self.options.side_min;
        let log = libm::log(2.0 * libm::log(self.width) / self.options.delta);
        let reciprocal = 1.0 / (n_old - side_min + 1.0) + 1.0 / (n_new - side_min + 1.0);
        let limit = (2.0 * reciprocal * (self.deviations / self.width) * log).sqrt() + 2.0 / 3.0 * log * reciprocal;
        difference.abs() > limit
    }
}

fn merged(first: Entry, second: Entry, values: f64) -> Entry {
    let gap = first.total / values - second.total / values;
    let between = values * 0.5 * gap * gap;
    Entry { total: first.total + second.total, deviations: first.deviations + second.deviations + between }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // A window has less than 2^64 values.
fn size_of_row(number: usize) -> f64 {
    libm::ldexp(1.0, number.min(64) as i32)
}

impl Detector for Adwin {
    fn update(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if self.drifted {
            *self = Self::new(self.options);
        }
        self.insert(x);
        self.ticks += 1;
        if self.ticks.is_multiple_of(self.options.clock) && self.width > self.options.grace {
            while self.differs() {
                self.drifted = true;
                self.forget();
            }
        }
        self.drifted
    }
}

#[cfg(test)]
mod tests {
    use super::{Adwin, AdwinOptions, Detector};

    #[test]
    fn memory_is_logarithmic_and_odd_options_do_no_harm() {
        let odd = AdwinOptions { delta: 0.0, clock: 0, entries_max: 0, side_min: -3.0, grace: -1.0 };
        for options in [AdwinOptions::default(), odd] {
            let mut adwin = Adwin::new(options);
            for row in 0..100_000 {
                adwin.update(f64::from(row % 7));
            }
            assert!(adwin.rows.iter().map(Vec::len).sum::<usize>() <= 6 * 18, "{:?}", adwin.rows);
            assert!(adwin.width() == 100_000.0 && (adwin.mean() - 3.0).abs() < 0.001);
        }
    }
}
