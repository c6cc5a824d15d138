//! Performance before labels: what calibrated scores say of themselves.
//!
//! If the calibrated probability of a row's predicted class is q, the prediction is right with
//! probability q: summed over rows this gives the expected confusion counts and all that follows
//! from them (CBPE, as in NannyML 0.13.1). It holds while the relation of features and label stays,
//! even where the features drift; under concept drift it is wrong and sure of itself, which is why
//! [`gap`](mod@gap) compares it with what labels say. Read in this order: [`isotonic`] (score to probability),
//! [`calibration`] (whether that helps, and several classes), [`expected`] (sums per row, and the
//! metrics), [`band`](mod@band) (what is normal), [`child`] (the same for regression), [`gap`](mod@gap),
//! [`forecast`] (either of the two).

pub mod band;
pub mod calibration;
pub mod child;
pub mod expected;
pub mod forecast;
pub mod gap;
pub mod isotonic;

pub use band::{Band, band};
pub use calibration::{Calibration, ScoreMap};
pub use child::ChildSums;
pub use expected::Expected;
pub use forecast::Forecast;
pub use gap::{Gap, GapReference, SliceGap, error_gap, gap};
pub use isotonic::Isotonic;

#[cfg(test)]
mod nannyml_tests;
#[cfg(test)]
mod property_tests;
