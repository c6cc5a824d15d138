//! Every name that leaves the process by OpenTelemetry or `/metrics`, and the page that lists them.
//!
//! `config/telemetry.md` is what [`markdown`] gives; a test holds the two together, and the tidy test
//! finds a name in the code that is not here.

use super::gauges::GAUGES;
use opentelemetry::metrics::Meter;

/// A counter: name, unit, the attribute it is split by, meaning.
pub(super) type Counter = (&'static str, &'static str, Option<&'static str>, &'static str);

pub(super) const COUNTERS: [Counter; 44] = [
    ("vigie.score.events", "{event}", None, "Events read"),
    ("vigie.score.predictions", "{prediction}", None, "Predictions published"),
    ("vigie.score.rejected", "{event}", Some("vigie.reason"), "Events sent to the rejected topic"),
    ("vigie.score.ignored", "{event}", None, "Tombstones ignored by configuration"),
    ("vigie.score.future", "{event}", None, "Events too far ahead of their record's timestamp to move the watermark"),
    ("vigie.score.after_final", "{event}", None, "Events scored after their window was final"),
    ("vigie.score.swaps", "{swap}", None, "Changes of a partition's versions"),
    ("vigie.score.bundle_faults", "{bundle}", None, "Bundles that could not be loaded or verified"),
    ("vigie.score.shadow_faults", "{row}", None, "Rows a shadow could not score; they are published all the same"),
    ("vigie.score.control_unreadable", "{record}", None, "Records of the control topic that could not be read"),
    ("vigie.labels.accepted", "{label}", None, "Labels accepted"),
    ("vigie.labels.future", "{label}", None, "Labels too far ahead of their record's timestamp to move the watermark"),
    ("vigie.records.rejected", "{label}", Some("vigie.reason"), "Labels sent to the rejected topic"),
    ("vigie.records.lost", "{record}", Some("vigie.stage"), "Records gone before a stage could read them"),
    ("vigie.join.predictions", "{prediction}", None, "Predictions taken into the join"),
    ("vigie.join.labels", "{label}", None, "Labels taken into the join"),
    ("vigie.join.joined", "{prediction}", None, "Predictions that found their label"),
    ("vigie.join.expired", "{prediction}", None, "Predictions whose label did not come within the horizon"),
    ("vigie.join.repeated", "{prediction}", None, "Predictions of an event id that was predicted before"),
    ("vigie.join.duplicate", "{label}", None, "Labels that say again what is known"),
    ("vigie.join.corrected", "{label}", None, "Labels that correct an earlier one"),
    ("vigie.join.late", "{label}", None, "Labels that came after their prediction had expired"),
    ("vigie.join.orphan", "{label}", None, "Labels of events that nobody predicted"),
    ("vigie.join.overflow", "{row}", None, "Rows dropped because the join's bound was reached"),
    ("vigie.judge.after_final", "{row}", None, "Rows that came after their window was final"),
    ("vigie.judge.beyond_bounds", "{row}", None, "Rows of more slices, segments or versions than are kept"),
    ("vigie.judge.harm_alarms", "{alarm}", None, "Alarms of the quick monitor of harm, which proposes runs"),
    ("vigie.judge.page_alarms", "{alarm}", None, "Alarms of the monitor of harm that pages"),
    ("vigie.judge.columns_unwatched", "{column}", None, "Columns no drift test can watch, for want of reference runs"),
    ("vigie.judge.commands_not_obeyed", "{command}", None, "Commands refused: no such version, or one refused before"),
    ("vigie.judge.promotion_faults", "{promotion}", None, "Promotions that an owner of a partition could not follow"),
    ("vigie.judge.reports_ignored", "{report}", None, "Reports of runs that nobody waits for"),
    ("vigie.judge.not_loaded", "{version}", None, "Versions whose reference could not be loaded"),
    ("vigie.judge.unreadable", "{record}", None, "Records of the journal that could not be read"),
    ("vigie.archive.files", "{file}", None, "Files stored"),
    ("vigie.archive.rows", "{row}", None, "Rows stored"),
    ("vigie.archive.skipped", "{record}", None, "Records not stored because they cannot be decoded"),
    ("vigie.archive.names_taken", "{file}", None, "File names that held other rows: a topic was made anew"),
    ("vigie.archive.faults", "{attempt}", None, "Attempts that the object store did not answer"),
    ("vigie.transactions.aborted", "{transaction}", Some("vigie.stage"), "Transactions given up and done again"),
    ("vigie.alerts.exported", "{alert}", None, "Alerts the receiver has acknowledged"),
    ("vigie.alerts.export_failures", "{attempt}", None, "Attempts to export alerts that failed; they are repeated"),
    ("vigie.spans.exported", "{span}", None, "Spans the receiver has acknowledged"),
    ("vigie.spans.lost", "{span}", None, "Spans the receiver did not acknowledge in time; they are not repeated"),
];

/// A counter with what the catalogue says of it.
pub(super) fn counter(meter: &Meter, name: &'static str) -> opentelemetry::metrics::Counter<u64> {
    let builder = meter.u64_counter(name);
    match COUNTERS.iter().find(|(known, ..)| *known == name) {
        Some((_, unit, _, meaning)) => builder.with_unit(*unit).with_description(*meaning).build(),
        None => builder.build(),
    }
}

/// An event: name, severity, when.
type Event = (&'static str, &'static str, &'static str);

pub(super) const EVENTS: [Event; 6] = [
    ("vigie.accuracy_loss.raised", "ERROR 17 (tier `page`), WARN 13 (tier `run`)", "the realised loss has risen"),
    ("vigie.accuracy_loss.resolved", "INFO 9", "it is found no more"),
    (
        "vigie.drift.raised",
        "WARN 13",
        "predictions, features, or what they say of the label have shifted; of tier `classic`: the mean loss has changed, to either side",
    ),
    ("vigie.drift.resolved", "INFO 9", "it is found no more"),
    ("vigie.data_quality.raised", "WARN 13", "records were lost before they were read"),
    ("vigie.data_quality.resolved", "INFO 9", "the slice it happened in is over"),
];

/// A span: name, start, end, what it links to.
type Span = (&'static str, &'static str, &'static str, &'static str);

const ALERT_LINKS: &str = "the first attempt of the run it started, if any";

pub(super) const SPANS: [Span; 4] = [
    ("vigie.accuracy_loss", "the alert is raised", "it is resolved", ALERT_LINKS),
    ("vigie.drift", "the alert is raised", "it is resolved", ALERT_LINKS),
    ("vigie.data_quality", "the alert is raised", "it is resolved", ALERT_LINKS),
    ("vigie.run", "the attempt is ordered", "its outcome is decided", "the alert that started the run, if any"),
];

/// An attribute of events, spans or metrics: name, where, meaning. Spans of alerts have those of their events.
pub(super) const ATTRIBUTES: [Event; 21] = [
    ("vigie.pipeline", "all", "name of the pipeline"),
    ("vigie.version", "events, `vigie.run`, drift, accuracy, windows", "model version; `*` is the sum over versions"),
    ("vigie.feature", "drift", "column; `prediction` is the output"),
    ("vigie.metric", "estimates", "metric: `accuracy`, `auc`, …"),
    ("vigie.reason", "rejected", "reason code"),
    ("vigie.stage", "lost, aborted", "stage"),
    ("vigie.alert.name", "`vigie.alert.open`", "event name without `.raised`"),
    (
        "vigie.alert.tier",
        "events, `vigie.alert.open`",
        "`page`, `run`, `concept`, `classic`, `output`, `feature`, `gap`",
    ),
    ("vigie.alert.id", "events", "the same through an alert's whole life: deduplicate by it and the event name"),
    ("vigie.segment", "events", "`*` or `name=value`"),
    ("vigie.score", "events", "the statistic"),
    ("vigie.threshold", "events", "what it is compared with"),
    ("vigie.window.start", "events", "start of the window that made the state"),
    ("vigie.window.end", "events", "its end"),
    ("vigie.features", "events", "columns concerned, worst first"),
    ("vigie.example_ids", "events", "ids of some events concerned"),
    ("vigie.detail", "events, `vigie.run`", "the numbers and what they rest on, for a person"),
    ("vigie.run", "events, `vigie.run`", "number of the retraining run; of an alert, the run it started"),
    ("vigie.attempt", "`vigie.run`", "number of the attempt"),
    ("vigie.trigger", "`vigie.run`", "what proposed the run: `harm`, `follow_up`, `new_labels`, `schedule`, `command`"),
    ("vigie.outcome", "`vigie.run`", "`promoted`, `refused`, `failed`"),
];

/// Name on `/metrics`, as the OpenTelemetry specification translates it.
pub(super) fn prometheus(name: &str, unit: &str, is_counter: bool) -> String {
    let suffix = match (unit, is_counter) {
        (_, true) => "_total",
        ("s", false) => "_seconds",
        ("1", false) => "_ratio",
        _ => "",
    };
    format!("{}{suffix}", name.replace('.', "_"))
}

fn table(page: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut line = |cells: &str| {
        page.push_str("| ");
        page.push_str(cells);
        page.push_str(" |\n");
    };
    line(&head.join(" | "));
    line(&vec!["---"; head.len()].join(" | "));
    rows.for_each(|cells| line(&cells.join(" | ")));
}

/// What stands above the table of spans.
const SPANS_HEAD: &str = "\n## Spans\n\n\
    Each alert has a trace, and so has each retraining run, with a span per attempt.\n\
    Every log record of an alert carries the ids of its trace and span; the span follows when the alert is resolved, with the attributes of the event.\n\
    The trace id is XXH3 (128 bits, seed 0) of the alert's id, or of `PIPELINE/run/NUMBER`.\n\
    Start and end are the times at which the records were written.\n\
    The process of a run finds its span in `TRACEPARENT`.\n\
    Spans are exported by one of the pipeline's processes, before it commits: again after a crash, with the same ids, and not again if the receiver does not answer.\n\n";

/// The page `config/telemetry.md`.
pub(crate) fn markdown() -> String {
    let mut page = String::from(
        "# Names that leave Vigie\n\n\
         Made by `vigie telemetry`; do not edit.\n\
         Metrics go to the OTLP receiver named by `OTEL_EXPORTER_OTLP_ENDPOINT` and are served at `/metrics` of the console's address, under the second name.\n\
         Each process reports what it did itself in the counters, and what all processes did in the gauges: sum the former, take the largest of the latter.\n\n\
         ## Events\n\n\
         An alert is a log record with an event name.\n\
         It is exported by one of the pipeline's processes, again until the receiver has acknowledged it.\n\n",
    );
    let code = |text: &str| format!("`{text}`");
    let own = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
    table(
        &mut page,
        &["event", "severity", "when"],
        EVENTS.iter().map(|(name, severity, when)| own([&code(name), severity, when])),
    );
    page.push_str(SPANS_HEAD);
    table(
        &mut page,
        &["span", "start", "end", "links to"],
        SPANS.iter().map(|(name, start, end, links)| {
            vec![code(name), (*start).to_owned(), (*end).to_owned(), (*links).to_owned()]
        }),
    );
    page.push_str("\n## Gauges\n\n");
    let gauges = GAUGES.iter().map(|gauge| {
        let shown = prometheus(gauge.name, gauge.unit, false);
        vec![code(gauge.name), code(&shown), code(gauge.unit), gauge.meaning.to_owned()]
    });
    table(&mut page, &["gauge", "on `/metrics`", "unit", "what it says"], gauges);
    page.push_str("\n## Counters\n\n");
    let counters = COUNTERS.iter().map(|(name, unit, by, meaning)| {
        let by = by.map(code).unwrap_or_default();
        vec![code(name), code(&prometheus(name, unit, true)), code(unit), by, (*meaning).to_owned()]
    });
    table(&mut page, &["counter", "on `/metrics`", "unit", "by", "what it counts"], counters);
    page.push_str("\n## Attributes\n\n");
    table(
        &mut page,
        &["attribute", "of", "meaning"],
        ATTRIBUTES.iter().map(|(name, of, meaning)| own([&code(name), of, meaning])),
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_the_one_made_here() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/telemetry.md");
        let page = std::fs::read_to_string(file).unwrap_or_default();
        assert!(page == markdown(), "config/telemetry.md is out of date; run: vigie telemetry > config/telemetry.md");
    }
}
