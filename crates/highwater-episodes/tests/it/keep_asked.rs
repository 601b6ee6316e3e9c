//! Who is asked whether a shipped episode may go, under which name, and what comes of those that the receiver lost.

use highwater_episodes::ship::lost;

use crate::keep::{DAY_SECS, Lab, PROBLEM};
use crate::resume::{Foreign, say};

/// Whatever is said there, and wherever that is.
#[tokio::test]
async fn r10_no_answer_counts_of_where_a_redirect_leads() {
    for host in ["localhost", "127.0.0.1"] {
        for status in [410, 409, 404, 200] {
            let mut lab = Lab::new().await;
            lab.ship("ep", 100).await;
            let content = lab.stored_as("ep", "content_sha256");
            let kind = if status == 200 { "X-Episode-Verified: read\r\n" } else { PROBLEM };
            let names = format!("{kind}X-Episode-Content-SHA256: {content}\r\n");
            let other = Foreign::new(move |_, _| say(status, &names)).await;
            let there = format!("http://{host}:{}", other.address.port());
            let sends_on = move |head: &str, _: &[u8]| {
                let path = head.split_whitespace().nth(1).unwrap();
                say(307, &format!("Location: {there}{path}\r\n"))
            };
            lab.meets(Foreign::new(sends_on).await);
            let report = lab.later(11).await;
            assert_eq!(lab.shipped(), ["ep"], "{host} {status}: {:?}", report.notes);
            let lost = lost(&lab.host.path("outbox"), &lab.host.path("shipped")).count();
            assert_eq!(lost, 0, "{host} {status}: {:?}", report.notes);
            let told = report.notes.iter().any(|note| note.contains("a redirect"));
            assert!(told, "{host} {status}: {:?}", report.notes);
        }
    }
}

/// They are asked for again in their turn, as those that are named.
#[tokio::test]
async fn however_many_the_receiver_lost_their_number_is_right_and_they_go_once_they_are_back() {
    const LOST: usize = 1_003;
    let mut lab = Lab::new().await;
    for n in 0..LOST {
        lab.host.record(&format!("ep-{n:04}"), "x", None);
    }
    assert_eq!(lab.host.pass().await.counts.done, LOST as u64);
    let here = lab.host.settings.receiver.clone();
    let known = |lab: &Lab| lost(&lab.host.path("outbox"), &lab.host.path("shipped")).count();
    lab.meets(Foreign::new(|_, _| say(404, PROBLEM)).await);
    let told = |notes: &[String], count: usize| notes.iter().any(|note| note.contains(&format!("{count} shipped")));
    let report = lab.later(11).await;
    assert!(told(&report.notes, LOST), "{:?}", report.notes);
    assert_eq!(known(&lab), LOST as u64);
    // A person removes some, of these and of those that are not named.
    for n in [0, LOST - 1] {
        std::fs::remove_dir_all(lab.host.path(&format!("shipped/ep-{n:04}"))).unwrap();
    }
    let report = lab.later(2).await;
    assert!(told(&report.notes, LOST - 2), "{:?}", report.notes);
    assert_eq!(known(&lab), LOST as u64 - 2);
    assert_eq!(lab.events("keep").await.len(), 1, "nothing else was lost");
    lab.host.settings.receiver = here;
    lab.clock.jump_secs(2 * DAY_SECS);
    for went in [200, 400] {
        lab.host.pass().await;
        let left = LOST - 2 - went;
        assert_eq!((lab.shipped().len(), known(&lab)), (left, left as u64));
    }
}

#[tokio::test]
async fn what_was_lost_and_is_to_stay_longer_is_told_as_what_it_is_now() {
    let mut lab = Lab::new().await;
    lab.ship("back", 100).await;
    lab.ship("lost", 100).await;
    let stored = |id: &str| lab.rig.path(&format!("episodes/lab/{id}.tar.zst"));
    for id in ["back", "lost"] {
        std::fs::rename(stored(id), lab.rig.path(id)).unwrap();
    }
    let report = lab.later(11).await;
    assert!(report.notes.iter().any(|note| note.contains("2 shipped episodes are due for")), "{:?}", report.notes);
    std::fs::rename(lab.rig.path("back"), stored("back")).unwrap();
    lab.host.settings.keep_time = Some(highwater_engine::settings::DurationText::days(90));
    let report = lab.later(2).await;
    assert_eq!(lab.shipped(), ["back", "lost"]);
    let note = report.notes.iter().find(|note| note.contains("does not have what was sent")).unwrap();
    assert!(note.contains("(lost)") && !note.contains("due"), "{note}");
    // While it is not asked, what it said is told with its day.
    lab.meets(Foreign::new(|_, _| say(503, "")).await);
    let report = lab.later(2).await;
    let note = report.notes.iter().find(|note| note.contains("does not have what was sent")).unwrap();
    assert!(note.contains("when it was asked last, on 2026-12-03"), "{note}");
}

/// The receiver's answers are of the name under which it was sent.
#[tokio::test]
async fn one_that_was_sent_under_another_host_id_is_asked_for_under_that() {
    let mut lab = Lab::new().await;
    lab.ship("ep", 100).await;
    let content = lab.stored_as("ep", "content_sha256");
    let says = move |head: &str, _: &[u8]| {
        if head.contains("/episodes/lab/") {
            say(200, &format!("X-Episode-Content-Sha256: {content}\r\nX-Episode-Verified: read\r\n"))
        } else {
            say(404, PROBLEM)
        }
    };
    lab.meets(Foreign::new(says).await);
    lab.host.host_id = "lab-2".to_owned();
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), Vec::<String>::new(), "{:?}", report.notes);
}
