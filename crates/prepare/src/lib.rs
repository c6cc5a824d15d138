//! Recipe, fitted preprocessor, feature matrix: the one implementation that training and serving
//! share.
//!
//! It does no I/O, reads no clock and never panics on a batch.
//! Read in this order: [`recipe`] (what the user declares), `plan` (what each column gets),
//! [`fit`](mod@fit) (recipe and rows to preprocessor), [`preprocessor`] (apply, save, read),
//! `inputs` (declared and derived columns), `step`, `number`, `vocabulary` (what is fitted per
//! column), `column` (Arrow columns as numbers), [`error`].
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod column;
pub mod error;
pub mod fit;
mod inputs;
mod number;
mod plan;
pub mod preprocessor;
pub mod recipe;
mod step;
mod vocabulary;

pub use error::Error;
pub use fit::fit;
pub use preprocessor::{Feature, Preprocessor};
pub use recipe::{ColumnKind, Columns, Derive, Encode, Impute, Needs, Recipe, Scale, StepSpec};
