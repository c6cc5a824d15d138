//! `vigie rejected show`: everything there is of one record.

use super::log::Log;
use super::select::Place;
use super::text::{one_line, short, write_value};
use records::rejected::Rejected;
use std::io::Write;

/// Writes one record for a person, or its value alone.
pub(super) fn run(log: &Log, place: Place, raw: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    log.one(place, |record| {
        if raw {
            return write_raw(&mut out, record);
        }
        writeln!(out, "place      {place} of {}", log.topic)?;
        writeln!(out, "time       {}", records::time::rfc3339(record.timestamp_ms))?;
        writeln!(out, "key        {}", short(record.key))?;
        for header in record.original.iter().chain(&record.added) {
            writeln!(out, "header     {}: {}", one_line(header.name), short(header.value))?;
        }
        let Some(value) = record.value else {
            writeln!(out, "value      null (a tombstone)")?;
            return Ok(());
        };
        let whole = record.size_bytes().filter(|_| record.is_truncated());
        let cut = whole.map(|size| format!(" of {size}, truncated")).unwrap_or_default();
        writeln!(out, "value      {} bytes{cut}", value.len())?;
        writeln!(out)?;
        write_value(&mut out, value)?;
        Ok(())
    })
}

/// Exactly the bytes; what they are not is said on standard error.
fn write_raw(out: &mut impl Write, record: &Rejected<'_>) -> anyhow::Result<()> {
    if record.is_truncated() {
        tracing::warn!(
            "the value is truncated: {} of {} bytes were kept",
            record.value.map_or(0, <[u8]>::len),
            record.size_bytes().unwrap_or(0)
        );
    }
    match record.value {
        Some(value) => out.write_all(value)?,
        None => tracing::warn!("the value is null (a tombstone): nothing is written"),
    }
    out.flush()?;
    Ok(())
}
