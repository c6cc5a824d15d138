//! `vigie swaps`, and the file it makes: what `vigie run --swaps` does again.

use super::rejected::log::drain;
use crate::cli::ConfigOnly;
use crate::config::Config;
use crate::exit::{Exit, code};
use crate::topics;
use domain::TopicRole;
use kafka::{Start, Tail};
use records::SwapTable;
use records::control::Control;
use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Prints the promotions and swaps of the control topic as they are there, in their order.
pub(crate) fn run(args: &ConfigOnly) -> anyhow::Result<()> {
    let config = super::configuration(&args.config)?;
    let topic = config.derived(&TopicRole::Control.to_string());
    // Joined by nobody: a name for access rules, which begins like all of the pipeline's.
    let group = config.derived("swaps.reader");
    let topics = [(TopicRole::Control, topic.as_str())];
    let mut tail = Tail::new(&topics::connection(&config), &group, &topics, Start::Beginning)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    drain(&mut tail, |batch, index| {
        let Some(value) = batch.get(index).and_then(|record| record.value) else { return Ok(true) };
        if matches!(records::from_json(value), Ok(Control::Promotion(_) | Control::Swap(_))) {
            out.write_all(value)?;
            out.write_all(b"\n")?;
        }
        Ok(true)
    })?;
    Ok(out.flush()?)
}

/// Reads a table for a pipeline; what is wrong with it ends the process with code 64.
pub(crate) fn read(file: &Path, config: &Config) -> anyhow::Result<SwapTable> {
    let fault = |reason: String| {
        anyhow::Error::new(Exit { code: code::BAD_CONFIGURATION, message: format!("{}: {reason}", file.display()) })
    };
    let bytes = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let table = SwapTable::parse(&bytes).map_err(|error| fault(error.to_string()))?;
    is_of(&table, &config.event_topics()).map_err(fault)?;
    Ok(table)
}

/// Whether every topic that swaps is one the pipeline reads.
fn is_of(table: &SwapTable, topics: &[String]) -> Result<(), String> {
    let strange: BTreeSet<&str> =
        table.sources().map(|source| &*source.topic).filter(|topic| topics.iter().all(|t| t != topic)).collect();
    if strange.is_empty() {
        return Ok(());
    }
    let strange: Vec<&str> = strange.into_iter().collect();
    Err(format!(
        "the swaps are of events topic {}, the configuration reads {}; expected swaps over the same logs",
        strange.join(", "),
        topics.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::is_of;
    use records::SwapTable;

    #[test]
    fn a_table_of_another_topic_is_refused_with_both_names() {
        let swap = r#"{"type":"swap","topic":"flights","partition":0,"from_offset":3,"promotion":1,"version":"aaaaaaaaaaaa","previous":null,"time_ms":0}"#;
        let table = SwapTable::parse(swap.as_bytes()).unwrap();
        assert_eq!(is_of(&table, &["trains".to_owned(), "flights".to_owned()]), Ok(()));
        let refused = is_of(&table, &["trains".to_owned()]).unwrap_err();
        assert!(refused.contains("topic flights") && refused.contains("reads trains"), "{refused}");
    }
}
