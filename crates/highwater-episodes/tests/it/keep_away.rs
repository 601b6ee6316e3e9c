//! What a pass cannot look at while it is away, or held, is asked for again.

use std::fs;

use highwater_episodes::ship::lost;

use crate::keep::Lab;

impl Lab {
    /// A pass that finds another directory in the place of `shipped`, with these episodes in it: a disk is not mounted.
    async fn passes_unmounted(&self, days: i64, below: &[&str]) {
        let (shipped, aside) = (self.host.path("shipped"), self.host.path("aside"));
        fs::rename(&shipped, &aside).unwrap();
        fs::create_dir(&shipped).unwrap();
        below.iter().for_each(|name| fs::create_dir(shipped.join(name)).unwrap());
        self.later(days).await;
        fs::remove_dir_all(&shipped).unwrap();
        fs::rename(&aside, &shipped).unwrap();
    }
}

#[tokio::test]
async fn what_was_due_while_shipped_was_not_mounted_goes_when_it_is() {
    for below in [&[][..], &["other"]] {
        let lab = Lab::new().await;
        lab.ship("ep", 100).await;
        lab.passes_unmounted(11, below).await;
        lab.later(2).await;
        lab.later(0).await;
        assert_eq!(lab.shipped(), Vec::<String>::new(), "{below:?}");
    }
}

#[tokio::test]
async fn what_the_receiver_lost_is_told_again_when_shipped_is_mounted_again() {
    for below in [&[][..], &["other"]] {
        let lab = Lab::new().await;
        lab.ship("ep", 100).await;
        fs::remove_file(lab.rig.path("episodes/lab/ep.tar.zst")).unwrap();
        lab.later(11).await;
        let known = || lost(&lab.host.path("outbox"), &lab.host.path("shipped")).count();
        assert_eq!(known(), 1);
        lab.passes_unmounted(2, below).await;
        lab.later(2).await;
        let report = lab.later(0).await;
        assert_eq!(known(), 1, "{below:?}: {:?}", report.notes);
    }
}

#[tokio::test]
async fn one_that_somebody_has_a_copy_of_in_episodes_goes_when_that_is_gone() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    let copy = lab.host.path("episodes/ep");
    fs::create_dir(&copy).unwrap();
    lab.later(11).await;
    assert_eq!(lab.shipped(), ["ep"]);
    fs::remove_dir(copy).unwrap();
    lab.later(2).await;
    lab.later(0).await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_was_changed_goes_once_it_is_as_it_was_and_was_moved_back() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    let note = lab.host.path("shipped/ep/note.txt");
    fs::write(&note, "look at this").unwrap();
    let report = lab.later(11).await;
    assert!(report.notes.iter().any(|note| note.contains("move it back to `episodes`")), "{:?}", report.notes);
    for _ in 0..3 {
        assert_eq!(lab.later(2).await.notes, Vec::<String>::new(), "it is told once");
    }
    fs::remove_file(note).unwrap();
    fs::rename(lab.host.path("shipped/ep"), lab.host.path("episodes/ep")).unwrap();
    assert_eq!(lab.later(0).await.counts.done, 1);
    lab.later(11).await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

#[tokio::test]
async fn those_that_somebody_has_a_copy_of_hold_up_none_behind_them() {
    const HELD: usize = 20;
    let lab = Lab::new().await;
    let held = |n: usize| format!("held-{n:02}");
    for n in 0..HELD {
        lab.ship(&held(n), 100).await;
        fs::create_dir(lab.host.path("episodes").join(held(n))).unwrap();
    }
    lab.ship("ep", 100).await;
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), (0..HELD).map(held).collect::<Vec<_>>(), "{:?}", report.notes);
}

/// Also where more are lost than are named.
#[tokio::test]
async fn what_was_passed_over_goes_however_many_the_receiver_lost_since() {
    const LOST: usize = 1_003;
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    lab.passes_unmounted(11, &["other"]).await;
    for n in 0..LOST {
        lab.host.record(&format!("lost-{n:04}"), "x", None);
    }
    assert_eq!(lab.host.pass().await.counts.done, LOST as u64);
    for n in 0..LOST {
        fs::remove_file(lab.rig.path(&format!("episodes/lab/lost-{n:04}.tar.zst"))).unwrap();
    }
    for _ in 0..4 {
        lab.later(6).await;
    }
    assert!(!lab.shipped().contains(&"ep".to_owned()));
    let known = || lost(&lab.host.path("outbox"), &lab.host.path("shipped")).count();
    assert_eq!((lab.shipped().len(), known()), (LOST, LOST as u64));
    // A person gives them up.
    for name in lab.shipped() {
        fs::remove_dir_all(lab.host.path("shipped").join(name)).unwrap();
    }
    assert_eq!(known(), 0);
    lab.ship("new", 100).await;
    lab.later(2).await;
    lab.later(2).await;
    assert_eq!(known(), 0);
}
