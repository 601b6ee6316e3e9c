//! Looking for finished episodes where a hundred thousand were shipped before: what lies in `shipped/` is not looked at.

mod limit;

use std::fs;
use std::path::Path;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_episodes::ship::scan::{MARKER, scan};

const SHIPPED: u32 = 100_000;
const FINISHED: usize = 10;
const ROUNDS: usize = 101;
const MILLIS_MAX: f64 = 50.0;

fn main() -> std::process::ExitCode {
    let dir = tempfile::tempdir().expect("a directory");
    let (episodes, shipped) = (dir.path().join("episodes"), dir.path().join("shipped"));
    let recorded = |root: &Path, name: &str| {
        fs::create_dir_all(root.join(name)).expect("a directory");
        fs::write(root.join(name).join(MARKER), "").expect("it is written");
    };
    for episode in 0..SHIPPED {
        // As retiring leaves them: made where all of them are made, and moved.
        recorded(&episodes, "ep");
        fs::create_dir_all(&shipped).expect("a directory");
        fs::rename(episodes.join("ep"), shipped.join(format!("ep-{episode:06}"))).expect("it is moved");
    }
    (0..FINISHED).for_each(|episode| recorded(&episodes, &format!("new-{episode}")));
    let clock = SystemClock::new();
    let rounds = (0..ROUNDS).map(|_| {
        let begun = clock.elapsed();
        let found = scan(&episodes).expect("it is read");
        let took = clock.elapsed() - begun;
        assert_eq!(found.finished.len(), FINISHED);
        took.as_secs_f64() * 1e3
    });
    let millis = limit::median(rounds);
    println!(
        "scan: {millis:.2} ms beside {SHIPPED} shipped episodes (limit: {MILLIS_MAX} ms), median of {ROUNDS} rounds"
    );
    limit::verdict(&[(millis < MILLIS_MAX, format!("scan: {millis:.2} ms, limit {MILLIS_MAX} ms"))])
}
