//! The delivery proof: load, faults, and a checker that shares no code with what it checks.
//! `scripts/prove` runs it at length, the workspace test binary in short.

pub mod proof;
