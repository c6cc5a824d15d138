//! All workspace tests in one binary: tidy rules, real Kafka, the daemon end to end.

// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alerting;
mod broker;
mod car_loan;
mod console;
mod daemon;
mod proof;
mod rejected;
mod security;
mod simulation;
mod support;
mod telemetry;
mod tidy;
mod topics;
