//! What the tests share: a real broker, and a stage that shows what was done to it.

pub(crate) mod broker;
pub(crate) mod echo;
