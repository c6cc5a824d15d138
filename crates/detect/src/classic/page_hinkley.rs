//! The Page-Hinkley test (Page, Biometrika 41, 1954), with fading sums.

use super::Detector;
use super::mean::Mean;
use serde::{Deserialize, Serialize};

/// Which changes of the mean count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A rise.
    Up,
    /// A fall.
    Down,
    /// Either.
    #[default]
    Both,
}

/// What a [`PageHinkley`] is set to. The defaults are River's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageHinkleyOptions {
    /// Values before it may alarm: 30.
    pub min_values: f64,
    /// Change of the mean that is tolerated, in units of the values: 0.005.
    pub delta: f64,
    /// Sum of deviations at which it alarms, in units of the values: 50.
    pub threshold: f64,
    /// Factor by which the sums fade at each value: 0.9999.
    pub alpha: f64,
    /// Which changes count: both.
    pub direction: Direction,
}

impl Default for PageHinkleyOptions {
    fn default() -> Self {
        // Not 0.9999, which is another number by its last bit.
        let alpha = 1.0 - 0.0001;
        Self { min_values: 30.0, delta: 0.005, threshold: 50.0, alpha, direction: Direction::Both }
    }
}

/// Sums of deviations from the running mean, against their least and their greatest value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    options: PageHinkleyOptions,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct State {
    mean: Mean,
    sum_up: f64,
    sum_down: f64,
    /// `None` stands for infinity, which JSON cannot hold.
    least_up: Option<f64>,
    greatest_down: f64,
    drifted: bool,
}

impl State {
    // River's maximum starts at −1, not at −∞.
    const FRESH: Self = Self {
        mean: Mean { count: 0.0, value: 0.0 },
        sum_up: 0.0,
        sum_down: 0.0,
        least_up: None,
        greatest_down: -1.0,
        drifted: false,
    };
}

impl PageHinkley {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(options: PageHinkleyOptions) -> Self {
        Self { options, state: State::FRESH }
    }

    /// The larger of the test's statistics that count, to be compared with the threshold.
    #[must_use]
    pub fn value(&self) -> f64 {
        let State { sum_up, sum_down, least_up, greatest_down, .. } = self.state;
        let up = sum_up - least_up.unwrap_or(sum_up);
        let down = greatest_down - sum_down;
        match self.options.direction {
            Direction::Up => up,
            Direction::Down => down,
            Direction::Both => up.max(down),
        }
    }
}

impl Detector for PageHinkley {
    fn update(&mut self, x: f64) -> bool {
        if !x.is_finite() {
            return false;
        }
        if self.state.drifted {
            self.state = State::FRESH;
        }
        let PageHinkleyOptions { min_values, delta, threshold, alpha, .. } = self.options;
        let state = &mut self.state;
        state.mean.add(x);
        let deviation = x - state.mean.value;
        state.sum_up = alpha * state.sum_up + deviation - delta;
        state.sum_down = alpha * state.sum_down + deviation + delta;
        state.least_up = Some(state.least_up.map_or(state.sum_up, |least| least.min(state.sum_up)));
        state.greatest_down = state.greatest_down.max(state.sum_down);
        self.state.drifted = self.state.mean.count >= min_values && self.value() > threshold;
        self.state.drifted
    }
}
