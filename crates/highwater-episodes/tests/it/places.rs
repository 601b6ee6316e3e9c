//! The directories of a shipper are apart: one that has two names holds the only copy of what is in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::settings::FilePath;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::{RetireError, Shelves};

use crate::life::Host;
use crate::receive::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn two_names_of_one_directory_and_one_within_another_are_refused_before_anything_is_moved() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    for (field, other, place) in [
        ("shipped", "episodes", "episodes/../episodes"),
        ("shipped", "episodes", "up/episodes"),
        ("shipped", "episodes", "up/up/episodes/."),
        ("outbox", "episodes", "up/episodes"),
        ("outbox", "shipped", "up/shipped"),
        ("shipped", "episodes", "episodes/shipped"),
        ("outbox", "episodes", "episodes/.removing"),
        ("outbox", "shipped", "up/shipped/a/b"),
        ("episodes", "outbox", "outbox/.sending"),
    ] {
        let mut host = Host::new(&rig);
        host.record("ep", "x", None);
        symlink(".", host.path("up")).unwrap();
        let path = FilePath::new(host.path(place));
        if field == "episodes" {
            fs::create_dir(host.path("outbox/.sending")).unwrap();
            fs::rename(host.path("episodes/ep"), host.path("outbox/.sending/ep")).unwrap();
        }
        let episodes = if field == "episodes" { place } else { "episodes" };
        match field {
            "shipped" => host.settings.shipped = path,
            "outbox" => host.settings.outbox = path,
            _ => host.settings.episodes = path,
        }
        for _ in 0..2 {
            let report = host.pass().await;
            let said = report.diagnosis.map(|diagnosis| diagnosis.to_string()).unwrap_or_default();
            assert_eq!(report.exit, ExitCode::Refused, "{field} {place}: {}", report.message);
            assert!(said.contains("HW-EPI-106") && said.contains(&format!("`{field}`")), "{said}");
            assert!(said.contains(&format!("`{other}`")), "{said}");
            assert!(host.path(episodes).join("ep/telemetry.csv").exists(), "{field} {place}");
        }
    }
    assert_eq!(rig.files(), Vec::<String>::new(), "nothing was sent");
}

#[test]
fn what_is_one_directory_by_two_names_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("episodes/ep")).unwrap();
    fs::write(dir.path().join("episodes/ep/telemetry.csv"), "x").unwrap();
    symlink(".", dir.path().join("up")).unwrap();
    let shelves = Shelves { episodes: dir.path().join("episodes"), shipped: dir.path().join("up/episodes") };
    let error = shelves.retire(&EpisodeId::new("ep").unwrap()).unwrap_err();
    assert!(matches!(error, RetireError::Same { .. }), "{error}");
    assert!(dir.path().join("episodes/ep/telemetry.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_of_one_directory_of_episodes_whoever_comes_with_another() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    let receiver = host.settings.receiver.clone();
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    host.record("run-1", "the first's", None);
    assert_eq!(host.pass().await.reason, Reason::Network, "it is packed");
    let first = fs::read(host.path("outbox/run-1.tar.zst")).unwrap();
    // The same name, sizes and times in another directory, by another configuration with a ledger of its own.
    fs::rename(host.path("episodes"), host.path("first")).unwrap();
    fs::create_dir(host.path("episodes")).unwrap();
    host.record("run-1", "the other", None);
    fs::rename(host.path("episodes"), host.path("other")).unwrap();
    fs::rename(host.path("first"), host.path("episodes")).unwrap();
    host.settings.receiver = receiver;
    let other = FilePath::new(host.path("other"));
    let own = std::mem::replace(&mut host.settings.episodes, other);
    let report = host.pass().await;
    let said = report.diagnosis.map(|diagnosis| diagnosis.to_string()).unwrap_or_default();
    assert_eq!(report.exit, ExitCode::Refused, "{}", report.message);
    assert!(said.contains("HW-EPI-106") && said.contains("/episodes") && said.contains("/other"), "{said}");
    assert_eq!((rig.files().len(), fs::read(host.path("outbox/run-1.tar.zst")).unwrap()), (0, first));
    assert!(host.path("other/run-1").exists());
    // Whose it is goes on, also where its directory has another place by now.
    fs::rename(own, host.path("moved")).unwrap();
    host.settings.episodes = FilePath::new(host.path("moved"));
    host.drains(1).await;
    assert_eq!(fs::read_to_string(host.path("shipped/run-1/telemetry.csv")).unwrap(), "the first's");
}
