//! What the receiver refuses: how often it is tried again, and that it holds up nothing else.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use highwater_engine::clock::Clock as _;
use highwater_engine::ledger::{ItemFilter, Who, Word};
use highwater_engine::name::ItemKey;
use highwater_engine::report::{ExitCode, PassReport};
use highwater_engine::settings::SecretText;
use highwater_episodes::ship::MARKER;
use highwater_testkit::sim_clock::SimClock;

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

const HOUR_SECS: i64 = 3_600;

/// A host whose receiver refuses what has `refused` in its name, and takes all else.
struct Lab {
    host: Host,
    far: Foreign,
    clock: Arc<SimClock>,
}

impl Lab {
    async fn new() -> Self {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::new().await;
        let far = Foreign::new(|head, _| match head.lines().next().unwrap() {
            line if line.contains("/ping") => say(404, ""),
            line if line.contains("refused") => say(413, ""),
            _ => say(201, ""),
        })
        .await;
        let mut host = Host::at(&rig, clock.shared());
        host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
        Self { host, far, clock }
    }

    async fn later(&self, hours: i64) -> PassReport {
        self.clock.jump_secs(hours * HOUR_SECS);
        self.host.pass().await
    }

    /// How many requests were made for such an episode.
    fn asked(&self, name: &str) -> usize {
        let asked = self.far.asked.lock().unwrap();
        asked.iter().filter(|head| head.lines().next().unwrap().contains(name)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_tried_again_ever_more_seldom_while_new_ones_go_on() {
    for round_stays_open in [false, true] {
        let lab = Lab::new().await;
        lab.host.record("refused", "x", None);
        if round_stays_open {
            lab.host.record("stuck", "x", None);
            fs::write(lab.host.path("shipped/stuck"), "no directory").unwrap();
        }
        let report = lab.host.pass().await;
        assert_eq!((report.counts.review, lab.asked("/refused")), (1, 1), "{}", report.message);
        assert!(report.notes.iter().any(|note| note.contains("refused (refused)")), "{:?}", report.notes);
        for n in 0..3 {
            let new = format!("new-{n}");
            lab.host.record(&new, "x", None);
            let report = lab.later(0).await;
            assert_eq!((report.counts.done, lab.asked("/refused"), lab.asked(&new)), (1, 1, 1), "{}", report.message);
        }
        for (hours, asked) in [(1, 2), (1, 2), (1, 3), (3, 3), (1, 4)] {
            lab.later(hours).await;
            assert_eq!(lab.asked("/refused"), asked, "a round that stays open: {round_stays_open}");
        }
        assert_eq!(lab.host.names("outbox").len(), 1 + usize::from(round_stays_open), "its archive is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_tried_at_once_where_something_changed() {
    let mut lab = Lab::new().await;
    lab.host.record("refused", "x", None);
    lab.host.pass().await;
    lab.host.settings.token = Some(SecretText::new("another"));
    lab.later(0).await;
    assert_eq!(lab.asked("/refused"), 2, "another token");
    let keys = ItemFilter::Keys(vec![ItemKey::new("refused").unwrap()]);
    let word = Word { at: lab.clock.now(), who: Who("alice@a".to_owned()), why: "the limit is higher".to_owned() };
    lab.host.engine.ledger.retry_items(&lab.host.spec.name, &keys, &word).await.unwrap();
    lab.later(0).await;
    assert_eq!(lab.asked("/refused"), 3, "a person's word");
    lab.later(0).await;
    assert_eq!(lab.asked("/refused"), 3);
    let marker = fs::File::create(lab.host.path("episodes/refused").join(MARKER)).unwrap();
    let now = u64::try_from(lab.clock.now().as_second()).unwrap() + 1;
    marker.set_modified(UNIX_EPOCH + Duration::from_secs(now)).unwrap();
    lab.later(0).await;
    assert_eq!(lab.asked("/refused"), 4, "its marker was written anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_with_the_same_refusal_halt_the_job_also_where_they_come_one_by_one() {
    let lab = Lab::new().await;
    for n in 0..2 {
        lab.host.record(&format!("refused-{n}"), "x", None);
        assert_eq!(lab.later(0).await.exit, ExitCode::Drained);
    }
    lab.host.record("refused-2", "x", None);
    let report = lab.later(0).await;
    assert_eq!(report.exit, ExitCode::Halted, "{}", report.message);
    assert!(report.message.contains("3 different episodes got the same refusal: 413"), "{}", report.message);
    assert_eq!(lab.asked("/refused"), 3);
    assert_eq!((lab.later(30).await.exit, lab.asked("/refused")), (ExitCode::Halted, 3), "a halt costs no contact");
    // Whoever re-arms it says that it is mended: none of the three waits.
    let word = Word { at: lab.clock.now(), who: Who("alice@a".to_owned()), why: "a larger disk".to_owned() };
    lab.host.engine.ledger.rearm(&lab.host.spec.name, &word).await.unwrap();
    let report = lab.later(0).await;
    assert_eq!((report.exit, lab.asked("/refused")), (ExitCode::Halted, 6), "{}", report.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_one_round_that_halted_the_job_are_all_tried_in_the_pass_after_it_is_rearmed() {
    let mut lab = Lab::new().await;
    for n in 0..3 {
        lab.host.record(&format!("refused-{n}"), "x", None);
    }
    assert_eq!(lab.host.pass().await.exit, ExitCode::Halted);
    let word = Word { at: lab.clock.now(), who: Who("alice@a".to_owned()), why: "a larger disk".to_owned() };
    lab.host.engine.ledger.rearm(&lab.host.spec.name, &word).await.unwrap();
    let far = Foreign::new(|head, _| if head.contains("/ping") { say(404, "") } else { say(201, "") }).await;
    lab.host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    let report = lab.host.pass().await;
    assert_eq!(
        (report.exit, report.counts.done, report.counts.review),
        (ExitCode::Drained, 3, 0),
        "{}",
        report.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_parked_while_the_clock_was_ahead_comes_back_once_it_is_mended_or_the_clock_is() {
    for is_older_note in [true, false] {
        let lab = Lab::new().await;
        lab.host.record("odd", "x", None);
        let link = lab.host.path("episodes/odd/link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        lab.host.record("refused", "x", None);
        lab.clock.jump_secs(365 * 24 * HOUR_SECS);
        assert_eq!(lab.host.pass().await.counts.review, 2);
        lab.clock.jump_secs(-365 * 24 * HOUR_SECS);
        if is_older_note {
            let note = lab.host.path("outbox/.parked/odd.json");
            let mut parked: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
            parked.as_object_mut().unwrap().remove("marker").unwrap();
            fs::write(&note, parked.to_string()).unwrap();
        }
        fs::remove_file(&link).unwrap();
        let marker = fs::File::create(lab.host.path("episodes/odd").join(MARKER)).unwrap();
        marker.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_100)).unwrap();
        let report = lab.later(0).await;
        assert_eq!((report.counts.done, lab.asked("/refused")), (1, 2), "{:?}", lab.host.told().await);
    }
}
