//! How the process ends: stable exit codes, one message.

use crate::config::Fault;
use std::fmt;
use std::process::ExitCode;

/// Exit codes: a public interface.
pub(crate) mod code {
    /// Something outside or inside failed; the message says what.
    pub(crate) const FAILED: u8 = 1;
    /// A retraining run found too little data.
    pub(crate) const NOT_ENOUGH_DATA: u8 = 3;
    /// The configuration is faulty.
    pub(crate) const BAD_CONFIGURATION: u8 = 64;
}

/// An end with a code of its own.
#[derive(Debug)]
pub(crate) struct Exit {
    /// The code.
    pub(crate) code: u8,
    /// The message.
    pub(crate) message: String,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Exit {}

/// Faults of a configuration as an end.
pub(crate) fn faulty(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::Error::new(Exit { code: code::BAD_CONFIGURATION, message: lines.join("\n") })
}

/// Says how it ended and gives the code.
pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<Exit>().map_or(code::FAILED, |exit| exit.code);
            for line in format!("{error:#}").lines() {
                #[allow(clippy::print_stderr)] // the last word goes to the person, whatever the log filter
                {
                    eprintln!("vigie: {line}");
                }
            }
            ExitCode::from(code)
        }
    }
}
