//! A stage that writes what it reads, on the runner: what delivery costs, beside `echo`.
//! Usage: identity BROKERS INPUT OUTPUT; it runs until it is ended.

use domain::{Input, OutputRecord, Outputs, SourcePartition, Stage, StageError, TopicRole};
use kafka::{Connection, Hooks, RunnerConfig, Stop};

struct Identity;

impl Stage for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn step(&mut self, input: Input<'_>, out: &mut Outputs) -> Result<(), StageError> {
        if let Input::Batch(batch) = input {
            for row in batch.iter() {
                let record = OutputRecord {
                    topic: TopicRole::Predictions,
                    partition: batch.source.partition,
                    timestamp_ms: None,
                    key: None,
                    value: row.value,
                };
                out.push(record, &[]);
            }
        }
        Ok(())
    }

    fn commit_metadata(&self, _source: &SourcePartition) -> String {
        String::new()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, input, output] = arguments.as_slice() else {
        return Err("usage: identity BROKERS INPUT OUTPUT".into());
    };
    let mut config = RunnerConfig::new(Connection::to(brokers), output, output);
    config.subscriptions = vec![(TopicRole::Events, input.clone())];
    config.topics.insert(TopicRole::Predictions, output.clone());
    // As `vigie run` has it.
    config.batch_rows_max = 20_000;
    kafka::run(Box::new(Identity), config, Hooks::inert(), Stop::new())?;
    Ok(())
}
