//! An archive in the outbox with something else than its directory in that one's place: another episode of its name, one that is being
//! recorded, no directory at all. Each was a way to lose the only copy.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use highwater_engine::report::{ExitCode, Reason};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::parked::{aside, parked};
use highwater_episodes::ship::{Keep, MARKER, Outbox, Parking, ResolveError, Shelves, resolve};
use highwater_store::{Access, SqliteLedger};

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

/// A host with an episode that was packed while its receiver was away, and that receiver.
pub(crate) async fn packed(text: &str) -> (Host, Rig) {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    let receiver = host.settings.receiver.clone();
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    host.record("ep", text, None);
    assert_eq!(host.pass().await.reason, Reason::Network);
    assert_eq!(host.names("outbox"), ["ep.tar.zst"]);
    host.settings.receiver = receiver;
    (host, rig)
}

/// Its directory makes room for another one of its name.
pub(crate) fn record_anew(host: &Host, text: &str) {
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    host.record("ep", text, None);
}

fn shelves(host: &Host) -> Shelves {
    Shelves { episodes: host.path("episodes"), shipped: host.path("shipped") }
}

fn listed(host: &Host) -> Vec<Parking> {
    let all = parked(&host.path("episodes"), &host.path("outbox")).unwrap();
    all.into_iter().map(|one| one.parked.parking).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_makes_room_for_another_episode_of_its_name_and_lies_aside_until_a_person_sends_it() {
    let (host, rig) = packed("first").await;
    let first = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
    record_anew(&host, "another");
    let report = host.drains(1).await;
    let lies = host.path("outbox/.review/ep.0.tar.zst");
    assert_eq!(fs::read(&lies).unwrap(), first);
    assert!(report.notes.iter().any(|note| note.contains("ep.0.tar.zst")), "{:?}", report.notes);
    assert!(host.pass().await.notes.is_empty(), "it is told once");
    assert_eq!(rig.files(), ["lab/ep.tar.zst"]);
    let all = aside(&host.path("outbox")).unwrap();
    assert_eq!((all.len(), all[0].archive.as_path()), (1, lies.as_path()));
    // As it is told: the name is free, and the two are moved.
    for line in all[0].next.split('`').filter(|part| part.starts_with("mv ")) {
        let words: Vec<_> = line.split(' ').collect();
        fs::rename(words[2], words[3]).unwrap();
    }
    let report = host.pass().await;
    assert_eq!(report.counts.review, 1, "{}: {:?}", report.message, host.told().await);
    assert!(host.told().await[0].contains("the receiver has another episode of this name"), "{:?}", host.told().await);
    assert_eq!((host.names("outbox"), listed(&host)), (vec!["ep.tar.zst".to_owned()], vec![Parking::Conflict]));
    assert!(aside(&host.path("outbox")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_edited_at_every_pass_leaves_nothing_aside() {
    let (mut host, _rig) = packed("0").await;
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    for text in ["1", "2", "3"] {
        fs::write(host.path("episodes/ep/telemetry.csv"), text).unwrap();
        host.mark("ep");
        assert_eq!(host.pass().await.reason, Reason::Network);
    }
    let born = fs::metadata(host.path("episodes/ep")).unwrap().created();
    if born.is_err() {
        return highwater_testkit::not_here::NotHere("directories have no time of birth".to_owned())
            .say("an edited one");
    }
    assert!(aside(&host.path("outbox")).unwrap().is_empty());
    // And of others, what lies aside already is not set aside again.
    for text in ["a", "b", "a", "b", "a"] {
        record_anew(&host, text);
        assert_eq!(host.pass().await.reason, Reason::Network);
    }
    assert_eq!(aside(&host.path("outbox")).unwrap().len(), 3, "what it was at last, and both of the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_copy_aside_is_damaged_is_set_aside_too() {
    let (mut host, _rig) = packed("a").await;
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    let whole = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
    for text in ["b", "a"] {
        record_anew(&host, text);
        assert_eq!(host.pass().await.reason, Reason::Network);
    }
    assert_eq!(fs::read(host.path("outbox/ep.tar.zst")).unwrap(), whole);
    let lies = host.path("outbox/.review/ep.0.tar.zst");
    assert_eq!(fs::read(&lies).unwrap(), whole);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&lies, &damaged).unwrap();
    record_anew(&host, "b");
    assert_eq!(host.pass().await.reason, Reason::Network);
    let asides = aside(&host.path("outbox")).unwrap();
    assert!(asides.iter().any(|aside| fs::read(&aside.archive).unwrap() == whole), "{asides:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_the_gate_refuses_stays_where_its_directory_is_gone() {
    let (mut host, _rig) = packed("x").await;
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    let body = r#"{"code":"code-missing","detail":"no commit"}"#;
    let said = format!(
        "HTTP/1.1 400 X\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let far = Foreign::new(move |head, _| if head.starts_with("put ") { said.clone() } else { say(404, "") }).await;
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    assert_eq!(host.pass().await.counts.review, 1, "{:?}", host.told().await);
    assert_eq!(host.names("outbox"), ["ep.tar.zst"]);
    let told = host.told().await;
    assert!(told[0].contains("its directory is gone") && told[0].contains("tar --zstd -xf"), "{told:?}");
    assert_eq!(listed(&host), [Parking::Gate]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_is_resolved_lets_no_archive_go_whose_directory_is_another_one() {
    let (host, rig) = packed("theirs").await;
    host.drains(1).await;
    host.record("ep", "packed", None);
    assert_eq!(host.pass().await.counts.review, 1);
    let packed = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
    let (id, outbox) = (EpisodeId::new("ep").unwrap(), Outbox::open(&host.path("outbox")).unwrap());
    // While it is being recorded nothing of it is moved.
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    fs::create_dir(host.path("episodes/ep")).unwrap();
    let resolved = resolve(&shelves(&host), &outbox, &id, Keep::Remote).unwrap();
    assert_eq!((resolved.aside, resolved.archive), (None, Some(host.path("outbox/ep.tar.zst"))));
    fs::remove_dir(host.path("episodes/ep")).unwrap();
    outbox.unpark(&id).unwrap();
    assert_eq!(host.pass().await.counts.review, 1, "it is sent, and is a conflict again");
    host.record("ep", "another", None);
    // Finished since: it is not listed, and what is not listed is not moved, for the receiver never refused it.
    let marker = fs::File::options().append(true).open(host.path("episodes/ep").join(MARKER)).unwrap();
    marker.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(9_000_000_000)).unwrap();
    assert_eq!(listed(&host), []);
    let refused = resolve(&shelves(&host), &outbox, &id, Keep::Remote);
    assert!(matches!(refused, Err(ResolveError::Mended(_))), "{refused:?}");
    assert!(host.path("episodes/ep").is_dir());
    assert_eq!((fs::read(host.path("outbox/ep.tar.zst")).unwrap(), rig.rows().len()), (packed, 1));
    assert_eq!(host.pass().await.counts.review, 1, "it is a conflict of its own, and the archive made room");
    assert_eq!((listed(&host), aside(&host.path("outbox")).unwrap().len()), (vec![Parking::Conflict], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_recorded_in_the_place_of_an_archives_directory_is_neither_packed_nor_moved() {
    let (host, rig) = packed("x").await;
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    host.record("ep", "half", None);
    fs::remove_file(host.path("episodes/ep").join(MARKER)).unwrap();
    let report = host.pass().await;
    let told = host.told().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{}: {told:?}", report.message);
    assert!(told[0].contains("the receiver has it; a directory without `done.marker` has its name"), "{told:?}");
    assert!(host.path("episodes/ep/telemetry.csv").exists() && host.names("shipped").is_empty());
    assert_eq!((rig.rows().len(), host.names("outbox")), (1, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_marker_is_taken_away_waits_until_it_is_finished_or_its_directory_is_gone() {
    for is_finished in [true, false] {
        let (host, rig) = packed("x").await;
        fs::remove_file(host.path("episodes/ep").join(MARKER)).unwrap();
        for review in [1, 0] {
            let report = host.pass().await;
            assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, review), "{:?}", host.told().await);
            assert!(report.notes.iter().any(|note| note.contains("ep (being recorded again)")), "{:?}", report.notes);
            assert_eq!((rig.rows().len(), host.names("outbox").len(), host.names("episodes").len()), (0, 1, 1));
        }
        if is_finished {
            host.record("ep", "more of it", None);
            host.drains(1).await;
            assert_eq!(fs::read_to_string(host.path("shipped/ep/telemetry.csv")).unwrap(), "more of it");
        } else {
            fs::remove_dir_all(host.path("episodes/ep")).unwrap();
            assert_eq!(host.pass().await.counts.review, 1, "{:?}", host.told().await);
            assert_eq!((rig.rows().len(), host.names("outbox")), (1, vec![]));
        }
        assert!(listed(&host).is_empty() && aside(&host.path("outbox")).unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_marker_is_taken_away_before_it_is_packed_is_not_packed() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    host.record("ep", "x", None);
    let receiver = host.settings.receiver.clone();
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    assert_eq!(host.pass().await.reason, Reason::Network, "it is on the list");
    fs::remove_file(host.path("outbox/ep.tar.zst")).unwrap();
    fs::remove_file(host.path("episodes/ep").join(MARKER)).unwrap();
    host.settings.receiver = receiver;
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{:?}", host.told().await);
    assert_eq!((rig.rows().len(), host.names("episodes"), host.names("outbox")), (0, vec!["ep".to_owned()], vec![]));
    host.record("ep", "x", None);
    host.drains(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_sent_where_a_file_or_a_symlink_has_the_name_of_its_directory() {
    for (is_symlink, loses_ledger) in [(true, false), (false, false), (false, true)] {
        let (mut host, rig) = packed("x").await;
        if loses_ledger {
            // Nothing is on a list then: it is found by its archive.
            let ledger =
                SqliteLedger::open(host.path("another.db"), host.engine.clock.now(), Access::ReadWrite).unwrap();
            host.engine.ledger = Arc::new(ledger);
        }
        fs::rename(host.path("episodes/ep"), host.path("elsewhere")).unwrap();
        if is_symlink {
            symlink(host.path("elsewhere"), host.path("episodes/ep")).unwrap();
        } else {
            fs::write(host.path("episodes/ep"), "no directory").unwrap();
        }
        assert_eq!(host.pass().await.counts.review, 1);
        let told = host.told().await;
        assert!(told[0].contains("the receiver has it; what has the name of its directory is"), "{told:?}");
        assert_eq!((rig.rows().len(), host.names("outbox")), (1, vec![]));
        assert!(host.path("elsewhere/telemetry.csv").exists() && host.names("episodes") == ["ep"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_of_one_host_as_long_as_something_waits_in_it() {
    let (mut host, rig) = packed("x").await;
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    host.host_id = "lab2".to_owned();
    let report = host.pass().await;
    let said = report.diagnosis.map(|diagnosis| diagnosis.to_string()).unwrap_or_default();
    assert_eq!(report.exit, ExitCode::Refused, "{}", report.message);
    let note = host.path("outbox/.episodes.json");
    assert!(
        said.contains("HW-EPI-106") && said.contains("host lab,") && said.contains(note.to_str().unwrap()),
        "{said}"
    );
    assert_eq!((rig.rows().len(), host.names("outbox").len()), (0, 1));
    // As it is told; a note of an older version, which names no host, is taken on too.
    fs::remove_file(&note).unwrap();
    assert_eq!(host.pass().await.counts.review, 1);
    assert_eq!(rig.files(), ["lab2/ep.tar.zst"]);
    host.host_id = "lab".to_owned();
    assert_eq!(host.pass().await.exit, ExitCode::Drained, "nothing waits");
}
