//! Taking over an older OAI-PMH backfill: its worklist, its outcomes, its crawl, and the Retry-After file that another program
//! still reads.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use highwater_engine::clock::{Clock as _, SystemClock};
use jiff::{SignedDuration, Timestamp};

use crate::rig::{HIGHWATER, Rig};

const BOOKS: u64 = 50;
const PREFIX: &str = "oai:books.example.org:20.500.12854/";

/// A provider of invented books, in a process of its own.
struct Provider {
    process: Child,
    base_url: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn provider(rig: &Rig) -> Provider {
    let args = [
        "--json",
        "oai",
        "serve",
        "--generated",
        &BOOKS.to_string(),
        "--listen",
        "127.0.0.1:0",
        "--access-log",
        "asked.log",
    ];
    let mut process = rig.command_of(HIGHWATER.as_ref(), &args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    Provider { process, base_url: said["base_url"].as_str().unwrap().to_owned() }
}

/// The records that the repository was asked for, by what comes after the prefix.
fn asked(rig: &Rig) -> Vec<String> {
    let log = rig.read("asked.log");
    let records = log.lines().filter(|line| line.contains("verb=GetRecord"));
    records.map(|line| line.rsplit("%2F").next().unwrap().split('&').next().unwrap().to_owned()).collect()
}

/// An older backfill that stopped at 40 %, and a provider.
fn old_one() -> (Rig, Provider) {
    let rig = Rig::new("");
    let provider = provider(&rig);
    rig.write(
        "highwater.toml",
        &format!(
            "[resource.books]\npace = \"0s\"\nban-file = \"retry-after\"\n\n[job.missing]\nkind = \"oai-backfill\"\nresources = [\"books\"]\n\
             repository = {{ base-url = \"{}\", identifier-prefix = \"{PREFIX}\" }}\n",
            provider.base_url
        ),
    );
    let deleted = |n: u64| n * 5 / BOOKS > (n - 1) * 5 / BOOKS;
    let ids: Vec<u64> = (1..=BOOKS).rev().filter(|n| !deleted(*n)).collect();
    let list = |ids: &mut dyn Iterator<Item = u64>| ids.map(|n| format!("{n}\n")).collect::<String>();
    rig.write("old.ids", &list(&mut ids.iter().copied()));
    rig.write("old.active", &list(&mut ids.iter().rev().copied()));
    rig.write("old.deleted", &list(&mut (1..=BOOKS).filter(|n| deleted(*n))));
    rig.write("old.stale", "");
    rig.write("old.orphans", "");
    let word = |at: usize| ["ok", "ok", "present_locally", "ok", "gone", "error_review"][at % 6];
    let outcomes: serde_json::Map<_, _> =
        ids.iter().take(ids.len() * 2 / 5).enumerate().map(|(at, n)| (n.to_string(), word(at).into())).collect();
    rig.write("old.json", &serde_json::json!({ "version": 3, "outcomes": outcomes }).to_string());
    (rig, provider)
}

#[test]
fn an_older_backfill_is_drained_to_its_end_without_a_record_asked_for_twice() {
    let (rig, _provider) = old_one();
    let said = rig.ok(&["import", "backfill-state", "old.json"]);
    assert!(said.stdout.contains("45 items taken over, 18 of them with their outcomes, 27 open"), "{said:?}");
    assert_eq!(asked(&rig), [] as [&str; 0], "no contact");

    let part = rig.run(&["--json", "run", "missing", "--max-items", "10"]);
    assert_eq!(part.code, 3, "{part:?}");
    let whole = rig.run(&["--json", "run", "missing"]);
    assert_eq!((whole.code, whole.json()["reason"].as_str()), (0, Some("drained")), "{whole:?}");
    // The first numbers are the greatest: 18 of 45 were judged before.
    let ids: Vec<String> = rig.read("old.ids").lines().map(str::to_owned).collect();
    assert_eq!(asked(&rig), ids[18..]);
    let items = rig.ok(&["--json", "items", "missing"]);
    let outcomes: Vec<String> = items
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes[..6], ["done", "done", "present", "done", "gone", "review"]);
    assert!(outcomes[18..].iter().all(|outcome| outcome == "done"), "{outcomes:?}");
    let again = rig.run(&["--json", "run", "missing"]);
    assert_eq!((again.code, asked(&rig).len()), (0, 27));
}

#[test]
fn r02_its_retry_after_file_is_honoured_and_kept_for_the_program_that_still_reads_it() {
    let (rig, _provider) = old_one();
    rig.ok(&["import", "backfill-state", "old.json"]);
    let until: Timestamp = SystemClock::new().now() + SignedDuration::from_hours(2);
    rig.write("retry-after", &format!("{until}\n"));
    let banned = rig.run(&["--json", "run", "missing"]);
    assert_eq!((banned.code, banned.json()["reason"].as_str()), (3, Some("banned_until")), "{banned:?}");
    assert_eq!(asked(&rig), [] as [&str; 0]);
    // A person's ban is for the other program too, and so is the end of it.
    rig.ok(&["ban", "books", "--for", "5h", "--why", "maintenance"]);
    let told: Timestamp = rig.read("retry-after").trim().parse().unwrap();
    assert!(told > until, "{told}");
    rig.ok(&["lift", "books", "--why", "it is over"]);
    let told: Timestamp = rig.read("retry-after").trim().parse().unwrap();
    assert!(told < until, "{told}");
    assert_eq!(rig.run(&["run", "missing"]).code, 0);
    let once: BTreeSet<String> = asked(&rig).into_iter().collect();
    assert_eq!((once.len(), asked(&rig).len()), (27, 27));
}

#[test]
fn a_worklist_in_the_way_and_a_state_that_says_something_else_are_refused() {
    let (rig, _provider) = old_one();
    rig.ok(&["import", "backfill-state", "old.json"]);
    let again = rig.run(&["import", "backfill-state", "old.json"]);
    assert!(again.code == 2 && again.stderr.contains("--replace"), "{again:?}");
    rig.write("old.json", "{\"outcomes\": {\"3\": \"okay\"}}");
    let unknown = rig.run(&["import", "backfill-state", "old.json", "--replace"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("HW-OAI-013") && unknown.stderr.contains("\"okay\""),
        "{unknown:?}"
    );
    assert_eq!(rig.run(&["--json", "run", "missing"]).code, 0, "what was taken over before is as it was");
}
