//! From a marker to `shipped/`: nothing that is the only copy of an episode goes, whoever is in between.

use std::fs;
use std::sync::Arc;

use highwater_engine::report::{ExitCode, Reason};
use highwater_episodes::archive::{CompressionSettings, Packer, TreeLimits};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::{Keep, MARKER, Outbox, Parcel, Parked, Parking, Shelves, resolve};

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

/// A host whose episode was packed while its receiver was away; and a receiver that takes everything and names nothing.
async fn packed(text: &str) -> (Host, Foreign) {
    let rig = Rig::new().await;
    let mut host = Host::new(&rig);
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    host.record("ep", text, None);
    assert_eq!(host.pass().await.reason, Reason::Network);
    assert_eq!(host.names("outbox"), ["ep.tar.zst"]);
    let far = Foreign::new(|head, _| match head.split(' ').next().unwrap() {
        "put" => say(201, ""),
        _ => say(404, ""),
    })
    .await;
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    (host, far)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_stays_where_its_directory_is_gone_and_nothing_proves_that_it_arrived() {
    let (host, _far) = packed("x").await;
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    let report = host.pass().await;
    assert_eq!((report.counts.done, report.counts.review), (0, 1), "{}", report.message);
    assert_eq!(host.names("outbox"), ["ep.tar.zst"], "{:?}", host.told().await);
    assert!(host.told().await[0].contains("its archive stays in the outbox"), "{:?}", host.told().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_stays_where_another_episode_of_its_name_is_in_shipped() {
    for is_directory in [true, false] {
        let (host, _far) = packed("x").await;
        fs::remove_dir_all(host.path("episodes/ep")).unwrap();
        if is_directory {
            fs::create_dir(host.path("shipped/ep")).unwrap();
            fs::write(host.path("shipped/ep/telemetry.csv"), "another").unwrap();
        } else {
            fs::write(host.path("shipped/ep"), "no episode").unwrap();
        }
        let report = host.pass().await;
        assert_eq!((report.counts.done, report.counts.review), (0, 1), "{}", report.message);
        assert_eq!(
            (host.names("outbox"), host.names("shipped")),
            (vec!["ep.tar.zst".to_owned()], vec!["ep".to_owned()])
        );
    }
    // The same one, moved by hand: its archive is not the only copy, and not kept.
    let (host, _far) = packed("x").await;
    fs::rename(host.path("episodes/ep"), host.path("shipped/ep")).unwrap();
    assert_eq!(host.pass().await.counts.done, 1, "{:?}", host.told().await);
    assert_eq!(host.names("outbox"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_that_changed_since_it_was_packed_is_packed_anew() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let (mut host, _far) = packed("x").await;
    fs::write(host.path("episodes/ep/telemetry.csv"), "mended").unwrap();
    host.mark("ep");
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", rig.address))).unwrap();
    assert_eq!(host.pass().await.counts.done, 1, "{:?}", host.told().await);
    // What arrived is what is in `shipped`: as it lies there, it is the same.
    fs::rename(host.path("shipped/ep"), host.path("episodes/ep")).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{:?}", host.told().await);
    assert_eq!(rig.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_that_changes_while_it_is_sent_is_not_retired() {
    let (mut host, _) = packed("x").await;
    let late = host.path("episodes/ep/late.csv");
    let far = Foreign::new(move |head, _| match head.split(' ').next().unwrap() {
        "put" if !late.exists() => {
            fs::write(&late, "1,2").unwrap();
            say(201, "")
        }
        "put" => say(409, ""),
        _ => say(404, ""),
    })
    .await;
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Checkpoint, 0), "{:?}", host.told().await);
    assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]));
    // Packed anew it is another one than the receiver has: for a person, and both are kept.
    host.mark("ep");
    assert_eq!(host.pass().await.counts.review, 1, "{:?}", host.told().await);
    assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]));
}

#[test]
fn a_conflict_that_is_resolved_removes_no_archive_whose_directory_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = Shelves { episodes: dir.path().join("episodes"), shipped: dir.path().join("shipped") };
    let (archive, id) = (dir.path().join("outbox/ep.tar.zst"), EpisodeId::new("ep").unwrap());
    for name in ["episodes", "shipped", "outbox"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let outbox = Outbox::open(&dir.path().join("outbox")).unwrap();
    let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
    let at = "2026-11-20T12:00:00Z".parse().unwrap();
    let mut record = |text: &str| {
        fs::create_dir(shelves.episodes.join("ep")).unwrap();
        fs::write(shelves.episodes.join("ep/telemetry.csv"), text).unwrap();
        fs::write(shelves.episodes.join("ep").join(MARKER), "").unwrap();
        outbox.pack(&mut packer, &shelves.episodes.join("ep"), &id, || at).unwrap();
    };
    let conflict = || {
        let marker = fs::metadata(shelves.episodes.join("ep").join(MARKER)).and_then(|marker| marker.modified());
        let marker = marker.ok().map(|at| at.try_into().unwrap());
        let parked =
            Parked { at, commit: None, parking: Parking::Conflict, refused: None, marker, told: String::new() };
        outbox.park(&id, &parked).unwrap();
        resolve(&shelves, &outbox, &id, Keep::Remote).unwrap()
    };
    record("x");
    let resolved = conflict();
    assert_eq!((resolved.aside, resolved.archive), (Some(shelves.episodes.join(".review/ep.0")), None));
    assert!(!archive.exists());
    // Recorded anew, and its directory removed: what was set aside before is another one.
    record("y");
    fs::remove_dir_all(shelves.episodes.join("ep")).unwrap();
    for _ in 0..2 {
        let resolved = conflict();
        assert_eq!((resolved.aside, resolved.archive.as_ref()), (None, Some(&archive)));
        assert!(archive.exists(), "it is the only copy");
        assert_eq!(
            outbox.parked(&id).unwrap().unwrap().parking,
            Parking::Gone,
            "it is told of, and not sent by itself"
        );
    }
    // Called again after a kill that came between the two.
    record("z");
    fs::rename(shelves.episodes.join("ep"), shelves.episodes.join(".review/ep.7")).unwrap();
    let resolved = conflict();
    assert!(resolved.aside.is_none() && resolved.archive.is_none() && !archive.exists());
    assert_eq!(outbox.parked(&id).unwrap(), None);
}

/// What a host notes of the archive that it packed.
fn parcel(host: &Host) -> Parcel {
    Outbox::open(&host.path("outbox")).unwrap().noted(&EpisodeId::new("ep").unwrap()).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_came_in_parts_goes_only_where_the_receiver_read_what_it_has_and_that_is_it() {
    const PROBLEM: &str = "Content-Type: application/problem+json\r\n";
    const TUS: &str = "Tus-Resumable: 1.0.0\r\n";
    const READ: &str = "X-Episode-Verified: read\r\n";
    let (ours, content) = ("ETag: \"OURS\"\r\n", "X-Episode-Content-SHA256: CONTENT\r\n");
    let (other, others) = ("ETag: \"OTHER\"\r\n", "X-Episode-Content-SHA256: OTHER\r\n");
    // What is said of the episode once all of it came, by a receiver that reads where it is asked to; and whether the archive goes.
    for (status, said, goes) in [
        (200, format!("{ours}{content}{READ}"), true),
        (200, format!("{ours}{READ}"), true),
        // Stored from another archive of the same files.
        (200, format!("{other}{content}{READ}"), true),
        // By its row: it was so once.
        (200, format!("{ours}{content}"), false),
        (204, ours.to_owned(), false),
        (200, content.to_owned(), false),
        (200, format!("{ours}X-Episode-Verified: row\r\n"), false),
        (200, format!("{other}{others}{READ}"), false),
        (200, format!("{other}{READ}"), false),
        (200, format!("{others}{READ}"), false),
        (200, READ.to_owned(), false),
        (404, PROBLEM.to_owned(), false),
        (409, PROBLEM.to_owned(), false),
        (404, String::new(), false),
        (410, String::new(), false),
        (501, String::new(), false),
        (412, TUS.to_owned(), false),
        (500, format!("{ours}{READ}"), false),
    ] {
        let (mut host, _) = packed("x").await;
        let sent = parcel(&host);
        fs::remove_dir_all(host.path("episodes/ep")).unwrap();
        let named = said
            .replace("OURS", &sent.sha256.to_string())
            .replace("CONTENT", &sent.content_sha256.to_string())
            .replace("OTHER", &"c".repeat(64));
        let far = Foreign::new(move |head, body| match head.split(' ').next().unwrap() {
            "post" if head.starts_with("post /v1/uploads") => say(201, &format!("Location: /files/7\r\n{TUS}")),
            "patch" => say(204, &format!("Upload-Offset: {}\r\n{TUS}", body.len())),
            "head" if head.contains("x-episode-verify: read") => say(status, &named),
            // Who is not asked to read does not.
            "head" => say(status, &named.replace(READ, "")),
            _ => say(404, ""),
        })
        .await;
        host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
        host.settings.resume_above = "1B".parse().unwrap();
        let report = host.pass().await;
        let told = host.told().await;
        assert_eq!(report.counts.done, 0, "{status} {said}: {told:?}");
        assert_eq!(host.names("outbox").is_empty(), goes, "{status} {said}: {told:?}");
        assert_eq!(told[0].contains("the receiver has it; its directory is gone"), goes, "{status} {said}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_the_ledger_lets_no_archive_go_of_what_the_receiver_lost_since() {
    for (in_parts, is_gone) in [(false, false), (true, false), (false, true), (true, true)] {
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::new(&rig);
        host.record("ep", "x", None);
        host.drains(1).await;
        assert!(host.told().await[0].contains("the receiver has it: "), "{:?}", host.told().await);
        // It is packed once more, and its archive is all there is of it here.
        let receiver = host.settings.receiver.clone();
        host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        fs::rename(host.path("shipped/ep"), host.path("episodes/ep")).unwrap();
        assert_eq!(host.pass().await.reason, Reason::Network);
        fs::remove_dir_all(host.path("episodes/ep")).unwrap();
        let stored = rig.path("episodes/lab/ep.tar.zst");
        let whole = fs::read(&stored).unwrap();
        if is_gone {
            fs::remove_file(&stored).unwrap();
        } else {
            // As large as before: its row does not show it.
            let mut bytes = whole.clone();
            bytes[whole.len() / 2] ^= 1;
            fs::write(&stored, bytes).unwrap();
        }
        host.settings.receiver = receiver;
        if in_parts {
            host.settings.resume_above = "1B".parse().unwrap();
        }
        let report = host.pass().await;
        let told = host.told().await;
        assert_eq!((report.counts.review, host.names("outbox")), (1, vec![]), "{}: {told:?}", report.message);
        assert_eq!(fs::read(&stored).unwrap(), whole, "in parts {in_parts}, gone {is_gone}: {told:?}");
    }
}
