//! Records that were gone before a stage read them: an alert, resolved when judging has gone on
//! for a while without another.

use crate::alerts::{Evidence, Finding};
use crate::config::Config;
use crate::error::Error;
use crate::judge::Turn;
use records::journal::Gap;

/// The alert of gaps, at a stream time.
pub(crate) fn finding(config: &Config, end_ms: i64) -> Finding {
    let span_ms = (end_ms.saturating_sub(config.slices.length_ms), end_ms);
    Finding { name: "vigie.data_quality", tier: "gap", span_ms }
}

impl Turn<'_> {
    /// `value` is the number of offsets lost, which is more than that of records where the log had
    /// transactions; the place stands where features do.
    pub(crate) fn gap(&mut self, gap: &Gap) -> Result<(), Error> {
        let lost = gap.to_offset.saturating_sub(gap.from_offset).max(0);
        let place = format!("{} {} {}..{}", gap.stage, gap.source, gap.from_offset, gap.to_offset);
        let end_ms = self.state.judged_until_ms.unwrap_or_default();
        let evidence = Evidence { value: lost as f64, features: vec![place], ..Evidence::default() };
        self.found(finding(self.config, end_ms), evidence)
    }
}
