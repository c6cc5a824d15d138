//! All workspace tests in one binary: tidy rules, real Kafka, the daemon end to end.

mod broker;
mod daemon;
mod simulation;
mod support;
mod tidy;
