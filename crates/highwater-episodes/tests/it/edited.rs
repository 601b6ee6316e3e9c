//! An episode that somebody edits after it was packed: what is kept nowhere else is neither left unsent nor removed, whatever its
//! sizes and times say.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use highwater_engine::report::Reason;
use highwater_engine::settings::DurationText;
use highwater_episodes::archive::{TreeLimits, content_of};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_testkit::sim_clock::SimClock;

use crate::life::Host;
use crate::receive::rig::Rig;

const DAY_SECS: i64 = 86_400;

/// Writes other bytes of the same length, and sets the time as it was.
fn rewrite(path: &Path, text: &str) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), text.len() as u64);
    fs::write(path, text).unwrap();
    set_modified(path, modified);
}

fn set_modified(path: &Path, at: SystemTime) {
    File::options().append(true).open(path).unwrap().set_times(FileTimes::new().set_modified(at)).unwrap();
}

fn swap(dir: &Path, one: &str, other: &str) {
    fs::rename(dir.join(one), dir.join("between")).unwrap();
    fs::rename(dir.join(other), dir.join(one)).unwrap();
    fs::rename(dir.join("between"), dir.join(other)).unwrap();
}

/// What somebody does to an episode's directory, in words and in deed.
type Edit = (&'static str, fn(&Path));

/// The edits that change no count, no size and not the newest time in seconds.
fn edits() -> Vec<Edit> {
    vec![
        ("two files swap their names", |dir| swap(dir, "telemetry.csv", "other.csv")),
        ("one is written behind one from the future", |dir| {
            fs::write(dir.join("telemetry.csv"), "1,3").unwrap();
        }),
        ("one is written within the same second", |dir| {
            fs::write(dir.join("future.csv"), "B").unwrap();
            set_modified(&dir.join("future.csv"), UNIX_EPOCH + Duration::from_millis(4_000_000_000_600));
        }),
        ("one is written and its time set back", |dir| rewrite(&dir.join("telemetry.csv"), "1,3")),
        ("one may be executed", |dir| {
            fs::set_permissions(dir.join("telemetry.csv"), Permissions::from_mode(0o755)).unwrap();
        }),
    ]
}

fn record(host: &Host) {
    host.record("ep", "1,2", None);
    let dir = host.path("episodes/ep");
    fs::write(dir.join("other.csv"), "3,4").unwrap();
    set_modified(&dir.join("other.csv"), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    fs::write(dir.join("future.csv"), "A").unwrap();
    set_modified(&dir.join("future.csv"), UNIX_EPOCH + Duration::from_secs(4_000_000_000));
}

fn content(dir: &Path) -> String {
    let content = content_of(dir, &EpisodeId::new("ep").unwrap(), TreeLimits::default()).unwrap();
    content.content_sha256.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_edited_after_it_was_packed_is_packed_anew() {
    for (what, edit) in edits() {
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::new(&rig);
        record(&host);
        let receiver = host.settings.receiver.clone();
        host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        assert_eq!(host.pass().await.reason, Reason::Network, "{what}");
        edit(&host.path("episodes/ep"));
        host.settings.receiver = receiver;
        host.drains(1).await;
        assert_eq!(rig.rows()[0]["content_sha256"], content(&host.path("shipped/ep")), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_edited_after_it_was_sent_stays_and_what_was_only_touched_goes() {
    let touches: Vec<Edit> = vec![
        ("nothing", |_| {}),
        ("a copy in its place", |dir| {
            fs::copy(dir.join("telemetry.csv"), dir.join("copy")).unwrap();
            set_modified(&dir.join("copy"), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
            fs::rename(dir.join("copy"), dir.join("telemetry.csv")).unwrap();
        }),
        ("a right that is not sent", |dir| {
            fs::set_permissions(dir.join("telemetry.csv"), Permissions::from_mode(0o640)).unwrap();
        }),
    ];
    let all = edits().into_iter().map(|edit| (edit, true)).chain(touches.into_iter().map(|touch| (touch, false)));
    for ((what, edit), stays) in all {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::at(&rig, clock.shared());
        host.settings.keep_time = Some(DurationText::days(10));
        record(&host);
        host.drains(1).await;
        edit(&host.path("shipped/ep"));
        clock.jump_secs(11 * DAY_SECS);
        let report = host.pass().await;
        assert_eq!(host.path("shipped/ep").exists(), stays, "{what}: {:?}", report.notes);
        let told = report.notes.iter().any(|note| note.contains("no longer what was sent"));
        assert_eq!(told, stays, "{what}: {:?}", report.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_packed_and_noted_less_of_is_read_before_it_is_sent() {
    for is_edited in [true, false] {
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::new(&rig);
        record(&host);
        let receiver = host.settings.receiver.clone();
        host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        host.pass().await;
        let note = host.path("outbox/.packed/ep.json");
        let mut packed: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        let older = ["files", "bytes", "written_secs"].map(|field| (field.to_owned(), packed["holds"][field].clone()));
        packed["holds"] = older.into_iter().collect();
        fs::write(&note, packed.to_string()).unwrap();
        let archive = fs::read(host.path("outbox/ep.tar.zst")).unwrap();
        if is_edited {
            rewrite(&host.path("episodes/ep/telemetry.csv"), "1,3");
        }
        host.settings.receiver = receiver;
        host.drains(1).await;
        assert_eq!(rig.rows()[0]["content_sha256"], content(&host.path("shipped/ep")));
        let sent = fs::read(rig.path("episodes/lab/ep.tar.zst")).unwrap();
        assert_eq!(sent != archive, is_edited, "what is the same is not packed again");
    }
}
