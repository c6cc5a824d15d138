//! The detectors that others know, for those who come from them: fed with the mean loss of each test slice.
//!
//! They keep no budget of false alarms, so what they say pages nobody and starts no run.

use crate::alerts::{Evidence, Finding};
use crate::error::Error;
use crate::judge::Turn;
use detect::classic::Panel;

impl Turn<'_> {
    /// Feeds them, if any was asked for. With a new champion, or other options, they begin anew.
    pub(crate) fn watch_classic(
        &mut self,
        span_ms: (i64, i64),
        (loss, rows): (f64, u64),
        worst: &[String],
    ) -> Result<(), Error> {
        let options = self.config.classic;
        if options.is_empty() {
            self.state.classic = None;
            return Ok(());
        }
        let known = self.state.classic.take().filter(|panel| *panel.options() == options);
        let mut panel = known.unwrap_or_else(|| Panel::new(options));
        let said = panel.update(loss);
        self.state.classic = Some(panel);
        let finding = Finding { name: "vigie.drift", tier: "classic", span_ms };
        if said.is_empty() {
            return self.quiet(finding);
        }
        let detail = format!(
            "the mean loss of test slices has changed, say {}; it is {loss:.4} on the {rows} rows of the newest",
            said.join(", ")
        );
        #[allow(clippy::cast_precision_loss)] // five at most
        let value = said.len() as f64;
        let features = said.into_iter().map(str::to_owned).collect();
        let examples = worst.to_vec();
        self.found(finding, Evidence { value, threshold: 1.0, features, examples, detail, version: None })
    }
}
