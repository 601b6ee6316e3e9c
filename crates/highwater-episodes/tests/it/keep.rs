//! How long shipped episodes stay: what goes, in which order, and what never does.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use highwater_engine::clock::Clock as _;
use highwater_engine::ledger::EventFilter;
use highwater_engine::report::{ExitCode, PassReport};
use highwater_engine::settings::{ByteSize, DurationText};
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::{KeepBy, MARKER};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::sim_clock::SimClock;

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

pub(crate) const DAY_SECS: i64 = 86_400;
/// What a receiver's problem has.
pub(crate) const PROBLEM: &str = "Content-Type: application/problem+json\r\n";
/// What one pass removes at most.
const A_PASS: usize = 200;

pub(crate) struct Lab {
    pub(crate) rig: Rig,
    pub(crate) host: Host,
    pub(crate) clock: Arc<SimClock>,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::at(&rig, clock.shared());
        host.settings.keep_time = Some(DurationText::days(10));
        Self { rig, host, clock }
    }

    /// Records an episode of so many bytes, and ships it.
    pub(crate) async fn ship(&self, id: &str, bytes: usize) {
        self.host.record(id, &"x".repeat(bytes), None);
        let report = self.host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{id}: {}", report.message);
    }

    pub(crate) async fn later(&self, days: i64) -> PassReport {
        self.clock.jump_secs(days * DAY_SECS);
        let report = self.host.pass().await;
        assert_eq!(report.exit, ExitCode::Drained, "{}", report.message);
        report
    }

    pub(crate) fn shipped(&self) -> Vec<String> {
        self.host.names("shipped")
    }

    pub(crate) async fn removals(&self) -> Vec<String> {
        self.events("remove").await
    }

    pub(crate) async fn events(&self, act: &str) -> Vec<String> {
        let filter = EventFilter { job: Some(self.host.spec.name.clone()), ..EventFilter::default() };
        let events = self.host.engine.ledger.events(&filter, 1000).await.unwrap();
        events.into_iter().filter(|event| event.act == act).map(|event| event.why).collect()
    }

    /// What the receiver's row of an episode says.
    pub(crate) fn stored_as(&self, id: &str, field: &str) -> String {
        let rows = self.rig.rows();
        let row = rows.iter().rfind(|row| row["episode_id"] == id).unwrap();
        row[field].as_str().unwrap().to_owned()
    }

    /// From now on another answers in the receiver's place.
    pub(crate) fn meets(&mut self, far: Foreign) {
        let there = serde_json::json!(format!("http://{}/", far.address));
        self.host.settings.receiver = serde_json::from_value(there).unwrap();
    }

    /// From now on one answers in its place that has what was sent, and says something else of some.
    pub(crate) async fn meets_but(&mut self, some: fn(&str) -> bool, says: fn() -> String) {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let contents: HashMap<String, String> =
            self.rig.rows().into_iter().map(|row| (text(&row["episode_id"]), text(&row["content_sha256"]))).collect();
        let far = Foreign::new(move |head, _| {
            if some(head) {
                return says();
            }
            let episode = head.split_whitespace().nth(1).and_then(|path| path.rsplit('/').next()).unwrap();
            say(200, &format!("X-Episode-Content-Sha256: {}\r\nX-Episode-Verified: read\r\n", contents[episode]))
        });
        self.meets(far.await);
    }
}

#[tokio::test]
async fn the_oldest_go_first_and_it_is_told() {
    let lab = Lab::new().await;
    lab.ship("b-first", 100).await;
    lab.later(5).await;
    lab.ship("a-second", 100).await;
    assert_eq!(lab.shipped(), ["a-second", "b-first"]);
    let report = lab.later(6).await;
    assert_eq!(lab.shipped(), ["a-second"]);
    let told = "removed 1 shipped episode of 100 bytes, for `keep-time` is 10 days";
    assert_eq!(report.notes, [told]);
    assert_eq!(lab.removals().await, ["removed 1 shipped episode, for `keep-time` is 10 days: b-first"]);
    let report = lab.later(10).await;
    assert_eq!((lab.shipped().len(), report.notes.len()), (0, 1));
    assert_eq!(lab.later(400).await.notes, Vec::<String>::new(), "nothing is told of nothing");
    assert_eq!(lab.removals().await.len(), 2);
    assert_eq!(lab.rig.rows().len(), 2, "the receiver has them");
}

#[tokio::test]
async fn what_the_ledger_does_not_say_the_receiver_has_is_never_removed() {
    let lab = Lab::new().await;
    // One that somebody put there, and one that somebody moved there while it was on the list: recorded as done, never received.
    fs::create_dir(lab.host.path("shipped/by-hand")).unwrap();
    fs::write(lab.host.path("shipped/by-hand/only-copy.csv"), "x").unwrap();
    lab.host.record("moved", "x", None);
    let address = lab.rig.address;
    let dir = lab.rig.end().await;
    assert_eq!(lab.host.pass().await.exit, ExitCode::Checkpoint, "it is on the list now");
    fs::rename(lab.host.path("episodes/moved"), lab.host.path("shipped/moved")).unwrap();
    let rig = Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await;
    let mut lab = Lab { rig, ..lab };
    assert_eq!(lab.host.pass().await.counts.review, 1, "the receiver says that it does not have it");
    assert_eq!(lab.rig.rows().len(), 0);
    lab.ship("received", 100).await;
    lab.host.settings.keep_size = Some(ByteSize::mib(1));
    lab.later(300).await;
    lab.later(1).await;
    assert_eq!(lab.shipped(), ["by-hand", "moved"]);
    assert_eq!(lab.removals().await.len(), 1);
    // With its ledger lost, nothing is known to be received.
    lab.ship("known", 100).await;
    let ledger = lab.host.path("another.db");
    let ledger = SqliteLedger::open(ledger, lab.clock.now(), Access::ReadWrite).unwrap();
    lab.host.engine.ledger = Arc::new(ledger);
    lab.later(300).await;
    lab.later(1).await;
    assert_eq!(lab.shipped(), ["by-hand", "known", "moved"]);
}

#[tokio::test]
async fn r10_what_the_receiver_has_no_longer_stays_and_is_told() {
    let lab = Lab::new().await;
    for id in ["damaged", "kept", "lost", "other"] {
        lab.ship(id, 100).await;
    }
    let stored = |id: &str| lab.rig.path(&format!("episodes/lab/{id}.tar.zst"));
    fs::remove_file(stored("lost")).unwrap();
    fs::copy(stored("kept"), stored("other")).unwrap();
    let mut bytes = fs::read(stored("damaged")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(stored("damaged"), bytes).unwrap();
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), ["damaged", "lost", "other"]);
    let told = "3 shipped episodes are due for `keep-time` is 10 days, and the receiver does not have what was sent any more: they stay in `shipped`";
    assert!(report.notes.iter().any(|note| note.starts_with(told)), "{:?}", report.notes);
    // Moved back, it is sent again, and may go then.
    fs::rename(lab.host.path("shipped/lost"), lab.host.path("episodes/lost")).unwrap();
    assert_eq!(lab.host.pass().await.counts.done, 1);
    assert!(stored("lost").is_file());
    lab.later(11).await;
    assert_eq!(lab.shipped(), ["damaged", "other"]);
}

#[tokio::test]
async fn r10_nothing_goes_while_nobody_says_that_the_receiver_has_it() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    let address = lab.rig.address;
    let dir = lab.rig.end().await;
    lab.clock.jump_secs(11 * DAY_SECS);
    let report = lab.host.pass().await;
    assert_eq!(lab.host.names("shipped"), ["ep"], "{report:?}");
    let told =
        "shipped episodes that are due for `keep-time` is 10 days stay until the receiver says that it has them: ";
    assert!(report.notes.iter().any(|note| note.starts_with(told)), "{:?}", report.notes);
    let rig = Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await;
    let lab = Lab { rig, ..lab };
    lab.later(1).await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

/// Only a receiver's own word that it has it lets one go; by its receipt one goes where a person said so, and where the receiver says
/// nothing of what it has.
#[tokio::test]
async fn r10_what_a_receiver_answers_says_whether_one_may_go() {
    const STAYS: (bool, bool) = (false, false);
    const BY_RECEIPT: (bool, bool) = (false, true);
    let problem = "Content-Type: application/problem+json\r\n";
    let page = "Content-Type: text/html\r\n";
    let others = "ab".repeat(32);
    // As every episode of this test holds.
    let content = {
        let lab = Lab::new().await;
        lab.ship("ep", 100).await;
        lab.stored_as("ep", "content_sha256")
    };
    for (said, goes) in [
        (say(405, ""), BY_RECEIPT),
        (say(404, ""), BY_RECEIPT),
        (say(501, ""), BY_RECEIPT),
        (say(200, "Content-Type: application/zstd\r\n"), BY_RECEIPT),
        (say(410, problem), STAYS),
        (say(410, &format!("{problem}X-Episode-Content-SHA256: {content}\r\n")), STAYS),
        (say(404, problem), STAYS),
        (say(409, problem), STAYS),
        (say(401, problem), STAYS),
        (say(404, page), STAYS),
        (say(405, page), STAYS),
        (say(302, "Location: http://portal.invalid/\r\n"), STAYS),
        (say(200, page), STAYS),
        (say(200, "Content-Type: text/plain\r\n"), STAYS),
        (say(200, "Content-Type: application/captive+json\r\n"), STAYS),
        (say(202, ""), STAYS),
        (say(204, ""), STAYS),
        (say(206, ""), STAYS),
        (say(200, &format!("X-Episode-Content-Sha256: {others}\r\n")), STAYS),
        (say(200, &format!("X-Episode-Content-Sha256: {others}\r\nX-Episode-Verified: read\r\n")), STAYS),
        // What it read is no archive.
        (say(200, &format!("ETag: \"{others}\"\r\nX-Episode-Verified: read\r\n")), STAYS),
        (say(500, ""), STAYS),
        (say(503, ""), STAYS),
    ] {
        for (by, goes) in [(KeepBy::Answer, goes.0), (KeepBy::Receipt, goes.1)] {
            let mut lab = Lab::new().await;
            lab.ship("ep", 100).await;
            let answer = said.clone();
            lab.meets(Foreign::new(move |_, _| answer.clone()).await);
            lab.host.settings.keep_by = by;
            lab.clock.jump_secs(11 * DAY_SECS);
            let report = lab.host.pass().await;
            assert_eq!(lab.shipped().is_empty(), goes, "{by:?} {said:?}: {:?}", report.notes);
        }
    }
}

#[tokio::test]
async fn one_that_the_receiver_cannot_read_now_holds_up_no_other() {
    let mut lab = Lab::new().await;
    lab.ship("first", 100).await;
    lab.ship("second", 100).await;
    let here = lab.host.settings.receiver.clone();
    lab.meets_but(|head| head.contains("/first"), || say(500, "")).await;
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), ["first"]);
    let told = "1 shipped episode that is due for `keep-time` is 10 days stays until the receiver says that it has it: first: 500: the receiver cannot say what it has";
    assert!(report.notes.iter().any(|note| note == told), "{:?}", report.notes);
    // The next pass asks for it again.
    lab.host.settings.receiver = here;
    let report = lab.later(1).await;
    assert_eq!(lab.shipped(), Vec::<String>::new(), "{:?}", report.notes);
}

/// However many the receiver cannot read, and wherever they are in the order.
#[tokio::test]
async fn those_that_the_receiver_cannot_read_hold_up_none_behind_them() {
    let mut lab = Lab::new().await;
    for n in 0..40 {
        lab.host.record(&format!("{}-{n:02}", if n < 34 { "bad" } else { "good" }), "x", None);
    }
    assert_eq!(lab.host.pass().await.counts.done, 40);
    let here = lab.host.settings.receiver.clone();
    lab.meets_but(|head| head.contains("/bad"), || say(507, "")).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    for _ in 0..3 {
        assert_eq!(lab.host.pass().await.exit, ExitCode::Drained);
    }
    assert!(lab.shipped().iter().all(|id| id.starts_with("bad")), "{:?}", lab.shipped());
    let report = lab.host.pass().await;
    let told = "34 shipped episodes that are due for `keep-time` is 10 days stay until the receiver says that it has them: bad-";
    assert!(report.notes.iter().any(|note| note.starts_with(told)), "{:?}", report.notes);
    lab.host.settings.receiver = here;
    lab.host.pass().await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

#[tokio::test]
async fn one_at_which_the_answer_breaks_off_holds_up_no_other() {
    let mut lab = Lab::new().await;
    for id in ["a-broken", "b", "c", "d", "e"] {
        lab.ship(id, 100).await;
    }
    // As a proxy that gives up at one.
    lab.meets_but(|head| head.contains("/a-broken"), String::new).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    let mut notes = Vec::new();
    for _ in 0..4 {
        lab.clock.jump_secs(3_600);
        notes.extend(lab.host.pass().await.notes);
    }
    assert_eq!(lab.shipped(), ["a-broken"], "{notes:#?}");
}

/// As many as end the asking of a pass, and the oldest: the next pass begins behind them.
#[tokio::test]
async fn those_at_which_the_answer_breaks_off_hold_up_none_behind_them() {
    let mut lab = Lab::new().await;
    let bad: Vec<_> = (0..5).map(|n| format!("bad-{n}")).collect();
    for id in bad.iter().map(String::as_str).chain(["good-1", "good-2"]) {
        lab.ship(id, 100).await;
    }
    let here = lab.host.settings.receiver.clone();
    lab.meets_but(|head| head.contains("/bad"), String::new).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    let mut notes = Vec::new();
    for _ in 0..2 {
        lab.clock.jump_secs(3_600);
        notes.push(lab.host.pass().await.notes);
    }
    assert_eq!(lab.shipped(), bad, "{notes:#?}");
    // Each is asked for again, in its turn, until the receiver says that it has it.
    lab.host.settings.receiver = here;
    let report = lab.later(1).await;
    assert_eq!(lab.shipped(), Vec::<String>::new(), "{:?}", report.notes);
}

/// However long it is away: those that were asked for meanwhile go as all others once it is back.
#[tokio::test]
async fn a_receiver_that_was_away_for_many_passes_holds_up_nothing_once_it_is_back() {
    let mut lab = Lab::new().await;
    let all: Vec<_> = (0..9).map(|n| format!("ep-{n}")).collect();
    for id in &all {
        lab.ship(id, 100).await;
    }
    let here = lab.host.settings.receiver.clone();
    lab.meets_but(|_| true, String::new).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    for _ in 0..5 {
        lab.clock.jump_secs(3_600);
        let notes = lab.host.pass().await.notes;
        assert!(notes.iter().any(|note| note.contains("stay until the receiver says that it has")), "{notes:?}");
        assert_eq!(lab.shipped(), all);
    }
    lab.host.settings.receiver = here;
    lab.later(0).await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_receiver_lost_is_told_by_name_once_a_day_until_it_is_there_again() {
    let lab = Lab::new().await;
    for id in ["a", "b", "c", "d"] {
        lab.ship(id, 100).await;
    }
    let stored = |id: &str| lab.rig.path(&format!("episodes/lab/{id}.tar.zst"));
    let aside = |id: &str| lab.rig.path(&format!("{id}.aside"));
    ["a", "b", "c"].iter().for_each(|id| fs::rename(stored(id), aside(id)).unwrap());
    let told = |episodes: &str, names: &str| {
        format!(
            "{episodes} due for `keep-time` is 10 days, and the receiver does not have what was sent any more: {} in `shipped` ({names}); to send \
             one again, move it back to `episodes`, under another name where its own was withdrawn there; what is wanted nowhere any \
             more, remove yourself",
            if names.len() == 1 { "it stays" } else { "they stay" }
        )
    };
    let report = lab.later(11).await;
    assert!(report.notes.contains(&told("3 shipped episodes are", "a, b, c")), "{:?}", report.notes);
    assert_eq!(lab.shipped(), ["a", "b", "c"]);
    assert_eq!(lab.later(0).await.notes, Vec::<String>::new(), "once a day");
    assert_eq!(lab.events("keep").await, [told("3 shipped episodes are", "a, b, c")]);
    // One is there again, and one is sent again.
    fs::rename(aside("a"), stored("a")).unwrap();
    fs::rename(lab.host.path("shipped/b"), lab.host.path("episodes/b")).unwrap();
    let report = lab.later(2).await;
    assert!(report.notes.contains(&told("1 shipped episode is", "c")), "{:?}", report.notes);
    assert_eq!(lab.shipped(), ["b", "c"]);
    lab.later(11).await;
    assert_eq!(lab.shipped(), ["c"]);
    assert_eq!(lab.events("keep").await.len(), 1, "nothing else was lost");
}

#[tokio::test]
async fn what_is_no_longer_what_was_sent_stays() {
    let lab = Lab::new().await;
    for id in ["added", "changed", "linked", "same"] {
        lab.ship(id, 100).await;
    }
    let elsewhere = lab.host.path("elsewhere");
    fs::rename(lab.host.path("shipped/linked"), &elsewhere).unwrap();
    symlink(&elsewhere, lab.host.path("shipped/linked")).unwrap();
    fs::write(lab.host.path("shipped/added/notes.txt"), "calibrate anew").unwrap();
    fs::write(lab.host.path("shipped/changed/telemetry.csv"), "y".repeat(100)).unwrap();
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), ["added", "changed", "linked"]);
    assert!(report.notes[1].starts_with("3 shipped episodes are no longer what was sent"), "{:?}", report.notes);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 2, "no symlink is followed");
    assert_eq!(lab.later(1).await.notes, Vec::<String>::new(), "it is told once");
}

#[tokio::test]
async fn directories_without_a_receipt_are_told_once_a_change_and_a_day_at_most() {
    let lab = Lab::new().await;
    lab.ship("received", 100).await;
    let put = |id: &str| {
        fs::create_dir(lab.host.path("shipped").join(id)).unwrap();
        fs::write(lab.host.path("shipped").join(id).join(MARKER), "").unwrap();
    };
    for id in ["by-hand", "two words", ".review"] {
        put(id);
    }
    fs::write(lab.host.path("shipped/file"), "no directory").unwrap();
    assert_eq!(lab.later(0).await.notes, Vec::<String>::new(), "it was looked at today");
    let told = |report: PassReport| match report.notes.as_slice() {
        [] => None,
        [note] => Some(note.split_once(": ").unwrap().0.to_owned()),
        more => panic!("{more:?}"),
    };
    let two = "2 directories in `shipped` have no receipt and stay (by-hand, two words)";
    let report = lab.later(2).await;
    assert!(report.notes[0].contains("move one back to `episodes`"), "{:?}", report.notes);
    assert_eq!(told(report).as_deref(), Some(two));
    assert_eq!((told(lab.later(0).await), told(lab.later(2).await)), (None, None), "it is told once");
    // Another in the place of one: as many, and yet a change.
    fs::remove_dir_all(lab.host.path("shipped/two words")).unwrap();
    put("moved");
    let told_then = told(lab.later(2).await);
    assert_eq!(told_then.as_deref(), Some("2 directories in `shipped` have no receipt and stay (by-hand, moved)"));
    // What the note tells mends it.
    fs::rename(lab.host.path("shipped/by-hand"), lab.host.path("episodes/by-hand")).unwrap();
    assert_eq!(lab.later(0).await.counts.done, 1);
    let one = told(lab.later(2).await);
    assert_eq!(one.as_deref(), Some("1 directory in `shipped` has no receipt and stays (moved)"));
    fs::remove_dir_all(lab.host.path("shipped/moved")).unwrap();
    assert_eq!(told(lab.later(2).await), None);
    // What goes by its receipt is none of them, nor is what has one and was changed.
    fs::write(lab.host.path("shipped/by-hand/notes.txt"), "calibrate anew").unwrap();
    let notes = lab.later(30).await.notes;
    assert!(notes.iter().all(|note| !note.contains("receipt")), "{notes:?}");
    assert_eq!(lab.shipped(), ["by-hand", "file"]);
}

#[tokio::test]
async fn what_was_looked_at_and_counted_while_the_clock_was_ahead_is_done_again_once_it_is_not() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_size = Some(ByteSize::mib(1));
    lab.ship("first", 100).await;
    lab.host.settings.keep_time = None;
    const AHEAD_DAYS: i64 = 3_650;
    assert_eq!(lab.later(AHEAD_DAYS).await.notes, Vec::<String>::new());
    fs::create_dir(lab.host.path("shipped/by-hand")).unwrap();
    // Somebody removes one by hand, which a count shows.
    fs::remove_dir_all(lab.host.path("shipped/first")).unwrap();
    let report = lab.later(-AHEAD_DAYS).await;
    assert!(report.notes.iter().any(|note| note.contains("(by-hand)")), "{:?}", report.notes);
    let shelf: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(lab.host.path("outbox/.shelf.json")).unwrap()).unwrap();
    assert_eq!(shelf["bytes"], 0, "{shelf}");
    assert_eq!(lab.later(0).await.notes, Vec::<String>::new(), "it is told once");
}

#[tokio::test]
async fn a_shelf_that_an_older_version_noted_is_read() {
    let lab = Lab::new().await;
    lab.ship("first", 100).await;
    let old = r#"{"removed":{"worklist":0,"recorded_no":0},"counted":{"worklist":0,"recorded_no":0},"bytes":7,"counted_since":"2026-11-20T12:00:00Z"}"#;
    fs::write(lab.host.path("outbox/.shelf.json"), old).unwrap();
    fs::create_dir(lab.host.path("shipped/by-hand")).unwrap();
    assert_eq!(lab.later(0).await.notes.len(), 1);
    let now: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(lab.host.path("outbox/.shelf.json")).unwrap()).unwrap();
    assert_eq!(now["bytes"], 7, "what it said is kept");
}

#[tokio::test]
async fn r05_a_removal_that_was_killed_is_finished_by_the_next_pass() {
    let lab = Lab::new().await;
    lab.ship("whole", 100).await;
    lab.ship("half", 100).await;
    // Killed after its name was taken away, when some of it was gone; and killed before the note of it was written.
    fs::create_dir(lab.host.path("shipped/.removing")).unwrap();
    fs::rename(lab.host.path("shipped/half"), lab.host.path("shipped/.removing/half")).unwrap();
    fs::remove_file(lab.host.path("shipped/.removing/half/telemetry.csv")).unwrap();
    assert_eq!(lab.later(1).await.counts.all(), 0, "it is no episode");
    assert_eq!((lab.host.names("shipped/.removing").len(), lab.shipped()), (0, vec!["whole".to_owned()]));
    fs::remove_file(lab.host.path("outbox/.shelf.json")).unwrap();
    lab.later(10).await;
    assert_eq!(lab.shipped().len(), 0);
    for note in ["", "{}", "junk"] {
        fs::write(lab.host.path("outbox/.shelf.json"), note).unwrap();
        lab.ship(&format!("again-{}", note.len()), 100).await;
        lab.later(11).await;
        assert_eq!(lab.shipped().len(), 0, "{note:?}");
    }
}

#[tokio::test]
async fn r05_one_whose_pass_was_killed_before_its_row_has_its_receipt_from_the_receiver() {
    let mut lab = Lab::new().await;
    lab.ship("ep", 100).await;
    lab.ship("changed", 100).await;
    // A ledger in which both are on the list, and neither is done.
    let ledger = SqliteLedger::open(lab.host.path("another.db"), lab.clock.now(), Access::ReadWrite).unwrap();
    lab.host.engine.ledger = Arc::new(ledger);
    for id in ["ep", "changed"] {
        fs::rename(lab.host.path("shipped").join(id), lab.host.path("episodes").join(id)).unwrap();
    }
    let address = lab.rig.address;
    let dir = lab.rig.end().await;
    assert_eq!(lab.host.pass().await.exit, ExitCode::Checkpoint);
    for id in ["ep", "changed"] {
        fs::rename(lab.host.path("episodes").join(id), lab.host.path("shipped").join(id)).unwrap();
    }
    fs::write(lab.host.path("shipped/changed/telemetry.csv"), "another").unwrap();
    assert_eq!(lab.host.pass().await.exit, ExitCode::Checkpoint, "while it cannot be asked, nothing is said");
    let rig = Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await;
    let lab = Lab { rig, ..lab };
    let counts = lab.host.pass().await.counts;
    assert_eq!((counts.done, counts.review), (1, 1), "of the other the archive is sent, and answered 200");
    let told = lab.host.told().await;
    assert!(told.iter().any(|told| told.contains("another one of its name is in `shipped`")), "{told:?}");
    lab.later(11).await;
    assert_eq!(lab.shipped(), ["changed"], "the receiver has another one than that");
}

#[tokio::test]
async fn beyond_its_size_the_oldest_go() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_time = None;
    lab.host.settings.keep_size = Some("2500B".parse().unwrap());
    for n in 0..3 {
        lab.ship(&format!("{}-{n}", 9 - n), 1_000).await;
    }
    assert_eq!(lab.shipped(), ["7-2", "8-1"], "2,000 bytes stay");
    lab.ship("small", 400).await;
    assert_eq!(lab.shipped().len(), 3);
    // One that a person removes is no longer counted, a day later.
    fs::remove_dir_all(lab.host.path("shipped/7-2")).unwrap();
    lab.later(2).await;
    lab.ship("last", 1_000).await;
    assert_eq!(lab.shipped(), ["8-1", "last", "small"]);
    lab.ship("large", 2_400).await;
    assert_eq!(lab.shipped(), ["large"]);
}

#[tokio::test]
async fn a_pass_removes_so_many_and_no_more() {
    let lab = Lab::new().await;
    for n in 0..A_PASS + 3 {
        lab.host.record(&format!("ep-{n:04}"), "x", None);
    }
    assert_eq!(lab.host.pass().await.counts.done, A_PASS as u64 + 3);
    let report = lab.later(11).await;
    assert_eq!(lab.shipped().len(), 3);
    assert!(report.notes[0].ends_with("; the next pass removes more"), "{:?}", report.notes);
    // Each is named in an event, so that it can be looked up when it went.
    let events = lab.events("remove").await.join("\n");
    assert!((0..A_PASS).all(|n| events.contains(&format!("ep-{n:04}"))), "{events}");
    let report = lab.later(0).await;
    assert_eq!(lab.shipped().len(), 0);
    assert!(report.notes[0].starts_with("removed 3 shipped episodes"), "{:?}", report.notes);
}

#[tokio::test]
async fn without_a_word_all_stay_and_what_is_in_the_way_of_removing_is_not_ours() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_time = None;
    for id in ["a", "b", "c"] {
        lab.ship(id, 100).await;
    }
    lab.later(3_000).await;
    assert_eq!(lab.shipped().len(), 3);
    lab.host.settings.keep_time = Some(DurationText::days(1));
    let elsewhere = lab.host.path("elsewhere");
    fs::create_dir_all(elsewhere.join("a")).unwrap();
    symlink(&elsewhere, lab.host.path("shipped/.removing")).unwrap();
    lab.clock.jump_secs(2 * DAY_SECS);
    let report = lab.host.pass().await;
    assert_eq!(report.exit, ExitCode::Drained, "it keeps nothing from being sent: {}", report.message);
    assert!(report.notes.iter().any(|note| note.contains(".removing is a symlink")), "{:?}", report.notes);
    assert!(lab.shipped().len() == 3 && elsewhere.join("a").is_dir(), "no symlink is followed");
    fs::remove_file(lab.host.path("shipped/.removing")).unwrap();
    lab.later(1).await;
    assert_eq!(lab.shipped().len(), 0);
}

#[tokio::test]
async fn what_has_no_receipt_is_told_a_way_to_one_only_where_the_receiver_gives_receipts() {
    for (said, told) in [
        (say(404, "Content-Type: application/problem+json\r\n"), "has its receipt"),
        (say(405, ""), "does not name what it has by a hash"),
        (say(200, ""), "does not name what it has by a hash"),
        (say(200, &format!("X-Episode-Content-Sha256: {}\r\n", "ab".repeat(32))), "set `resume-above` higher than"),
        (say(500, ""), "it has its receipt then if the receiver names what it has"),
    ] {
        let mut lab = Lab::new().await;
        let far =
            Foreign::new(move |head, _| if head.starts_with("head ") { said.clone() } else { say(404, "") }).await;
        lab.host.settings.receiver =
            serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
        fs::create_dir(lab.host.path("shipped/by-hand")).unwrap();
        let notes = lab.later(0).await.notes;
        assert!(notes.len() == 1 && notes[0].contains(told), "{notes:?}");
    }
}
