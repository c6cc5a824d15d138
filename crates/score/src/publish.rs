//! What users read: predictions, rejected records, and the swap before its first prediction.

use crate::live::class_of;
use crate::run::{Batch, ScoredRun};
use crate::{Config, Error};
use codec::Refused;
use domain::{OutputRecord, Outputs, Task, TopicRole};
use records::control::{Control, Swap};
use records::prediction::{Outcome, Prediction};
use records::rejected::Refusal;
use records::{RECORD_HEADER, kind};

/// A trace context takes 55 bytes (W3C); what is much longer is none, and is not copied.
const TRACE_BYTES_MAX: usize = 256;
/// A byte of a text that is escaped takes so many.
const JSON_BYTES_PER_BYTE: usize = 6;

/// Writes the swap a run begins with, if it begins with one.
pub(crate) fn swap(batch: &Batch<'_>, scored: &ScoredRun<'_>, out: &mut Outputs) -> Result<(), Error> {
    let (Some(previous), Some(champion)) = (&scored.run.swap, scored.run.line_up.champion()) else { return Ok(()) };
    let (source, first) = (&batch.raw.source, scored.run.rows.start);
    let swap = Control::Swap(Swap {
        topic: source.topic.to_string(),
        partition: source.partition,
        from_offset: batch.origin(first).1,
        promotion: scored.run.line_up.promotion,
        version: champion.version.clone(),
        previous: previous.clone(),
        time_ms: batch.time_ms(first),
    });
    let (key, value) = (swap.key(), records::to_json(&swap)?);
    let record = OutputRecord {
        topic: TopicRole::Control,
        partition: 0,
        timestamp_ms: None,
        key: Some(key.as_bytes()),
        value: Some(&value),
    };
    out.push(record, &[(RECORD_HEADER, kind::CONTROL.as_bytes())]);
    Ok(())
}

/// What is left for key and id of an event in a record that `p.predictions` takes.
pub(crate) fn room(config: &Config, topic: &str) -> usize {
    let text = |text: &str| JSON_BYTES_PER_BYTE * text.len();
    // A number takes up to 25 bytes, of which a regression has three; names, version, times, headers and Kafka's own frame the rest.
    let classes: usize = config.classes.iter().map(|class| text(class) + 32).sum();
    let longest = config.classes.iter().map(|class| text(class)).max().unwrap_or(0);
    config.prediction_bytes_max.saturating_sub(text(topic) + classes + longest + TRACE_BYTES_MAX + 512)
}

/// Bytes that key and id of an event take in its prediction, at most.
pub(crate) fn needs(id: &str, key: Option<&[u8]>) -> usize {
    JSON_BYTES_PER_BYTE * id.len() + key.map_or(0, <[u8]>::len)
}

/// Writes one prediction per kept row, in offset order.
pub(crate) fn predictions(batch: &Batch<'_>, scored: &ScoredRun<'_>, out: &mut Outputs) {
    let Some(champion) = scored.run.line_up.champion() else { return };
    let (config, source) = (batch.config, &batch.raw.source);
    let partition = source.partition.rem_euclid(config.predictions_partitions.max(1));
    for place in &scored.kept {
        let row = scored.run.rows.start + *place as usize;
        let (index, offset) = batch.origin(row);
        let Some(record) = batch.raw.get(index) else { continue };
        let prediction = Prediction {
            id: batch.id(row),
            time_ms: batch.time_ms(row),
            outcome: outcome(config, scored.champion.half_width, scored.outputs(0, *place)),
            version: champion.version.as_str(),
            topic: &source.topic,
            partition: source.partition,
            offset,
        };
        let written = OutputRecord {
            topic: TopicRole::Predictions,
            partition,
            timestamp_ms: Some(record.timestamp_ms),
            key: record.key,
            value: None,
        };
        let kind_header = (RECORD_HEADER, kind::PREDICTION.as_bytes());
        let write = |bytes: &mut Vec<u8>| records::prediction::write(bytes, &prediction);
        match batch.raw.header(index, "traceparent") {
            Some(trace) if trace.len() <= TRACE_BYTES_MAX => {
                out.push_with(written, &[kind_header, ("traceparent", trace)], write)
            }
            _ => out.push_with(written, &[kind_header], write),
        }
    }
}

/// What the champion's outputs say.
fn outcome<'a>(config: &'a Config, half_width: Option<f64>, values: &'a [f64]) -> Outcome<'a> {
    let (first, classes) = (values.first().copied().unwrap_or(f64::NAN), config.classes.as_slice());
    match config.task {
        Task::BinaryClassification => {
            let class = classes.get(usize::from(first >= 0.5)).map_or("", String::as_str);
            Outcome::Binary { class, probability: first }
        }
        Task::MulticlassClassification => {
            Outcome::Multiclass { class: class_of(values, classes), classes, probabilities: values }
        }
        Task::Regression => Outcome::Number { value: first, half_width },
        Task::Anomaly => {
            let class = classes.get(usize::from(first >= 0.5)).map_or("", String::as_str);
            Outcome::Anomaly { class, score: first }
        }
        Task::Clustering => {
            let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
            let cluster = measure::predicted_class(config.task, values);
            Outcome::Cluster { cluster, distance: at(1), next_distance: at(2) }
        }
    }
}

/// Writes the records set apart, in offset order.
pub(crate) fn rejected(batch: &Batch<'_>, refused: &[Refused], out: &mut Outputs) {
    for one in refused {
        let refusal = Refusal { reason: one.reason, detail: &one.detail, stage: "score" };
        records::rejected::push(out, batch.raw, one.index as usize, refusal, batch.config.rejected);
    }
}
