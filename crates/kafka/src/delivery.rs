//! From outputs to the producer's queue, and from there to the broker's acknowledgement.

use crate::error::{code_of, is_unwritable};
use crate::producer::{Failure, Outbox};
use crate::rebalance::DeliveryContext;
use crate::sender::refused;
use crate::transaction::is_fenced;
use domain::{OutputRecord, Outputs, SourcePartition};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at what is still to be acknowledged.
const FLUSH_POLL: Duration = Duration::from_micros(300);

impl Outbox {
    /// Queues all records, those of a partition together and in their order.
    pub(crate) fn produce(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        outputs: &[&Outputs],
    ) -> Result<(), Failure> {
        let mut rows: Vec<(OutputRecord<'_>, &Outputs, usize)> = Vec::new();
        for outputs in outputs {
            rows.extend(outputs.records().enumerate().map(|(index, record)| (record, *outputs, index)));
        }
        rows.sort_by_key(|(record, ..)| (record.topic, record.partition));
        let mut current = None;
        let mut topic = "";
        let config = Arc::clone(&self.config);
        for (record, outputs, index) in rows {
            if current != Some((record.topic, record.partition)) {
                current = Some((record.topic, record.partition));
                topic = config.topic(record.topic).map_err(Failure::End)?;
                self.written.push((SourcePartition::new(topic, record.partition), 0));
            }
            let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if let Some((_, sum)) = self.written.last_mut() {
                *sum += bytes as u64;
            }
            self.send(producer, topic, &record, headers_of(outputs, index))?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        producer: &ThreadedProducer<DeliveryContext>,
        topic: &str,
        record: &OutputRecord<'_>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), Failure> {
        let mut base: BaseRecord<'_, [u8], [u8]> = BaseRecord {
            topic,
            partition: Some(record.partition),
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp_ms,
            headers,
            delivery_opaque: (),
        };
        loop {
            match producer.send(base) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    // Back-pressure: the client's own thread empties the queue.
                    self.overdue("waiting for room in the producer's queue").map_err(Failure::End)?;
                    std::thread::sleep(Duration::from_millis(1));
                    base = back;
                }
                Err((error, _)) => return Err(self.delivery_failure(topic, &error, 1)),
            }
        }
    }

    /// Waits until every record is acknowledged.
    pub(crate) fn flush(&mut self, producer: &ThreadedProducer<DeliveryContext>) -> Result<(), Failure> {
        loop {
            match flush_step(producer) {
                Ok(true) => break,
                Ok(false) => self.overdue("flushing outputs").map_err(Failure::End)?,
                Err(error) => return Err(Failure::Replace { reason: error.to_string(), fenced: false }),
            }
        }
        match producer.context().take_failed() {
            None => Ok(()),
            Some(failed) => Err(self.delivery_failure(&failed.topic, &failed.error, failed.count)),
        }
    }

    fn delivery_failure(&self, topic: &str, error: &KafkaError, count: u64) -> Failure {
        match code_of(error) {
            Some(code) if is_unwritable(code) => {
                Failure::End(refused(topic, error, count, &self.config.connection.brokers))
            }
            // What was not acknowledged in time may still reach the log: only a new producer, whose
            // `init_transactions` ends the transaction under another epoch, keeps it out of the next one.
            code => Failure::Replace { reason: error.to_string(), fenced: code.is_some_and(is_fenced) },
        }
    }
}

/// Looks whether everything is acknowledged, which the producer's own thread is told. The crate's
/// flush with a time-out would ask the clock without pause until the time is up; a short sleep costs
/// nothing and is as quick.
pub(crate) fn flush_step(producer: &ThreadedProducer<DeliveryContext>) -> KafkaResult<bool> {
    match producer.flush(Duration::ZERO) {
        Ok(()) => Ok(true),
        Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {
            std::thread::sleep(FLUSH_POLL);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn headers_of(outputs: &Outputs, index: usize) -> Option<OwnedHeaders> {
    let headers = outputs.headers(index);
    let count = headers.len();
    (count > 0).then(|| {
        headers.fold(OwnedHeaders::new_with_capacity(count), |owned, (key, value)| {
            owned.insert(Header { key, value: Some(value) })
        })
    })
}
