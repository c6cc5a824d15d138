//! SQL scalar expressions, compiled once and run on Arrow batches: the same text in training and
//! serving.
//!
//! It never runs a query plan, does no I/O, reads no clock and draws no random number.
//! Read in this order: [`expression`] (compile, evaluate), `compile` (SQL text to a checked
//! expression), `functions` (what may be called), [`suggest`] (nearest name for messages),
//! [`error`].

mod compile;
pub mod error;
pub mod expression;
mod functions;
pub mod suggest;

pub use error::Error;
pub use expression::Expression;
pub use suggest::nearest;
