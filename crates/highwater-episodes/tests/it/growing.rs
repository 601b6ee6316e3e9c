//! An episode that is still written to, although its marker is there: it waits, however long that takes, and what was sent is what is kept.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use highwater_engine::clock::SystemClock;
use highwater_engine::report::ExitCode;
use highwater_episodes::archive::{CompressionSettings, Packer, TreeLimits};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::ship::{MARKER, Outbox, STILL_SECS};
use jiff::Timestamp;

use crate::life::Host;
use crate::receive::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_still_written_after_its_marker_is_not_sent_and_spends_no_attempt() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("grows", "1\n", None);
    host.record("next", "x", None);
    let telemetry = host.path("episodes/grows/telemetry.csv");
    for pass in 0..8 {
        writeln!(OpenOptions::new().append(true).open(&telemetry).unwrap(), "{pass}").unwrap();
        let report = host.pass().await;
        let told = host.told().await;
        assert_eq!((report.exit, report.counts.review), (ExitCode::Checkpoint, 0), "{told:?}");
        assert!(
            told.iter().any(|one| one.starts_with("grows retry: ") && one.contains("may still be written")),
            "{told:?}"
        );
    }
    assert_eq!((rig.rows().len(), host.names("shipped")), (1, vec!["next".to_owned()]), "it holds up no other");
    // It stood still for a while.
    let then = SystemTime::from(SystemClock::shared().now()) - Duration::from_secs(STILL_SECS.cast_unsigned() + 1);
    File::options().append(true).open(&telemetry).unwrap().set_modified(then).unwrap();
    host.drains(1).await;
    assert_eq!(fs::read_to_string(host.path("shipped/grows/telemetry.csv")).unwrap().lines().count(), 9);
    // Who writes the marker anew says that it is finished.
    host.record("corrected", "1\n", None);
    fs::write(host.path("episodes/corrected/telemetry.csv"), "2\n").unwrap();
    assert_eq!(host.pass().await.exit, ExitCode::Checkpoint);
    host.mark("corrected");
    host.drains(1).await;
}

/// A copy in which the marker came before the rest: what comes after it is in time.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_copied_marker_first_is_sent_whole() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    let dir = host.path("episodes/ep");
    fs::create_dir(&dir).unwrap();
    host.mark("ep");
    assert_eq!(host.pass().await.exit, ExitCode::Checkpoint, "{:?}", host.told().await);
    for part in ["a.csv", "b.csv"] {
        SystemClock::shared().sleep(Duration::from_millis(20)).await;
        fs::write(dir.join(part), part).unwrap();
        assert_eq!(host.pass().await.exit, ExitCode::Checkpoint, "{:?}", host.told().await);
        assert!(rig.rows().is_empty());
    }
    host.mark("ep");
    host.drains(1).await;
}

/// Each is packed ahead, while one before it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_edited_while_another_is_sent_is_packed_anew_before_it_is_sent() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    host.settings.bandwidth = Some(serde_json::from_value(serde_json::json!("1 MB/s")).unwrap());
    host.record("a", "x", None);
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(6 << 20).collect();
    fs::write(host.path("episodes/a/noise.bin"), noise).unwrap();
    host.mark("a");
    host.record("b", "first", None);
    // The later one goes later.
    host.mark("b");
    let edit = async {
        while !host.path("outbox/b.tar.zst").exists() {
            SystemClock::shared().sleep(Duration::from_millis(10)).await;
        }
        fs::write(host.path("episodes/b/telemetry.csv"), "second").unwrap();
        host.mark("b");
    };
    let (report, ()) = tokio::join!(host.pass(), edit);
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{:?}", host.told().await);
    assert_eq!(fs::read_to_string(host.path("shipped/b/telemetry.csv")).unwrap(), "second");
    fs::rename(host.path("shipped/b"), host.path("episodes/b")).unwrap();
    host.drains(1).await;
}

/// Packing may take an hour: what counts is how it stands then.
#[test]
fn whether_one_stands_still_is_looked_at_once_it_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, id) = (dir.path().join("episodes/ep"), EpisodeId::new("ep").unwrap());
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(dir.path().join("outbox")).unwrap();
    for (file, secs) in [(MARKER, 1_000), ("telemetry.csv", 2_000)] {
        fs::write(root.join(file), "1,2").unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        File::options().append(true).open(root.join(file)).unwrap().set_modified(at).unwrap();
    }
    let outbox = Outbox::open(&dir.path().join("outbox")).unwrap();
    let packed_at = |secs: [i64; 2]| {
        let asked = Cell::new(0);
        let now = || {
            let turn: usize = asked.replace(asked.get() + 1);
            Timestamp::from_second(*secs.get(turn).unwrap_or(&secs[1])).unwrap()
        };
        let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
        outbox.pack(&mut packer, &root, &id, now).map(drop).map_err(|error| error.to_string())
    };
    for secs in [[1_990, 3_000], [1_500, 2_030]] {
        let told = packed_at(secs).unwrap_err();
        assert!(told.contains("is newer than the marker") && told.contains("may still be written"), "{secs:?}: {told}");
    }
    packed_at([1_500, 3_000]).unwrap();
}
