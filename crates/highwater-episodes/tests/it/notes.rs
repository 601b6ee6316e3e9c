//! The note beside an archive is evidence about bytes: another archive's, or none, keeps no whole archive from being sent.

use std::fs;
use std::path::PathBuf;

use highwater_engine::report::ExitCode;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::parked::{aside, aside_fault, waiting};
use highwater_episodes::ship::{Lying, Outbox};
use highwater_testkit::not_here::NotHere;

use crate::in_its_place::{packed, record_anew};
use crate::life::Host;

fn id() -> EpisodeId {
    EpisodeId::new("ep").unwrap()
}

fn outbox(host: &Host) -> Outbox {
    Outbox::open(&host.path("outbox")).unwrap()
}

fn note(host: &Host) -> PathBuf {
    host.path("outbox/.packed/ep.json")
}

/// What the receiver has of the episode.
fn received(rig: &crate::receive::rig::Rig) -> Vec<u8> {
    fs::read(rig.path("episodes/lab/ep.tar.zst")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_sent_although_the_note_beside_it_is_another_ones_or_gone_or_nonsense() {
    for what in ["another's", "gone", "nonsense"] {
        let (host, rig) = packed("first").await;
        let archive = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
        match what {
            "another's" => {
                let (other, _rig) = packed("second").await;
                fs::copy(note(&other), note(&host)).unwrap();
            }
            "gone" => fs::remove_file(note(&host)).unwrap(),
            _ => fs::write(note(&host), "{").unwrap(),
        }
        fs::remove_dir_all(host.path("episodes/ep")).unwrap();
        let waits = waiting(&host.path("episodes"), &host.path("outbox")).unwrap();
        assert_eq!(waits.len(), 1, "{what}: it is told before a pass sends it");
        let report = host.pass().await;
        let told = host.told().await;
        assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{what}: {told:?}");
        assert!(told[0].contains("the receiver has it; its directory is gone"), "{what}: {told:?}");
        assert_eq!(received(&rig), archive, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_moved_back_alone_is_sent_and_its_note_is_cleared() {
    let (host, rig) = packed("first").await;
    let first = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
    record_anew(&host, "another");
    let mut away = host;
    let receiver = away.settings.receiver.clone();
    away.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    away.pass().await;
    let all = aside(&away.path("outbox")).unwrap();
    assert_eq!(all.len(), 1);
    // The other one is not wanted: its note stays where it is.
    fs::remove_dir_all(away.path("episodes/ep")).unwrap();
    fs::remove_file(away.path("outbox/ep.tar.zst")).unwrap();
    let told: Vec<_> = all[0].next.split('`').filter(|part| part.starts_with("mv ")).collect();
    assert_eq!(told.len(), 1, "{}", all[0].next);
    let moved = std::process::Command::new("sh").args(["-c", told[0]]).status().unwrap();
    assert!(moved.success());
    away.settings.receiver = receiver;
    let report = away.pass().await;
    assert_eq!(report.counts.review, 1, "{:?}", away.told().await);
    assert_eq!(received(&rig), first);
    assert!(fs::read_dir(away.path("outbox/.review")).unwrap().next().is_none(), "its note went with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_name_a_new_one_was_about_to_take_is_known_by_its_bytes() {
    let (host, rig) = packed("first").await;
    let old = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
    let Lying::Whole(before) = outbox(&host).lying(&id()).unwrap() else { panic!("it is whole") };
    // Edited, and packed anew; a kill came between the note and the rename.
    fs::write(host.path("episodes/ep/telemetry.csv"), "edited").unwrap();
    host.mark("ep");
    let mut away = host;
    let receiver = away.settings.receiver.clone();
    away.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    away.pass().await;
    assert_ne!(fs::read(away.path("outbox/ep.tar.zst")).unwrap(), old);
    fs::write(away.path("outbox/ep.tar.zst"), &old).unwrap();
    assert_eq!(outbox(&away).lying(&id()).unwrap(), Lying::Whole(before), "and its directory is still its own");
    // Its directory is still here: it is edited, and nothing is set aside.
    away.pass().await;
    assert!(aside(&away.path("outbox")).unwrap().is_empty());
    fs::write(away.path("outbox/ep.tar.zst"), &old).unwrap();
    fs::remove_dir_all(away.path("episodes/ep")).unwrap();
    away.settings.receiver = receiver;
    assert_eq!(away.pass().await.counts.review, 1, "{:?}", away.told().await);
    assert_eq!(received(&rig), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_has_the_note_of_what_it_is() {
    let (host, _rig) = packed("first").await;
    let Lying::Whole(parcel) = outbox(&host).lying(&id()).unwrap() else { panic!("it is whole") };
    let (other, _) = packed("second").await;
    fs::copy(note(&other), note(&host)).unwrap();
    record_anew(&host, "another");
    host.drains(1).await;
    let all = aside(&host.path("outbox")).unwrap();
    assert_eq!(all[0].content_sha256, Some(parcel.content_sha256));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_no_whole_archive_of_any_episode_is_damaged_and_it_is_said_why() {
    for what in ["cut", "another's", "turned"] {
        let (host, rig) = packed("first").await;
        let path = host.path("outbox/ep.tar.zst");
        let mut bytes = fs::read(&path).unwrap();
        match what {
            "cut" => bytes.truncate(bytes.len() / 2),
            "turned" => bytes[20] ^= 1,
            _ => {
                host.record("ep-8", "x", None);
                host.drains(2).await;
                fs::remove_dir_all(host.path("shipped/ep")).unwrap();
                bytes = fs::read(rig.path("episodes/lab/ep-8.tar.zst")).unwrap();
            }
        }
        fs::write(&path, &bytes).unwrap();
        let _ = fs::remove_dir_all(host.path("episodes/ep"));
        let report = host.pass().await;
        let told = host.told().await;
        assert_eq!(report.counts.review, 1, "{what}: {told:?}");
        let says = if what == "another's" { "is whole, and ep-8's" } else { "its archive in the outbox is damaged (" };
        assert!(told.iter().any(|told| told.contains(says)), "{what}: {told:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{what}: it stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_set_aside_that_episode_waits_alone_and_is_told_what_mends_it() {
    for kind in ["file", "symlink", "dangling", "another file system"] {
        let (host, rig) = packed("first").await;
        let review = host.path("outbox/.review");
        let shm = match kind {
            "file" => fs::write(&review, "").map(|()| None).unwrap(),
            "symlink" => std::os::unix::fs::symlink(host.path("episodes"), &review).map(|()| None).unwrap(),
            "dangling" => std::os::unix::fs::symlink("/nowhere", &review).map(|()| None).unwrap(),
            _ => {
                fs::create_dir(&review).unwrap();
                let Some(mounted) = Mounted::tmpfs(&review) else { continue };
                Some(mounted)
            }
        };
        record_anew(&host, "another");
        host.record("ep-2", "y", None);
        for _ in 0..2 {
            let report = host.pass().await;
            let told = host.told().await;
            assert_ne!(report.exit, ExitCode::Failed, "{kind}: {}: {told:?}", report.message);
            assert_eq!(host.names("shipped"), ["ep-2"], "{kind}: {told:?}");
            assert!(told.iter().any(|told| told.contains("cannot be set aside")), "{kind}: {told:?}");
        }
        let fault = aside_fault(&host.path("outbox")).unwrap().expect(kind);
        let mends = if shm.is_some() { "umount " } else { "mv -n " };
        assert!(fault.next().contains(mends), "{kind}: {}", fault.next());
        if shm.is_some() {
            assert_eq!(fs::read_dir(&review).unwrap().count(), 0, "no pass leaves a note there");
        }
        drop(shm);
        if !review.is_dir() || kind == "symlink" {
            fs::rename(&review, host.path("old")).unwrap();
        }
        host.record("ep", "another", None);
        assert_eq!(host.pass().await.counts.done, 1, "{kind}: {:?}", host.told().await);
        assert_eq!((rig.rows().len(), aside(&host.path("outbox")).unwrap().len()), (2, 1), "{kind}");
    }
}

/// A file system that is mounted until this goes.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &std::path::Path) -> Option<Self> {
        let done = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(at).output();
        if done.is_ok_and(|done| done.status.success()) {
            return Some(Self(at.to_path_buf()));
        }
        NotHere("no other file system can be mounted".to_owned()).say("where nothing can be set aside");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
