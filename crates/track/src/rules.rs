//! When a label speaks of a prediction, and in which phase it counts.
//!
//! The rules use only times and what a record's *own* source partition had marked before it, so
//! the outcome does not depend on how the partitions' records were interleaved. With `e` the
//! event time, `end` the end of its slice, `h` the horizon, `t` the label time and `w` the
//! label partition's watermark when the label was read:
//!
//! | label | relation |
//! |---|---|
//! | `t < e - h` | apart: too early to be about this event |
//! | `t <= e + h` and `w < end + h` | in time |
//! | `t <= e + 2h` and `w < end + 2h` | late |
//! | else | apart: the row is forgotten by then |
//!
//! A slice is *final* once both watermarks have passed `end + h`. The least watermark is never
//! above `w`, so a label that is in time always finds its row's slice not yet final. Rows
//! are kept without their scores for one more horizon, so that `late` is a fact about the
//! records and not about who came first.

use domain::Slices;
use records::journal::Phase;
use serde::{Deserialize, Serialize};

/// The times that decide how labels meet predictions. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How stream time is cut.
    pub slices: Slices,
    /// A label counts until this long after the event.
    pub horizon_ms: i64,
    /// A slice's labels are tested this long after its end.
    pub maturity_ms: i64,
    /// A label without prediction is called an orphan once the event watermark is this far past
    /// the label's time.
    pub orphan_after_ms: i64,
}

/// What a label is to a prediction of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Within the horizon.
    InTime,
    /// Beyond the horizon.
    Late,
    /// So far away that it is not about this prediction.
    Apart,
}

impl Rules {
    /// End of the slice that holds a time.
    pub(crate) fn slice_end(&self, time_ms: i64) -> i64 {
        self.slices.end(self.slices.start(time_ms))
    }

    /// Watermark at which a slice (named by its end) is final.
    pub(crate) fn final_at(&self, slice_end_ms: i64) -> i64 {
        slice_end_ms.saturating_add(self.horizon_ms)
    }

    /// Watermark at which the rows of a slice are forgotten.
    pub(crate) fn forgotten_at(&self, slice_end_ms: i64) -> i64 {
        self.final_at(slice_end_ms).saturating_add(self.horizon_ms)
    }

    /// Watermark at which labels of a slice (by label time) can meet no prediction any more: the
    /// latest event they speak of is a horizon later, and the slice that holds it is final
    /// another horizon after its end.
    pub(crate) fn labels_forgotten_at(&self, slice_end_ms: i64) -> i64 {
        self.forgotten_at(slice_end_ms).saturating_add(self.slices.length_ms)
    }

    /// See the table of the module.
    pub(crate) fn relation(&self, event_ms: i64, label_ms: i64, label_watermark_ms: i64) -> Relation {
        let end = self.slice_end(event_ms);
        let until = event_ms.saturating_add(self.horizon_ms);
        if label_ms < event_ms.saturating_sub(self.horizon_ms) {
            Relation::Apart
        } else if label_ms <= until && label_watermark_ms < self.final_at(end) {
            Relation::InTime
        } else if label_ms <= until.saturating_add(self.horizon_ms) && label_watermark_ms < self.forgotten_at(end) {
            Relation::Late
        } else {
            Relation::Apart
        }
    }

    /// Phase of a label in time.
    pub(crate) fn phase(&self, event_ms: i64, label_ms: i64) -> Phase {
        if label_ms < self.slice_end(event_ms).saturating_add(self.maturity_ms) { Phase::Mature } else { Phase::Late }
    }
}

#[cfg(test)]
mod tests {
    use super::{Relation, Rules};
    use domain::Slices;
    use records::journal::Phase;

    const RULES: Rules = Rules { slices: Slices { length_ms: 10 }, horizon_ms: 30, maturity_ms: 5, orphan_after_ms: 0 };

    #[test]
    fn a_label_is_in_time_late_or_apart() {
        // The event's time is 12, so its slice ends at 20.
        for (label, watermark, expected) in [
            (12, 0, Relation::InTime),
            (-18, 0, Relation::InTime),
            (-19, 0, Relation::Apart),
            (42, 0, Relation::InTime),
            (43, 0, Relation::Late),
            (42, 49, Relation::InTime),
            (42, 50, Relation::Late),
            (72, 0, Relation::Late),
            (73, 0, Relation::Apart),
            (42, 80, Relation::Apart),
        ] {
            assert_eq!(RULES.relation(12, label, watermark), expected, "label {label}, watermark {watermark}");
        }
    }

    #[test]
    fn the_phase_turns_at_the_slice_end_plus_maturity() {
        assert_eq!(RULES.phase(12, 24), Phase::Mature);
        assert_eq!(RULES.phase(12, 25), Phase::Late);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for time in [i64::MIN, -1, i64::MAX] {
            assert_eq!(RULES.relation(time, time, i64::MIN), Relation::InTime, "time {time}");
        }
    }
}
