//! Records out: control, windows, alerts.

use crate::error::Error;
use domain::{OutputRecord, Outputs, TopicRole};
use records::alert::Alert;
use records::control::Control;
use records::window::{self, Window};
use records::{RECORD_HEADER, kind, to_json};

fn push(out: &mut Outputs, topic: TopicRole, record_kind: &str, key: &str, value: &[u8]) {
    let record =
        OutputRecord { topic, partition: 0, timestamp_ms: None, key: Some(key.as_bytes()), value: Some(value) };
    out.push(record, &[(RECORD_HEADER, record_kind.as_bytes())]);
}

/// Writes a decision.
pub(crate) fn control(out: &mut Outputs, record: &Control) -> Result<(), Error> {
    push(out, TopicRole::Control, kind::CONTROL, &record.key(), &to_json(record)?);
    Ok(())
}

/// Writes a window.
pub(crate) fn window(out: &mut Outputs, record: &Window, length_ms: i64) -> Result<(), Error> {
    push(out, TopicRole::Windows, kind::WINDOW, &window::key(record, length_ms), &to_json(record)?);
    Ok(())
}

/// Writes a state of an alert.
pub(crate) fn alert(out: &mut Outputs, record: &Alert) -> Result<(), Error> {
    push(out, TopicRole::Alerts, kind::ALERT, &record.id, &to_json(record)?);
    Ok(())
}
