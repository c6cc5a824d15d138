//! The detectors that others know, for those who come from them: fed with the mean loss of each test slice.
//!
//! They keep no budget of false alarms, so what they say pages nobody and starts no run.

use crate::alerts::{Evidence, Finding};
use crate::error::Error;
use crate::judge::Turn;
use detect::classic::Panel;

impl Turn<'_> {
    /// Feeds them, if any was asked for. With a new champion, or other options, they begin anew. `loss` is
    /// that of the harm tests, in 0 to 1; the alert's value is how many of them say so.
    pub(crate) fn watch_classic(
        &mut self,
        span_ms: (i64, i64),
        (loss, rows): (f64, u64),
        worst: &[String],
    ) -> Result<(), Error> {
        let options = self.config.classic;
        let finding = Finding { name: "vigie.drift", tier: "classic", span_ms };
        if options.is_empty() {
            // Nobody looks any more who could say that it is quiet again.
            self.state.classic = None;
            return self.not_found(finding);
        }
        let known = self.state.classic.take().filter(|panel| *panel.options() == options);
        let mut panel = known.unwrap_or_else(|| Panel::new(options));
        let said = panel.update(loss);
        self.state.classic = Some(panel);
        if said.is_empty() {
            return self.quiet(finding);
        }
        let detail = format!(
            "the mean loss of test slices, as the harm tests have it, has changed, say {}; it is {loss:.4} on the {rows} rows of the newest",
            said.join(", ")
        );
        #[allow(clippy::cast_precision_loss)] // five at most
        let value = said.len() as f64;
        let features = said.into_iter().map(str::to_owned).collect();
        let examples = worst.to_vec();
        self.found(finding, Evidence { value, threshold: 0.0, features, examples, detail, version: None })
    }
}
