//! A receiver as a process, over loopback, against threads that do the same to the same disk without it:
//!
//! - one stream of a large episode, against reading, hashing, writing and syncing the same bytes; and the most memory that the
//!   receiver took meanwhile;
//! - 64 clients with small episodes, each answered when it is durable, against 64 threads that write, sync, link and sync the directory,
//!   and append a row that is synced.
//!
//! `RECEIVE_BYTES` is how large the large one is (1,000,000,000), `RECEIVE_DIR` where both sides write.

mod limit;
#[expect(dead_code, reason = "what it stores is looked at by another bench")]
mod receiver;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use highwater_engine::clock::{Clock, SystemClock};
use receiver::{Receiver, TOKEN};
use sha2::{Digest as _, Sha256};

const BYTES: u64 = 1_000_000_000;
const PART_BYTES: usize = 256 << 10;
const STREAM_RATIO_MIN: f64 = 0.8;
const MEMORY_MIB_MAX: u64 = 64;
const CLIENTS: usize = 64;
const EPISODES: usize = 40;
const SMALL_BYTES: usize = 16 << 10;
const CLIENTS_RATIO_MIN: f64 = 0.5;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let bytes = std::env::var("RECEIVE_BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(BYTES);
    let dir = std::env::var_os("RECEIVE_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let clock = SystemClock::new();
    let mut limits = stream(dir.path(), bytes, &clock);
    limits.extend(clients(dir.path(), &clock));
    limit::verdict(&limits)
}

fn stream(dir: &Path, bytes: u64, clock: &SystemClock) -> Vec<(bool, String)> {
    let source = dir.join("episode");
    noise(&source, bytes);
    let receiver = Receiver::start(&dir.join("stream"));
    let rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|round| {
            let copy = dir.join("copy");
            let theirs = timed(clock, || {
                let (mut from, mut to) = (File::open(&source).expect("a file"), File::create(&copy).expect("a file"));
                let (mut hash, mut part) = (Sha256::new(), vec![0; PART_BYTES]);
                loop {
                    let read = from.read(&mut part).expect("it is read");
                    if read == 0 {
                        break;
                    }
                    hash.update(&part[..read]);
                    to.write_all(&part[..read]).expect("it is written");
                }
                to.sync_all().expect("it is synced");
                std::hint::black_box(hash.finalize());
            });
            fs::remove_file(copy).expect("it goes");
            let name = format!("large-{round}");
            let ours = timed(clock, || {
                let mut connection = Connection::to(&receiver);
                connection.head(&name, bytes);
                std::io::copy(&mut File::open(&source).expect("a file"), &mut connection.stream).expect("it is sent");
                assert_eq!(connection.status(), 201);
            });
            fs::remove_file(dir.join(format!("stream/received/episodes/lab-1/{name}.tar.zst"))).expect("it goes");
            (ours, theirs)
        })
        .collect();
    let peak = receiver.peak_mib();
    let ratio = limit::median(rounds.iter().map(|(ours, theirs)| theirs / ours));
    let rate = limit::median(rounds.iter().map(|(ours, _)| bytes as f64 / 1e6 / ours));
    println!(
        "receive: one stream of {:.1} GB at {rate:.0} MB/s: {ratio:.2} of reading, hashing, writing and syncing it (limit: {STREAM_RATIO_MIN}), \
         median of {ROUNDS} rounds, in {peak} MiB (limit: {MEMORY_MIB_MAX} MiB)",
        bytes as f64 / 1e9
    );
    vec![
        (ratio >= STREAM_RATIO_MIN, format!("receive: one stream: {ratio:.2}, limit {STREAM_RATIO_MIN}")),
        (peak < MEMORY_MIB_MAX, format!("receive: {peak} MiB, limit {MEMORY_MIB_MAX} MiB")),
    ]
}

fn clients(dir: &Path, clock: &SystemClock) -> Vec<(bool, String)> {
    let body = dir.join("small");
    noise(&body, SMALL_BYTES as u64);
    let body = fs::read(body).expect("it is read");
    let receiver = Receiver::start(&dir.join("clients"));
    let rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|round| {
            let theirs = timed(clock, || bare(&dir.join(format!("bare-{round}")), &body));
            let ours = timed(clock, || {
                std::thread::scope(|scope| {
                    for client in 0..CLIENTS {
                        let (receiver, body) = (&receiver, &body);
                        scope.spawn(move || {
                            let mut connection = Connection::to(receiver);
                            for episode in 0..EPISODES {
                                connection.head(&format!("ep-{round}-{client}-{episode}"), SMALL_BYTES as u64);
                                connection.stream.write_all(body).expect("it is sent");
                                assert_eq!(connection.status(), 201);
                            }
                        });
                    }
                });
            });
            (ours, theirs)
        })
        .collect();
    let ratio = limit::median(rounds.iter().map(|(ours, theirs)| theirs / ours));
    let rate = limit::median(rounds.iter().map(|(ours, _)| (CLIENTS * EPISODES) as f64 / ours));
    let all: Vec<String> = rounds.iter().map(|(ours, theirs)| format!("{:.2}", theirs / ours)).collect();
    println!(
        "receive: {CLIENTS} clients, {rate:.0} episodes/s of {} KiB, each durable: {ratio:.2} of {CLIENTS} bare threads (limit: \
         {CLIENTS_RATIO_MIN}), median of {ROUNDS} rounds ({})",
        SMALL_BYTES >> 10,
        all.join(", ")
    );
    vec![(ratio >= CLIENTS_RATIO_MIN, format!("receive: {CLIENTS} clients: {ratio:.2}, limit {CLIENTS_RATIO_MIN}"))]
}

/// What a receiver must do for each episode, by so many threads and nothing else.
fn bare(dir: &Path, body: &[u8]) {
    let episodes = dir.join("episodes");
    fs::create_dir_all(&episodes).expect("a directory");
    let index = Mutex::new(File::create(dir.join("index.jsonl")).expect("a file"));
    let row = [b'r'; 300];
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (episodes, index) = (&episodes, &index);
            scope.spawn(move || {
                for episode in 0..EPISODES {
                    let (partial, path) = (
                        episodes.join(format!(".{client}-{episode}")),
                        episodes.join(format!("ep-{client}-{episode}")),
                    );
                    let mut file = File::create(&partial).expect("a file");
                    file.write_all(body).expect("it is written");
                    std::hint::black_box(Sha256::digest(body));
                    file.sync_all().expect("it is synced");
                    fs::hard_link(&partial, &path).expect("it is linked");
                    fs::remove_file(&partial).expect("it goes");
                    File::open(episodes).and_then(|dir| dir.sync_all()).expect("it is synced");
                    let mut index = index.lock().expect("nobody panicked");
                    index.write_all(&row).expect("it is written");
                    index.sync_data().expect("it is synced");
                }
            });
        }
    });
}

/// A connection of a client that asks one thing after the other.
struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Connection {
    fn to(receiver: &Receiver) -> Self {
        let stream = TcpStream::connect(&receiver.address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self { answers: BufReader::new(stream.try_clone().expect("a socket")), stream }
    }

    fn head(&mut self, episode: &str, bytes: u64) {
        write!(
            self.stream,
            "PUT /v1/episodes/lab-1/{episode} HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {bytes}\r\n\r\n"
        )
        .expect("it is sent");
    }

    /// The status of one answer, whose body is read to its end.
    fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            line.clear();
            self.answers.read_line(&mut line).expect("an answer");
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a field");
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().expect("a length");
            }
        }
        self.answers.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}

/// Bytes that do not compress.
fn noise(path: &Path, bytes: u64) {
    let mut file = File::create(path).expect("a file");
    let (mut random, mut part, mut left) = (fastrand::Rng::with_seed(7), vec![0; PART_BYTES], bytes);
    while left > 0 {
        random.fill(&mut part);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(PART_BYTES);
        file.write_all(&part[..now]).expect("it is written");
        left -= now as u64;
    }
    file.sync_all().expect("it is synced");
}

fn timed(clock: &SystemClock, act: impl FnOnce()) -> f64 {
    let begun = clock.elapsed();
    act();
    (clock.elapsed() - begun).as_secs_f64()
}
