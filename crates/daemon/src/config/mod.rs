//! Configuration: built-in defaults, file, environment; all faults at once, nothing starts on one.

pub(crate) mod checks;
pub(crate) mod duration;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod load;
pub(crate) mod property;

pub(crate) use fault::Fault;
pub(crate) use file::Config;
pub(crate) use load::load;
