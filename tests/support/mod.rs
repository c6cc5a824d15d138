//! What the tests share: a real broker, and a stage that shows what was done to it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the whole folder is tests

pub(crate) mod broker;
pub(crate) mod echo;
pub(crate) mod otlp;
pub(crate) mod prometheus;
pub(crate) mod vigie;
