//! A person beside a pass that runs in another process: what they see is what the pass shows, and what they say is obeyed
//! within one item.

mod notices;

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::Stream;
use highwater_engine::clock::{Clock, SystemClock, later};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::{ItemFilter, Ledger, Who, Word};
use highwater_engine::outcome::Outcome;
use highwater_engine::report::PassReport;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::riders::Ride;
use crate::rig::{Doomed, Ended, Rig, UNTIL_GO, end, signal, spin_until, wait_until};
use highwater_testkit::named::{Named, names};

/// An item that takes a while, until there is no need to any more.
const SLOW: &str = "echo \"begin $1\" >>log; [ -e fast ] || sleep 0.15; echo \"end $1\" >>log";
/// Items read ahead by a pass, most of which it has not begun when a person speaks.
const ITEMS: usize = 40;

/// A slow backlog with `width` items at a time.
fn slow(width: usize) -> Rig {
    let items: Vec<String> = (0..ITEMS).map(|n| format!("i{n}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    Rig::load(&items, SLOW, &format!("concurrency = {width}"))
}

/// The items that were begun, in that order.
fn begun(rig: &Rig) -> Vec<String> {
    words_after(rig, "begin ")
}

/// The items that came to their end.
fn ended(rig: &Rig) -> Vec<String> {
    words_after(rig, "end ")
}

fn words_after(rig: &Rig, word: &str) -> Vec<String> {
    rig.log().iter().filter_map(|line| line.strip_prefix(word).map(str::to_owned)).collect()
}

/// Starts a pass and waits until it is well on its way.
fn under_way(rig: &Rig, width: usize) -> Child {
    let pass = rig.start(&["--json", "run", "load"]);
    wait_until("some items", || ended(rig).len() >= 2 * width);
    pass
}

fn reason(ended: &Ended) -> (i32, String) {
    (ended.code, ended.json()["reason"].as_str().unwrap_or_default().to_owned())
}

/// The one event with this act.
fn event(rig: &Rig, act: &str) -> Value {
    let events = rig.ok(&["events", "--json"]).stdout;
    let mut found = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|e| e["act"] == act);
    let event = found.next().unwrap_or_else(|| panic!("no {act}: {events}"));
    assert!(found.next().is_none(), "{act} more than once: {events}");
    event
}

/// Who, when and why.
fn assert_told(rig: &Rig, act: &str, why: &str) {
    let event = event(rig, act);
    assert!(event["who"].as_str().is_some_and(|who| who.contains('@')), "a person at a host: {event}");
    assert!(event["at"].as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()), "{event}");
    assert!(event["why"].as_str().is_some_and(|said| said.contains(why)), "{event}");
}

/// Says a word that ends a pass, and holds it to what was in hand: nothing but that still runs after the command has
/// returned, and that runs to its end and is recorded. Then the word is taken back and the rest is drained, each item once.
fn is_obeyed_within_one_item(word: &[&str], ending: (i32, &str), way_on: &[&str]) {
    for width in [1, 3] {
        let rig = slow(width);
        let pass = under_way(&rig, width);
        rig.ok(word);
        let ended_by_then = ended(&rig).len();
        let report = end(pass);
        assert_eq!(reason(&report), (ending.0, ending.1.to_owned()), "{report:?}");
        let all = begun(&rig);
        assert!(all.len() <= ended_by_then + width, "{word:?}: {ended_by_then} ended by then, of {width}: {all:?}");
        assert!(all.len() < ITEMS, "it made a difference");
        assert_eq!(ended(&rig).len(), all.len(), "what was in hand came to its end");
        assert_eq!(rig.tally()["done"], all.len(), "and is recorded");
        // The next pass obeys as well, and starts nothing.
        assert_eq!(rig.pass(), (ending.0, ending.1.to_owned()));
        assert_eq!(begun(&rig).len(), all.len());

        rig.write("fast", "");
        rig.ok(way_on);
        assert_eq!(rig.pass(), (0, "drained".into()));
        let mut each = begun(&rig);
        each.sort();
        each.dedup();
        assert_eq!((each.len(), begun(&rig).len()), (ITEMS, ITEMS), "each once");
        assert_told(&rig, word[0], "it is noon");
        assert_told(&rig, way_on[0], "it is over");
    }
}

#[test]
fn a_pause_is_obeyed_within_one_item() {
    is_obeyed_within_one_item(
        &["pause", "load", "--why", "it is noon"],
        (3, "paused"),
        &["resume", "load", "--why", "it is over"],
    );
}

#[test]
fn r04_a_halt_is_obeyed_within_one_item() {
    is_obeyed_within_one_item(
        &["halt", "load", "--why", "it is noon"],
        (4, "halted"),
        &["rearm", "load", "--why", "it is over"],
    );
}

#[test]
fn r02_a_ban_is_obeyed_within_one_item() {
    is_obeyed_within_one_item(
        &["ban", "r", "--for", "2h", "--why", "it is noon"],
        (3, "banned_until"),
        &["lift", "r", "--why", "it is over"],
    );
}

/// The pace of a backlog on which all but the first item wait for their turn, longer than any test.
const PACE: &str = "10m";

/// A pass whose first item is done and whose others wait for their turns.
fn waiting_for_turns(more: &str) -> (Rig, Doomed) {
    let rig = Rig::load(&["a", "b", "c", "d", "e", "f"], "echo $1 >>log", &format!("concurrency = 4\n{more}"));
    rig.write("highwater.toml", &format!("{}pace = \"{PACE}\"\n", rig.read("highwater.toml")));
    let pass = rig.doom(&["--json", "run", "load"]);
    rig.wait_for_log(1);
    (rig, pass)
}

/// The pass ends, though the turns of all its items are still to come; the one contact that was made is counted.
fn ends_without_its_turns(mut pass: Doomed, ending: (i32, &str)) {
    wait_until("its end", || !pass.runs());
    let report = pass.end();
    assert_eq!(reason(&report), (ending.0, ending.1.to_owned()), "{report:?}");
    assert_eq!(report.json()["spent"]["contacts"], 1, "{report:?}");
}

#[test]
fn a_pass_that_waits_for_its_turns_obeys_a_word_at_once() {
    for (word, ending) in [
        (&["pause", "load", "--why", "it is noon"][..], (3, "paused")),
        (&["halt", "load", "--why", "it is noon"], (4, "halted")),
        (&["ban", "r", "--for", "2h", "--why", "it is noon"], (3, "banned_until")),
    ] {
        let (rig, pass) = waiting_for_turns("");
        rig.ok(word);
        ends_without_its_turns(pass, ending);
        assert_eq!(rig.log().len(), 1);
        // The lock is free: the next pass comes to the same end under it.
        assert_eq!(rig.pass(), (ending.0, ending.1.to_owned()));
    }
}

#[test]
fn a_pass_that_waits_for_its_turns_obeys_a_signal_and_its_deadline() {
    let (rig, pass) = waiting_for_turns("");
    let sent = rig.sh(&format!("kill -TERM {}", pass.pid()));
    assert_eq!(sent.code, 0);
    ends_without_its_turns(pass, (3, "stopped"));

    let (_rig, pass) = waiting_for_turns("budget = { max-time = \"3s\" }");
    ends_without_its_turns(pass, (3, "budget_time"));
}

#[test]
fn r02_a_ban_in_a_file_is_obeyed_by_a_pass_that_waits_for_its_turns() {
    let rig = Rig::load(&["a", "b", "c"], "echo $1 >>log", "concurrency = 2");
    let config = rig.read("highwater.toml");
    rig.write("highwater.toml", &format!("{config}pace = \"{PACE}\"\nban-file = \"retry-after\"\n"));
    let pass = rig.doom(&["--json", "run", "load"]);
    rig.wait_for_log(1);
    let hour = later(SystemClock::new().now(), Duration::from_secs(3600));
    rig.write("retry-after", &format!("{hour}\n"));
    ends_without_its_turns(pass, (3, "banned_until"));
}

#[test]
fn the_pass_says_who_stopped_it_and_why() {
    let rig = slow(1);
    let pass = under_way(&rig, 1);
    let said = rig.ok(&["halt", "load", "--why", "the disk is full"]);
    assert!(said.stdout.contains("ends before its next item"), "{said:?}");
    let report = end(pass).json();
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the disk is full") && message.contains('@'), "{message}");

    let rig = slow(1);
    let pass = under_way(&rig, 1);
    rig.ok(&["pause", "load", "--why", "lunch"]);
    let report = end(pass).json();
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("lunch") && message.contains('@'), "{message}");
}

#[test]
fn an_item_read_ahead_is_skipped_and_not_begun() {
    for width in [1, 3] {
        let rig = slow(width);
        let pass = under_way(&rig, width);
        let said = rig.ok(&["skip", "load", "i30", "i31", "i39", "--why", "withdrawn"]);
        assert!(said.stdout.contains("3 skipped"), "{said:?}");
        rig.write("fast", "");
        let report = end(pass);
        assert_eq!(reason(&report), (0, "drained".into()), "{report:?}");
        let all = begun(&rig);
        assert_eq!(all.len(), ITEMS - 3, "{all:?}");
        assert!(!all.iter().any(|item| ["i30", "i31", "i39"].contains(&item.as_str())), "{all:?}");
        assert_eq!(rig.tally(), json!({"done": ITEMS - 3, "skipped": 3}));
        assert_told(&rig, "skip", "withdrawn");
    }
}

#[test]
fn an_item_of_review_is_put_back_and_tried_again_by_the_same_pass() {
    for width in [1, 3] {
        let rig = slow(width);
        rig.script(
            "load",
            &format!("[ $1 != i1 ] || [ -e mended ] || {{ echo \"begin $1\" >>log; exit 11; }}\n{SLOW}"),
        );
        let pass = rig.start(&["--json", "run", "load"]);
        let in_review = || rig.ok(&["items", "load", "--outcome", "review", "--json"]).stdout;
        wait_until("the worklist", || rig.run(&["items", "load"]).code == 0);
        wait_until("an item in review", || in_review().contains("\"i1\""));
        rig.write("mended", "");
        let said = rig.ok(&["retry", "load", "--outcome", "review", "--why", "mended"]);
        assert!(said.stdout.contains("pass 1 sees it before its next item"), "{said:?}");
        assert_eq!(in_review(), "");
        rig.write("fast", "");
        let report = end(pass);
        assert_eq!(reason(&report), (0, "drained".into()), "{report:?}");
        assert_eq!(begun(&rig).iter().filter(|item| *item == "i1").count(), 2, "tried again");
        assert_eq!(begun(&rig).len(), ITEMS + 1, "and nothing else");
        assert_eq!(rig.tally(), json!({"done": ITEMS}));
        assert_told(&rig, "retry", "1 item: mended");
    }
}

#[test]
fn a_retry_without_a_why_is_told_without_one() {
    let rig = Rig::load(&["a"], "true", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig.ok(&["retry", "load", "a"]);
    assert_eq!(event(&rig, "retry")["why"], "1 item");
}

#[test]
fn an_item_in_hand_that_is_skipped_keeps_its_success_and_loses_its_failure() {
    for (answer, outcome) in [(0, "done"), (1, "skipped"), (11, "skipped")] {
        let script = format!("echo \"begin $1\" >>log; {UNTIL_GO}; exit {answer}");
        let rig = Rig::load(&["a"], &script, "concurrency = 1");
        let pass = rig.start(&["--json", "run", "load"]);
        rig.wait_for_log(1);
        rig.ok(&["skip", "load", "a", "--why", "withdrawn"]);
        rig.write("go", "");
        assert_eq!(reason(&end(pass)), (0, "drained".into()));
        assert_eq!(rig.tally(), json!({outcome: 1}), "it answered {answer}");
    }
}

#[test]
fn a_word_that_comes_with_the_last_item_finds_the_pass_drained() {
    let rig = Rig::load(&["a"], &format!("echo \"begin $1\" >>log; {UNTIL_GO}"), "concurrency = 1");
    let pass = rig.start(&["--json", "run", "load"]);
    rig.wait_for_log(1);
    rig.ok(&["pause", "load", "--why", "lunch"]);
    rig.write("go", "");
    assert_eq!(reason(&end(pass)), (0, "drained".into()), "everything is done: that is no checkpoint");
}

/// A backlog of ten that stands still at the fifth until `go` is there.
fn standing_still() -> Rig {
    let items: Vec<String> = (0..10).map(|n| format!("i{n}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    Rig::load(&items, &format!("echo $1 >>log; [ $1 != i4 ] || {{ {UNTIL_GO}; }}"), "concurrency = 1")
}

/// What a progress sentence says: how far, how fast, for how long.
#[derive(Debug, PartialEq)]
struct Said {
    how_far: String,
    rate: f64,
    eta_secs: u64,
}

/// `4 of 10 (40 %), 1.98/s, ETA 3s`.
fn said(sentence: &str) -> Said {
    let parts: Vec<&str> = sentence.trim().split(", ").collect();
    let [how_far, rate, eta] = parts[..] else { panic!("{sentence:?}") };
    let number = |text: &str, before: &str, after: &str| {
        text.strip_prefix(before)
            .and_then(|text| text.strip_suffix(after))
            .unwrap_or_else(|| panic!("{sentence:?}"))
            .to_owned()
    };
    Said {
        how_far: how_far.to_owned(),
        rate: number(rate, "", "/s").parse().unwrap(),
        eta_secs: number(eta, "ETA ", "s").parse().unwrap(),
    }
}

/// The last sentence of a bar that `script` recorded.
fn last_of_bar(recorded: &str) -> Option<String> {
    let drawn = recorded.rsplit('\r').find(|part| part.contains("load [") && part.contains(" of "))?;
    Some(drawn.rsplit("] ").next()?.trim().to_owned())
}

/// Starts a command of highwater's under a terminal of its own, of which everything is recorded in `file`.
fn in_terminal(rig: &Rig, command: &str, file: &str) -> Child {
    let out = std::fs::File::create(rig.path(file)).unwrap();
    let line = format!("stty rows 24 cols 200; exec highwater {command}");
    let mut script = rig.shell("exec script -qec \"$LINE\" /dev/null");
    script.env("LINE", line).env("TERM", "xterm").env("SHELL", "/bin/sh");
    script.stdout(out).spawn().unwrap()
}

#[test]
fn status_and_the_progress_bar_show_the_same_figures() {
    let rig = standing_still();
    let pass = in_terminal(&rig, "run load", "bar");
    let status =
        || rig.ok(&["status", "load", "--json"]).json()["jobs"][0]["progress"]["sentence"].as_str().map(str::to_owned);
    // An ETA below a second is told in milliseconds, which dance.
    wait_until("the fifth item", || {
        status().is_some_and(|text| text.starts_with("4 of 10 ") && text.contains(" ETA ") && !text.ends_with("ms"))
    });
    let watch = in_terminal(&rig, "status --watch", "watched");

    // The pass stands still, so how far it is stays and only time goes on: the rate falls and the ETA grows. What the bar
    // draws between two looks lies between them.
    let before = said(&status().unwrap());
    let drawn_before = rig.read("bar").len();
    // The first that arrives may have been drawn before, on its way through the terminal.
    let drawn = || {
        let bar = rig.read("bar");
        last_of_bar(&bar[drawn_before..]).filter(|_| bar[drawn_before..].matches("load [").count() > 1)
    };
    wait_until("the bar", || drawn().is_some());
    let bar = said(&drawn().unwrap());
    let after = said(&status().unwrap());
    assert_eq!([&before.how_far, &bar.how_far, &after.how_far], ["4 of 10 (40 %)"; 3]);
    assert!(before.rate >= bar.rate && bar.rate >= after.rate, "{before:?} {bar:?} {after:?}");
    assert!(before.eta_secs <= bar.eta_secs && bar.eta_secs <= after.eta_secs, "{before:?} {bar:?} {after:?}");

    let watched =
        || rig.read("watched").rsplit("progress").next().map(|text| text.split('\u{1b}').next().unwrap().to_owned());
    wait_until("the watched status", || watched().is_some_and(|text| text.contains(" ETA ")));
    assert_eq!(said(&watched().unwrap()).how_far, bar.how_far);
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
    wait_until("its end", || rig.read("watched").contains("load: drained"));
    signal(&watch, "TERM");
    end(watch);
    assert!(rig.read("bar").contains("load: drained"), "the bar leaves the sentence of the pass");
}

#[test]
fn a_terminal_that_cannot_draw_gets_quiet_lines() {
    let rig = standing_still();
    let out = std::fs::File::create(rig.path("bar")).unwrap();
    let mut script = rig.shell("exec script -qec 'exec highwater run load' /dev/null");
    let pass = script.env("TERM", "dumb").env("SHELL", "/bin/sh").stdout(out).spawn().unwrap();
    wait_until("a line", || rig.read("bar").contains("load: 4 of 10 (40 %), "));
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
}

#[test]
fn status_knows_the_limits_that_a_pass_was_started_with() {
    let rig = standing_still();
    let pass = in_terminal(&rig, "run load --max-items 6", "bar");
    let bar = || last_of_bar(&rig.read("bar"));
    wait_until("the bar", || bar().is_some_and(|text| text.contains("then 1 more pass")));
    let status = rig.ok(&["status", "load"]).stdout;
    assert!(status.contains("then 1 more pass"), "the bar says {:?}: {status}", bar());
    rig.write("go", "");
    assert_eq!(end(pass).code, 3);
}

#[test]
fn a_ledger_that_is_being_made_is_looked_at_as_one_that_is_not_there_yet() {
    // Whoever looks while the first pass of all makes its ledger sees it whole or not at all.
    for _ in 0..5 {
        let rig = Rig::load(&["a"], "true", "");
        let pass = rig.start(&["run", "load"]);
        spin_until("the ledger", || rig.path(".highwater-state/ledger.db").exists());
        let looked: Vec<Ended> =
            (0..4).map(|_| rig.start(&["status"])).collect::<Vec<_>>().into_iter().map(end).collect();
        assert_eq!(end(pass).code, 0);
        for look in looked {
            assert_eq!(look.code, 0, "{look:?}");
        }
    }
}

/// A job of one item; while it is sealed, a person puts the item back.
struct Reopened {
    ledger: Arc<dyn Ledger>,
    times: AtomicU32,
}

impl Job for Reopened {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names(["a"])
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, _: &mut CommitCx, _: &Named, (): ()) -> Result<Outcome, Stop> {
        Ok(Outcome::done())
    }

    async fn seal(&self, cx: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        if self.times.fetch_add(1, Ordering::Relaxed) == 0 {
            let word = Word { at: cx.read.clock.now(), who: Who("alice@desk".to_owned()), why: "once more".to_owned() };
            self.ledger.retry_items(&cx.read.job, &ItemFilter::All, &word).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn r03_an_item_that_is_put_back_while_the_pass_is_sealed_is_drained_by_the_next() {
    let ride = Ride::new("load", SystemClock::shared());
    let job = Arc::new(Reopened { ledger: Arc::clone(&ride.engine.ledger), times: AtomicU32::new(0) });
    let report = ride.pass(&job).await;
    assert_eq!(report.exit.number(), 3, "not drained, and nobody's fault: {report:?}");
    assert_eq!(ride.outcomes().await["a"], "open");
    let report = ride.pass(&job).await;
    assert!(report.drained(), "{report:?}");
}
