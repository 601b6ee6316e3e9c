//! Of a name that was sent more than once the newest receipt speaks, and by the date that is due.

use std::fs;
use std::io::Write as _;

use highwater_episodes::ship::lost;

use crate::keep::Lab;

impl Lab {
    /// Withdraws an episode at the receiver, makes its name free, and removes it here.
    fn lets_go_of(&self, id: &str) {
        let mut row = self.rig.rows().into_iter().rfind(|row| row["episode_id"] == id).unwrap();
        row["removed"] = "lens cap".into();
        row["withdrawn"] = "no more: its name was made free".into();
        let mut index = fs::OpenOptions::new().append(true).open(self.rig.path("index.jsonl")).unwrap();
        index.write_all(format!("{row}\n").as_bytes()).unwrap();
        fs::remove_file(self.rig.path(&format!("episodes/lab/{id}.tar.zst"))).unwrap();
        fs::remove_dir_all(self.host.path("shipped").join(id)).unwrap();
    }

    /// Moves all back to be sent again.
    fn moves_back(&self) {
        for id in self.shipped() {
            fs::rename(self.host.path("shipped").join(&id), self.host.path("episodes").join(&id)).unwrap();
        }
    }
}

#[tokio::test]
async fn an_older_receipt_of_a_name_says_nothing_of_what_was_sent_under_it_since() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    lab.lets_go_of("ep");
    lab.later(5).await;
    lab.ship("ep", 200).await;
    let report = lab.later(6).await;
    assert_eq!((lab.shipped(), report.notes), (vec!["ep".to_owned()], Vec::new()), "it is not due");
    assert_eq!(lab.events("keep").await, Vec::<String>::new());
    let report = lab.later(5).await;
    assert_eq!((lab.shipped().len(), report.notes.len()), (0, 1), "{:?}", report.notes);
}

#[tokio::test]
async fn one_that_was_sent_twice_is_told_once_when_it_is_lost() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    lab.moves_back();
    assert_eq!(lab.host.pass().await.counts.done, 1);
    fs::remove_file(lab.rig.path("episodes/lab/ep.tar.zst")).unwrap();
    let report = lab.later(11).await;
    assert!(report.notes.iter().any(|note| note.starts_with("1 shipped episode is due")), "{:?}", report.notes);
    assert_eq!(lost(&lab.host.path("outbox"), &lab.host.path("shipped")).count(), 1);
}

#[tokio::test]
async fn one_that_was_sent_twice_counts_once_for_its_size() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_time = None;
    lab.host.settings.keep_size = Some("3500B".parse().unwrap());
    for id in ["a", "b", "c"] {
        lab.ship(id, 1_000).await;
    }
    for _ in 0..2 {
        lab.moves_back();
        assert_eq!(lab.host.pass().await.counts.done, 3);
        assert_eq!(lab.shipped(), ["a", "b", "c"]);
    }
    lab.ship("d", 1_000).await;
    assert_eq!(lab.shipped(), ["b", "c", "d"]);
}

/// Those that wait count among all: what stays may be what holds the room.
#[tokio::test]
async fn what_waits_beyond_its_size_is_asked_for_again_however_long() {
    let mut lab = Lab::new().await;
    lab.host.settings.keep_time = None;
    lab.host.settings.keep_size = Some("1500B".parse().unwrap());
    let here = lab.host.settings.receiver.clone();
    lab.ship("a", 1_000).await;
    lab.ship("b", 400).await;
    lab.meets_but(|_| true, || crate::resume::say(500, "")).await;
    lab.host.settings.keep_size = Some("1200B".parse().unwrap());
    for _ in 0..3 {
        lab.later(2).await;
    }
    lab.host.settings.receiver = here;
    lab.later(2).await;
    assert_eq!(lab.shipped(), ["b"]);
}

#[tokio::test]
async fn one_that_was_recorded_by_a_clock_that_was_ahead_is_told_and_holds_up_none_behind_it() {
    const AHEAD_DAYS: i64 = 3_650;
    let lab = Lab::new().await;
    lab.later(AHEAD_DAYS).await;
    lab.ship("ahead", 100).await;
    lab.later(-AHEAD_DAYS).await;
    lab.ship("behind", 100).await;
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), ["ahead"], "{:?}", report.notes);
    let told = report.notes.iter().filter(|note| note.contains("a clock that was ahead")).collect::<Vec<_>>();
    assert!(told.len() == 1 && told[0].contains("ahead: 2036-11-"), "{:?}", report.notes);
    assert_eq!(lab.later(0).await.notes, Vec::<String>::new(), "once a day");
    // What is told mends it.
    lab.moves_back();
    assert_eq!(lab.later(0).await.counts.done, 1);
    lab.later(11).await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}
