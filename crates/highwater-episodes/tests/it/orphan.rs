//! An archive in the outbox whose directory somebody removed: it is the only copy, is told of, and can be sent.

use std::fs;
use std::sync::Arc;

use highwater_engine::report::ExitCode;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::parked::parked;
use highwater_episodes::ship::{Outbox, Parking};

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

/// A host whose only episode was refused, and whose directory somebody removed then.
async fn refused(rig: &Rig) -> Host {
    let far = Foreign::new(|head, _| match head.lines().next().unwrap() {
        line if line.contains("/ping") => say(404, ""),
        _ => say(413, ""),
    })
    .await;
    let mut host = Host::new(rig);
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    host.record("big", "x", None);
    assert_eq!(host.pass().await.counts.review, 1);
    fs::remove_dir_all(host.path("episodes/big")).unwrap();
    for _ in 0..2 {
        assert_eq!(host.pass().await.exit, ExitCode::Drained, "it waits");
    }
    host
}

fn listed(host: &Host) -> Vec<(String, Parking)> {
    let all = parked(&host.path("episodes"), &host.path("outbox")).unwrap();
    all.into_iter().map(|one| (one.episode_id.to_string(), one.parked.parking)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_directory_is_gone_is_told_of_and_once_let_go_is_sent() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = refused(&rig).await;
    assert_eq!(host.names("outbox"), ["big.tar.zst"]);
    assert_eq!(listed(&host), [("big".to_owned(), Parking::Refused)]);
    let notes = host.pass().await.notes;
    assert!(notes.iter().any(|note| note.contains("big (refused, its directory is gone)")), "{notes:?}");
    // What `retry` does.
    Outbox::open(&host.path("outbox")).unwrap().unpark(&EpisodeId::new("big").unwrap()).unwrap();
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", rig.address))).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{}", report.message);
    assert!(host.told().await[0].contains("the receiver has it; "), "{:?}", host.told().await);
    assert_eq!(rig.files(), ["lab/big.tar.zst"]);
    assert_eq!((host.names("outbox"), listed(&host)), (vec![], vec![]));
    assert_eq!(host.pass().await.counts, Default::default(), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_directory_is_gone_and_which_nobody_names_stays_and_is_not_sent_again_and_again() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = refused(&rig).await;
    let far = Foreign::new(|head, _| match head.split(' ').next().unwrap() {
        "put" => say(201, ""),
        _ => say(404, ""),
    })
    .await;
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
    Outbox::open(&host.path("outbox")).unwrap().unpark(&EpisodeId::new("big").unwrap()).unwrap();
    for review in [1, 0, 0] {
        assert_eq!(host.pass().await.counts.review, review, "{:?}", host.told().await);
        assert_eq!(host.names("outbox"), ["big.tar.zst"]);
        assert_eq!(listed(&host), [("big".to_owned(), Parking::Gone)]);
    }
    let puts = far.asked.lock().unwrap().iter().filter(|head| head.starts_with("put ")).count();
    assert_eq!(puts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_damaged_and_whose_directory_is_gone_is_for_a_person() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = refused(&rig).await;
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", rig.address))).unwrap();
    fs::write(host.path("outbox/big.tar.zst"), "x").unwrap();
    Outbox::open(&host.path("outbox")).unwrap().unpark(&EpisodeId::new("big").unwrap()).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{:?}", host.told().await);
    assert_eq!(listed(&host), [("big".to_owned(), Parking::Gone)]);
    assert!(host.path("outbox/big.tar.zst").exists() && rig.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_outbox_and_is_none_of_ours_holds_up_its_own_episode_at_most() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    for (junk, sent) in [
        (".packed/b.json", vec!["a", "c"]),
        ("b.tar.zst", vec!["a", "c"]),
        (".sending/b.json", vec!["a", "b", "c"]),
        (".parked/b.json", vec!["a", "b", "c"]),
    ] {
        let mut host = Host::new(&rig);
        host.settings.resume_above = "1kB".parse().unwrap();
        for id in ["a", "b", "c"] {
            let noise: String = (0..4_000_u64).map(|n| (n * n * 7_919 % 1_000_003).to_string()).collect();
            host.record(id, &noise, None);
        }
        fs::create_dir_all(host.path("outbox").join(junk).join("x")).unwrap();
        let report = host.pass().await;
        assert_eq!(report.exit, ExitCode::Drained, "{junk}: {}: {:?}", report.message, host.told().await);
        assert_eq!(host.names("shipped"), sent, "{junk}: {:?}", host.told().await);
        if sent.len() < 3 {
            let told = host.told().await;
            assert!(
                told.iter().any(|told| told.starts_with("b review: ") && told.contains("move it away")),
                "{told:?}"
            );
            fs::remove_dir_all(host.path("outbox").join(junk)).unwrap();
            assert_eq!(host.pass().await.counts.done, 1, "{junk}: {:?}", host.told().await);
        }
    }
}
