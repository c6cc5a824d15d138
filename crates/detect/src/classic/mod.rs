//! Classic change detectors on a stream of single values: ADWIN, Page-Hinkley, DDM, HDDM.
//!
//! They are here to be compared with, and for those who know them: bit for bit those of River
//! 0.26.1, fed row by row in the library and in a replay. They depend on the order of the rows and
//! do not merge over partitions, so live they take slice means, and none of them keeps a stated
//! budget of false alarms: for that see [`crate::harm`] and [`crate::shift`].
//! Each resets itself at the update *after* an alarm, as River's do, so that its state at the
//! alarm can still be read. Logarithms come from one portable library.

mod adwin;
mod ddm;
mod hddm_a;
mod hddm_w;
mod mean;
mod page_hinkley;
mod panel;

pub use adwin::{Adwin, AdwinOptions};
pub use ddm::{Ddm, DdmOptions};
pub use hddm_a::{HddmA, HddmAOptions};
pub use hddm_w::{HddmW, HddmWOptions};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyOptions};
pub use panel::{Panel, PanelOptions};

/// Detects a change in the mean of a stream, one value at a time.
pub trait Detector {
    /// Feeds one value; true if the stream has drifted. The update after that starts afresh.
    /// Values that are no finite numbers are not an update.
    fn update(&mut self, x: f64) -> bool;

    /// Whether the last update left the detector in its warning zone; never, where it has none.
    fn is_warning(&self) -> bool {
        false
    }
}

/// ln(1 / confidence); a confidence outside of 0 to 1 counts as the nearest inside.
fn log_odds(confidence: f64) -> f64 {
    libm::log(1.0 / confidence.clamp(f64::MIN_POSITIVE, 1.0))
}

#[cfg(test)]
mod tests;
