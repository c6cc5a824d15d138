//! A broker that lists no broker, itself included, as one does that has just started.

use crate::rebalance::GroupContext;
use crate::settings::{Connection, reader_settings};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const UNSUPPORTED_VERSION: i16 = 35;
const LEADER_NOT_AVAILABLE: i16 = 5;

/// Answers `ApiVersions` of version 0 and `Metadata` of version 1, and nothing else.
struct Broker {
    address: String,
    lists_itself: Arc<AtomicBool>,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

fn metadata(port: u16, lists_itself: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(i32::from(lists_itself).to_be_bytes());
    if lists_itself {
        out.extend(1_i32.to_be_bytes());
        text(&mut out, "127.0.0.1");
        out.extend(i32::from(port).to_be_bytes());
        out.extend((-1_i16).to_be_bytes());
    }
    out.extend(1_i32.to_be_bytes());
    out.extend(1_i32.to_be_bytes());
    out.extend(LEADER_NOT_AVAILABLE.to_be_bytes());
    text(&mut out, "topic");
    out.push(0);
    out.extend(0_i32.to_be_bytes());
    out
}

fn versions(asked: i16) -> Vec<u8> {
    let mut out = (if asked == 0 { 0 } else { UNSUPPORTED_VERSION }).to_be_bytes().to_vec();
    out.extend(2_i32.to_be_bytes());
    for number in [METADATA, 0, 1, API_VERSIONS, 0, 0] {
        out.extend(number.to_be_bytes());
    }
    out
}

fn serve(mut stream: TcpStream, port: u16, lists_itself: &AtomicBool) -> io::Result<()> {
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let mut request = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        stream.read_exact(&mut request)?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let body = match number(0) {
            API_VERSIONS => versions(number(2)),
            METADATA => metadata(port, lists_itself.load(Ordering::SeqCst)),
            _ => return Ok(()),
        };
        let mut answer = i32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
        answer.extend(&request[4..8]);
        answer.extend(body);
        stream.write_all(&answer)?;
    }
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lists_itself = Arc::new(AtomicBool::new(true));
        let lists = Arc::clone(&lists_itself);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let lists = Arc::clone(&lists);
                std::thread::spawn(move || serve(stream, port, &lists));
            }
        });
        Self { address: format!("127.0.0.1:{port}"), lists_itself }
    }
}

/// Polls as every reader of ours does, until the broker answers or does not any more.
fn is_answered_within(client: &BaseConsumer<GroupContext>, wanted: bool, helps: bool, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if helps {
            client.context().common.find_again(client.client());
        }
        drop(client.poll(Duration::from_millis(20)));
        if client.fetch_metadata(None, Duration::from_millis(300)).is_ok() == wanted {
            return true;
        }
    }
    false
}

#[test]
fn a_client_that_was_told_of_no_broker_finds_it_again() {
    let broker = Broker::start();
    let connection = Connection::to(&broker.address);
    let mut config = connection.client(&reader_settings("lost", 1024));
    // Without it the client comes back by itself, mostly: it is a race with itself.
    config.set("metadata.recovery.strategy", "none").set("statistics.interval.ms", "50");
    let client = BaseConsumer::from_config_and_context(&config, GroupContext::of(&connection)).unwrap();
    let minute = Duration::from_secs(60);
    assert!(is_answered_within(&client, true, false, minute), "the broker of this test is not understood");
    broker.lists_itself.store(false, Ordering::SeqCst);
    assert!(is_answered_within(&client, false, false, minute), "the client kept its brokers");
    broker.lists_itself.store(true, Ordering::SeqCst);
    assert!(!is_answered_within(&client, true, false, Duration::from_secs(3)), "the client needs no help");
    assert!(is_answered_within(&client, true, true, minute), "the client stays lost");
}
