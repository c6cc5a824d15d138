//! The runner against a real Apache Kafka: every input has its output once, whatever happens.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the whole file is tests

use crate::support::broker::{address, connection, create, eventually, fill, read, unique};
use crate::support::echo::{Echo, Probe};
use domain::{RawBatch, SourcePartition, TopicRole};
use kafka::{
    Connection, Delivery, Error, GroupProtocol, Hooks, Message, OutOfLog, RunnerConfig, Sender, Stop, TopicSpec, Topics,
};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use records::journal::{Gap, Journal};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const PARTITIONS: i32 = 3;

type Checkpoints = Arc<Mutex<BTreeMap<SourcePartition, (i64, Vec<u8>)>>>;

/// One input topic, one output topic, one group.
struct Setting {
    events: String,
    config: RunnerConfig,
    checkpoints: Checkpoints,
    replays: bool,
}

impl Setting {
    fn new(test: &str) -> Self {
        let events = unique(&format!("{test}-events"));
        let predictions = unique(&format!("{test}-predictions"));
        create(&events, PARTITIONS);
        create(&predictions, PARTITIONS);
        let mut config = RunnerConfig::new(connection(), &unique(test), &unique(test));
        config.subscriptions = vec![(TopicRole::Events, events.clone())];
        config.topics.insert(TopicRole::Predictions, predictions);
        config.commit_interval = Duration::from_millis(20);
        // Many transactions, so that a crash has neighbours.
        config.batch_rows_max = 50;
        Self { events, config, checkpoints: Checkpoints::default(), replays: false }
    }

    fn predictions(&self) -> &str {
        &self.config.topics[&TopicRole::Predictions]
    }

    fn hooks(&self) -> Hooks {
        let (find, store) = (Arc::clone(&self.checkpoints), Arc::clone(&self.checkpoints));
        Hooks {
            checkpoint: Box::new(move |source, limit| {
                find.lock().unwrap().get(source).filter(|(at, _)| *at <= limit).cloned()
            }),
            store_checkpoint: Box::new(move |source, at, bytes| {
                store.lock().unwrap().insert(source.clone(), (at, bytes));
            }),
            ..Hooks::inert()
        }
    }

    fn start(&self, probe: &Probe) -> Running {
        self.start_with(probe, self.config.clone(), self.hooks())
    }

    fn start_with(&self, probe: &Probe, config: RunnerConfig, hooks: Hooks) -> Running {
        let stage = Echo { probe: probe.clone(), replays: self.replays, outputs: PARTITIONS };
        let stop = Stop::new();
        let told = stop.clone();
        let thread = std::thread::spawn(move || kafka::run(Box::new(stage), config, hooks, told));
        Running { stop, thread }
    }

    /// Each of `rows` inputs has exactly one output, and the numbers of a partition have no gap.
    fn check(&self, rows: i64) {
        let found = read(self.predictions(), usize::try_from(rows).unwrap());
        let mut keys = BTreeSet::new();
        let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for record in found.iter().flat_map(RawBatch::iter) {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            assert!(keys.insert(key.clone()), "input {key} has two outputs");
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            let parts: Vec<&str> = value.split('/').collect();
            numbers.entry(parts[0].to_owned()).or_default().push(parts[2].parse().unwrap());
        }
        assert_eq!(keys.len(), usize::try_from(rows).unwrap(), "outputs");
        for (partition, numbers) in numbers {
            let expected: Vec<u64> = (0..numbers.len() as u64).collect();
            assert_eq!(numbers, expected, "numbers of partition {partition}, in log order");
        }
    }
}

struct Running {
    stop: Stop,
    thread: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn stop(self) {
        self.stop.request();
        self.thread.join().unwrap().unwrap();
    }
}

#[test]
fn topics_are_created_checked_and_missed_by_name() {
    let topics = Topics::connect(&connection(), Duration::from_secs(30)).unwrap();
    let config = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let spec = TopicSpec { name: unique("made"), partitions: 2, replication: 1, config, needs: Vec::new() };
    assert_eq!(topics.partitions(&spec.name).unwrap(), None);
    assert!(matches!(topics.require(&spec.name), Err(Error::UnknownTopic(name)) if name == spec.name));
    topics.ensure(&spec).unwrap();
    topics.ensure(&spec).unwrap();
    assert_eq!(topics.require(&spec.name).unwrap(), 2);
    let other = TopicSpec { partitions: 3, ..spec.clone() };
    assert!(matches!(topics.ensure(&other), Err(Error::PartitionCount { found: 2, expected: 3, .. })));
    let refused = TopicSpec { name: unique("refused"), replication: 5, ..spec };
    let message = topics.ensure(&refused).unwrap_err().to_string();
    assert!(message.contains("create it with 2 partitions and cleanup.policy=compact"), "{message}");
    assert_eq!(topics.bounds(&SourcePartition::new(&other.name, 1)).unwrap(), (0, 0));
}

#[test]
fn every_input_has_one_output_over_a_restart_and_metadata_comes_back() {
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let mut setting = Setting::new("normal");
        setting.config.delivery = delivery;
        let probe = Probe::default();
        fill(&setting.events, PARTITIONS, 0..1_000);
        let running = setting.start(&probe);
        eventually("the first records are processed", || probe.look().rows >= 1_000);
        running.stop();
        fill(&setting.events, PARTITIONS, 1_000..1_500);
        let running = setting.start(&probe);
        // The numbers go on where they ended: `check` sees a gap or a repeat.
        setting.check(1_500);
        running.stop();
        assert_eq!(probe.look().rows, 1_500);
    }
}

#[test]
fn every_input_has_one_output_when_the_runner_crashes() {
    let setting = Setting::new("crash");
    let probe = Probe::default();
    fill(&setting.events, PARTITIONS, 0..2_000);
    for at in [1, 300, 333, 1_700] {
        probe.look().panic_at = Some(at);
        let running = setting.start(&probe);
        assert!(running.thread.join().is_err(), "the runner was to panic");
    }
    let running = setting.start(&probe);
    // Whether something comes while a commit is under way is chance: it is given more until it does.
    let rows = Cell::new(2_000);
    eventually("a batch is prepared while a commit is under way", || {
        let is_prepared = probe.look().prepared > 0;
        if !is_prepared {
            fill(&setting.events, PARTITIONS, rows.get()..rows.get() + 200);
            rows.set(rows.get() + 200);
        }
        is_prepared
    });
    setting.check(rows.get());
    running.stop();
    assert!(probe.look().rows > usize::try_from(rows.get()).unwrap(), "crashed batches are stepped again");
}

#[test]
fn every_input_has_one_output_when_the_stage_fails() {
    let setting = Setting::new("fail");
    let probe = Probe::default();
    fill(&setting.events, PARTITIONS, 0..1_000);
    probe.look().fail_at = Some(500);
    let error = setting.start(&probe).thread.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "stage echo: the test fails this stage");
    assert_eq!(error.class(), domain::ErrorClass::Internal);
    let running = setting.start(&probe);
    setting.check(1_000);
    running.stop();
}

#[test]
fn a_fenced_producer_is_replaced_and_reading_goes_back() {
    let setting = Setting::new("fenced");
    let probe = Probe::default();
    fill(&setting.events, PARTITIONS, 0..1_000);
    let running = setting.start(&probe);
    eventually("the first records are processed", || probe.look().rows >= 1_000);
    let rival: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address())
        .set("transactional.id", &setting.config.transactional_id)
        .create()
        .unwrap();
    rival.init_transactions(Duration::from_secs(30)).unwrap();
    fill(&setting.events, PARTITIONS, 1_000..2_000);
    setting.check(2_000);
    running.stop();
    assert!(probe.count("Revoked") >= 3, "the stage forgot its partitions: {:?}", probe.look().inputs);
    assert!(probe.look().rows > 2_000, "the batch of the failed transaction was stepped again");
}

#[test]
fn every_input_has_one_output_while_runners_come_and_go() {
    come_and_go(Setting::new("rebalance"));
}

#[test]
fn every_input_has_one_output_while_the_broker_gives_partitions_out() {
    let mut setting = Setting::new("kip848");
    setting.config.group_protocol = GroupProtocol::Consumer;
    // These are the broker's with this protocol.
    for name in ["session.timeout.ms", "heartbeat.interval.ms"] {
        setting.config.connection.properties.remove(name);
    }
    come_and_go(setting);
}

#[test]
fn a_static_member_has_its_partitions_back_after_a_crash() {
    let mut setting = Setting::new("static");
    setting.config.is_static_member = true;
    let probe = Probe::default();
    fill(&setting.events, PARTITIONS, 0..1_000);
    probe.look().panic_at = Some(300);
    assert!(setting.start(&probe).thread.join().is_err(), "the runner was to panic");
    let running = setting.start(&probe);
    setting.check(1_000);
    running.stop();
}

fn come_and_go(setting: Setting) {
    let (first, second) = (Probe::default(), Probe::default());
    fill(&setting.events, PARTITIONS, 0..3_000);
    let mut slow = setting.config.clone();
    slow.delay_ms = Some((7, 20));
    slow.transactional_id = unique("rebalance");
    let one = setting.start_with(&first, slow.clone(), setting.hooks());
    eventually("the first runner works", || first.look().rows >= 200);
    slow.transactional_id = unique("rebalance");
    let two = setting.start_with(&second, slow, setting.hooks());
    // The first may have read everything before the second has joined: there is more to come.
    eventually("the second runner is given a partition", || second.count("Assigned") > 0);
    fill(&setting.events, PARTITIONS, 3_000..4_000);
    eventually("the second runner works", || second.look().rows > 0);
    one.stop();
    setting.check(4_000);
    two.stop();
    assert!(first.count("Revoked") > 0);
}

#[test]
fn control_is_read_to_its_end_before_the_group_is_joined_and_followed_after() {
    let mut setting = Setting::new("control");
    let (control, journal) = (unique("control"), unique("journal"));
    create(&control, 1);
    create(&journal, 1);
    fill(&control, 1, 0..2_000);
    setting.config.reads_control = true;
    setting.config.topics.insert(TopicRole::Control, control.clone());
    setting.config.topics.insert(TopicRole::Journal, journal.clone());
    fill(&setting.events, PARTITIONS, 0..10);
    let probe = Probe::default();
    let running = setting.start(&probe);
    setting.check(10);
    let before: usize = {
        let seen = probe.look();
        let until = seen.inputs.iter().position(|i| i.starts_with("Assigned")).unwrap();
        seen.inputs[..until].iter().map(|i| control_rows(i)).sum()
    };
    assert_eq!(before, 2_000, "records of the control topic seen before the first assignment");
    fill(&control, 1, 2_000..2_001);
    eventually("news of the control topic", || {
        probe.look().inputs.iter().map(|i| control_rows(i)).sum::<usize>() == 2_001
    });
    // Each was answered, though the stage was given no batch with it.
    let answers = read(&journal, 2_001);
    assert_eq!(answers.iter().map(RawBatch::len).sum::<usize>(), 2_001);
    running.stop();
}

fn control_rows(input: &str) -> usize {
    let inner = input.strip_prefix("Control(").and_then(|rest| rest.strip_suffix(" records)"));
    inner.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_replaying_stage_rebuilds_its_state_without_output() {
    for checkpoints in [false, true] {
        let mut setting = Setting::new("replay");
        setting.replays = true;
        setting.config.checkpoint_every = u64::from(checkpoints) * 2;
        fill(&setting.events, PARTITIONS, 0..900);
        let probe = Probe::default();
        let running = setting.start(&probe);
        eventually("the first records are processed", || probe.look().rows >= 900);
        running.stop();
        let at_stop = setting.checkpoints.lock().unwrap().clone();
        assert_eq!(at_stop.len(), 3, "a checkpoint of every partition at stop");
        if !checkpoints {
            setting.checkpoints.lock().unwrap().clear();
        }
        fill(&setting.events, PARTITIONS, 900..1_200);
        let running = setting.start(&probe);
        setting.check(1_200);
        running.stop();
        // Without checkpoints the first 900 are stepped again; a rewind may repeat more.
        let rows = probe.look().rows;
        assert_eq!(rows >= 900 + 1_200, !checkpoints, "{rows} stepped rows with checkpoints: {checkpoints}");
    }
}

#[test]
fn a_partition_that_takes_no_input_is_paused_and_loses_nothing() {
    let setting = Setting::new("pause");
    let probe = Probe::default();
    probe.look().closed = vec![1];
    fill(&setting.events, PARTITIONS, 0..300);
    let running = setting.start(&probe);
    eventually("the open partitions are processed", || probe.look().rows >= 200);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(probe.look().rows, 200);
    assert_eq!(probe.count(&format!("batch {}/1", setting.events)), 0);
    probe.look().closed.clear();
    setting.check(300);
    probe.look().closed = vec![1];
    fill(&setting.events, PARTITIONS, 300..600);
    eventually("the open partitions are processed", || probe.look().rows >= 500);
    probe.look().closed.clear();
    setting.check(600);
    running.stop();
}

#[test]
fn a_paused_partition_that_was_away_is_read_when_it_comes_back() {
    let setting = Setting::new("away");
    let (first, second) = (Probe::default(), Probe::default());
    let all: Vec<i32> = (0..PARTITIONS).collect();
    first.look().closed.clone_from(&all);
    second.look().closed = all;
    fill(&setting.events, PARTITIONS, 0..300);
    let one = setting.start(&first);
    eventually("the first runner is given all partitions", || first.count("Assigned") == 3);
    // Long enough to have fetched, and paused, each of them.
    std::thread::sleep(Duration::from_millis(500));
    let mut other = setting.config.clone();
    other.transactional_id = unique("away");
    let two = setting.start_with(&second, other, setting.hooks());
    eventually("a partition moves to the second runner", || second.count("Assigned") == 1);
    two.stop();
    eventually("it comes back to the first", || first.count("Assigned") == 4);
    assert_eq!(first.look().rows, 0);
    first.look().closed.clear();
    setting.check(300);
    one.stop();
}

#[test]
fn a_quiet_partition_is_marked_idle_once_until_it_speaks_again() {
    let mut setting = Setting::new("idle");
    setting.config.idle_after = Some(Duration::from_millis(300));
    fill(&setting.events, PARTITIONS, 0..300);
    let probe = Probe::default();
    let hooks = setting.hooks();
    let enabled = Arc::clone(&hooks.idle_enabled);
    enabled.store(false, Ordering::SeqCst);
    let running = setting.start_with(&probe, setting.config.clone(), hooks);
    eventually("the records are processed", || probe.look().rows >= 300);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(probe.count("Idle"), 0, "idle marking is switched off");
    enabled.store(true, Ordering::SeqCst);
    eventually("all partitions are idle", || probe.count("Idle") >= 3);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(probe.count("Idle"), 3, "{:?}", probe.look().inputs);
    // Number 300 goes to partition 0.
    fill(&setting.events, PARTITIONS, 300..301);
    eventually("the partition that spoke is idle again", || probe.count("Idle") == 4);
    assert_eq!(probe.count(&format!("Idle({}/0)", setting.events)), 2);
    running.stop();
}

#[test]
fn a_position_outside_the_log_is_an_error_and_never_a_jump() {
    let mut setting = Setting::new("range");
    fill(&setting.events, PARTITIONS, 0..9);
    let probe = Probe::default();
    let running = setting.start(&probe);
    eventually("the records are processed", || probe.look().rows >= 9);
    running.stop();
    // The same group on a topic that was made anew under another name cannot be told apart here,
    // so the offset itself is moved beyond the end.
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address())
        .set("group.id", &setting.config.group)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&setting.events, 0, rdkafka::Offset::Offset(1_000)).unwrap();
    client.commit(&list, CommitMode::Sync).unwrap();
    let error = setting.start(&probe).thread.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::OutOfRange { position: 1_000, low: 0, .. }), "{error}");
    assert!(error.to_string().contains("--reset"), "{error}");
    setting.config.out_of_log = OutOfLog::Reset;
    let running = setting.start(&probe);
    eventually("the partition is read from its start", || probe.look().rows >= 9 + 3);
    running.stop();
}

#[test]
fn records_that_retention_took_are_said_to_be_lost_and_reading_goes_on() {
    let mut setting = Setting::new("gap");
    let journal = unique("gap-journal");
    create(&journal, 1);
    setting.config.topics.insert(TopicRole::Journal, journal.clone());
    fill(&setting.events, PARTITIONS, 0..30);
    let probe = Probe::default();
    let running = setting.start(&probe);
    eventually("the first records are processed", || probe.look().rows >= 30);
    running.stop();
    // Ten more in each partition; seven of partition 0 are gone before they are read.
    fill(&setting.events, PARTITIONS, 30..60);
    delete_before(&setting.events, 0, 17);
    let running = setting.start(&probe);
    eventually("reading goes on", || probe.look().rows >= 53);
    running.stop();
    assert_eq!(probe.look().rows, 53);
    let said = read(&journal, 1);
    let record = said[0].iter().next().unwrap().value.unwrap().to_vec();
    let gap = Gap {
        stage: "echo".to_owned(),
        source: SourcePartition::new(&setting.events, 0),
        from_offset: 10,
        to_offset: 17,
    };
    let found: Journal<(), ()> = records::from_postcard(&record).unwrap();
    assert_eq!(found, Journal::Gap(gap));
    assert_eq!(said.iter().map(RawBatch::len).sum::<usize>(), 1, "said once");
}

/// What retention does.
fn delete_before(topic: &str, partition: i32, offset: i64) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    let admin: AdminClient<rdkafka::client::DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address()).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}

#[test]
fn an_unknown_topic_is_named() {
    let mut setting = Setting::new("unknown");
    let missing = unique("missing");
    setting.config.subscriptions = vec![(TopicRole::Events, missing.clone())];
    let error = setting.start(&Probe::default()).thread.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::UnknownTopic(name) if *name == missing), "{error}");
}

#[test]
fn a_topic_that_is_deleted_while_it_is_read_is_named() {
    let setting = Setting::new("deleted");
    fill(&setting.events, PARTITIONS, 0..300);
    let running = setting.start(&Probe::default());
    setting.check(300);
    let client = ClientConfig::new().set("bootstrap.servers", address()).clone();
    let admin: rdkafka::admin::AdminClient<rdkafka::client::DefaultClientContext> = client.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_topics(&[&setting.events], &rdkafka::admin::AdminOptions::new())).unwrap();
    let error = running.thread.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::UnknownTopic(name) if *name == setting.events), "{error}");
}

#[test]
fn a_record_the_broker_refuses_is_reported_and_not_retried_for_ever() {
    let topic = unique("small");
    let config = BTreeMap::from([("max.message.bytes".to_owned(), "1000".to_owned())]);
    let spec = TopicSpec { name: topic.clone(), partitions: 1, replication: 1, config, needs: Vec::new() };
    Topics::connect(&connection(), Duration::from_secs(30)).unwrap().ensure(&spec).unwrap();
    let sender = Sender::new(&Connection::to(address()), 8 << 20).unwrap();
    let mut state = 1_u32;
    // Bytes that do not compress.
    let value: Vec<u8> = (0..5_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let message = Message { topic: &topic, partition: Some(0), value: Some(&value), ..Message::default() };
    sender.send(&message).unwrap();
    let error = sender.flush(Duration::from_secs(30)).unwrap_err();
    assert!(matches!(&error, Error::Unwritable { topic: named, count: 1, .. } if *named == topic), "{error}");
}
