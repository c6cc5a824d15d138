//! Poll and produce, nothing else: the ceiling that `scripts/bench` holds the daemon against.
//! Usage: echo BROKERS INPUT OUTPUT [transactions]; it runs until it is ended.

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::time::{Duration, Instant};

const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error>;

struct Echo {
    consumer: BaseConsumer,
    producer: ThreadedProducer<DefaultProducerContext>,
    output: String,
    transactions: bool,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, input, output, rest @ ..] = arguments.as_slice() else {
        return Err("usage: echo BROKERS INPUT OUTPUT [transactions]".into());
    };
    let echo = Echo::open(brokers, output, !rest.is_empty())?;
    echo.consumer.subscribe(&[input])?;
    echo.run()
}

impl Echo {
    fn open(brokers: &str, output: &str, transactions: bool) -> Result<Self, Failure> {
        let mut consumer = ClientConfig::new();
        consumer.set("bootstrap.servers", brokers).set("group.id", output);
        consumer.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        // As the runner has them with 64 MiB and batches of 20,000 rows.
        consumer.set("enable.auto.offset.store", "false").set("isolation.level", "read_committed");
        consumer.set("queued.max.messages.kbytes", "32768").set("queued.min.messages", "80000");
        consumer.set("fetch.queue.backoff.ms", "10").set("fetch.wait.max.ms", "20");
        consumer.set("fetch.max.bytes", "16777216").set("fetch.message.max.bytes", "4194304");
        let mut producer = ClientConfig::new();
        producer.set("bootstrap.servers", brokers).set("enable.idempotence", "true");
        producer.set("queue.buffering.max.messages", "500000");
        // As the runner has it.
        producer.set("compression.type", "lz4").set("linger.ms", "2");
        if transactions {
            producer.set("transactional.id", output);
        }
        let (consumer, producer) = (consumer.create()?, producer.create::<ThreadedProducer<_>>()?);
        if transactions {
            // Without a lasting connection the client asks for its coordinator half a second later; the
            // runner waits for one too.
            while producer.client().fetch_metadata(Some(output), TIMEOUT)?.orig_broker_id() < 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            producer.init_transactions(TIMEOUT)?;
        }
        Ok(Self { consumer, producer, output: output.to_owned(), transactions })
    }

    fn run(&self) -> Result<(), Failure> {
        loop {
            let began = Instant::now();
            if self.transactions {
                self.producer.begin_transaction()?;
            }
            while began.elapsed() < COMMIT_INTERVAL {
                if let Some(message) = self.consumer.poll(Duration::from_millis(5)) {
                    let message = message?;
                    self.send(message.partition(), message.payload().unwrap_or_default())?;
                }
            }
            self.commit()?;
        }
    }

    fn send(&self, partition: i32, payload: &[u8]) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<(), [u8]>::to(&self.output).partition(partition).payload(payload);
        loop {
            match self.producer.send(record) {
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    std::thread::sleep(Duration::from_millis(1));
                    record = back;
                }
                Err((error, _)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// The position is committed once everything read before it is acknowledged.
    fn commit(&self) -> Result<(), Failure> {
        let position = self.consumer.position()?;
        let mut read = TopicPartitionList::new();
        for element in position.elements().iter().filter(|e| e.offset().to_raw().is_some_and(|o| o >= 0)) {
            read.add_partition_offset(element.topic(), element.partition(), element.offset())?;
        }
        self.flush()?;
        if !self.transactions {
            if read.count() > 0 {
                self.consumer.commit(&read, CommitMode::Sync)?;
            }
            return Ok(());
        }
        if read.count() > 0 {
            let group = self.consumer.group_metadata().ok_or("not a member of the group")?;
            self.producer.send_offsets_to_transaction(&read, &group, TIMEOUT)?;
        }
        self.producer.commit_transaction(TIMEOUT)?;
        Ok(())
    }

    fn flush(&self) -> Result<(), KafkaError> {
        loop {
            match self.producer.flush(Duration::from_millis(5)) {
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => {}
                done => return done,
            }
        }
    }
}
