//! An episode's whole life: recorded, packed, sent, stored, indexed, retired, by a real pass against a real receiver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::{SharedClock, SystemClock, later};
use highwater_engine::contact::StopSignal;
use highwater_engine::ledger::{EventFilter, ItemFilter, ItemOrder, Who, Word};
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::settings::{BreakerSettings, ByteSize, JobSettings, Percent, SecretText};
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_episodes::gate::{GateSettings, Source, VersionGate};
use highwater_episodes::name::{EpisodeId, HostId};
use highwater_episodes::receive::ByVersion;
use highwater_episodes::receive::gate::{Gate, Off};
use highwater_episodes::ship::{Keeping, MARKER, Place, Receiver, Shelves, Ship, ShipSettings};
use highwater_store::{Access, SqliteLedger};

use crate::receive::rig::{Rig, TOKEN};

/// A lab host with a ledger of its own.
pub(crate) struct Host {
    dir: tempfile::TempDir,
    pub(crate) engine: Engine,
    pub(crate) spec: JobSpec,
    pub(crate) settings: ShipSettings,
    pub(crate) host_id: String,
}

impl Host {
    pub(crate) fn new(rig: &Rig) -> Self {
        Self::at(rig, SystemClock::shared())
    }

    pub(crate) fn at(rig: &Rig, clock: SharedClock) -> Self {
        Self::within(tempfile::tempdir().unwrap(), rig.address, clock)
    }

    /// One in a directory, whose receiver is there.
    pub(crate) fn within(dir: tempfile::TempDir, receiver: std::net::SocketAddr, clock: SharedClock) -> Self {
        for name in ["episodes", "outbox", "shipped"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let ledger = SqliteLedger::open(dir.path().join("ledger.db"), clock.now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock,
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let resource =
            ResourceSpec::new(ResourceName::new("receiver").unwrap(), FileLock::new(dir.path().join("lock"), false));
        let breaker = BreakerSettings { failed: Percent::whole(100), ..BreakerSettings::default() };
        let settings = JobSettings { breaker, ..JobSettings::default() };
        let spec = JobSpec {
            concurrency: 2,
            recurring: true,
            ..JobSpec::new(JobName::new("send").unwrap(), "ship", vec![resource], &settings)
        };
        let settings = serde_json::from_value(serde_json::json!({
            "receiver": format!("http://{receiver}/"),
            "host-id": "lab",
            "token": TOKEN,
        }))
        .unwrap();
        let mut host = Self { dir, engine, spec, settings, host_id: "lab".to_owned() };
        host.settings.resolve(host.dir.path());
        host
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Records an episode that is finished.
    pub(crate) fn record(&self, id: &str, text: &str, commit: Option<&str>) {
        let dir = self.path("episodes").join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("telemetry.csv"), text).unwrap();
        if let Some(commit) = commit {
            fs::write(dir.join("meta.json"), format!(r#"{{"code_version":{{"commit":"{commit}"}}}}"#)).unwrap();
        }
        fs::write(dir.join(MARKER), "").unwrap();
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        for file in fs::read_dir(&dir).unwrap() {
            fs::File::options().append(true).open(file.unwrap().path()).unwrap().set_modified(at).unwrap();
        }
    }

    /// Writes its marker anew, which says that nobody writes to it any more.
    pub(crate) fn mark(&self, id: &str) {
        fs::write(self.path("episodes").join(id).join(MARKER), "again").unwrap();
    }

    /// A shipper that lives for as many passes as a daemon's.
    pub(crate) fn ship(&self) -> Arc<Ship> {
        let host = HostId::new(&self.host_id).unwrap();
        let receiver =
            Receiver::new(&self.settings, host, ResourceName::new("receiver").unwrap()).map_err(|(_, d)| d).unwrap();
        let place = Place {
            receiver,
            shelves: Shelves {
                episodes: self.settings.episodes.to_path_buf(),
                shipped: self.settings.shipped.to_path_buf(),
            },
            outbox: self.settings.outbox.to_path_buf(),
            compression: self.settings.compression.clone(),
            resume_above_bytes: self.settings.resume_above.bytes(),
            keeping: Keeping {
                by: self.settings.keep_by,
                time: self.settings.keep_time.map(Into::into),
                size_bytes: self.settings.keep_size.map(ByteSize::bytes),
            },
            code_commit: self.settings.code_commit.clone(),
        };
        Arc::new(Ship::new(place))
    }

    pub(crate) async fn pass(&self) -> PassReport {
        self.pass_of(&self.ship()).await
    }

    pub(crate) async fn pass_of(&self, ship: &Arc<Ship>) -> PassReport {
        ship.run(&self.engine, &self.spec, Mode::Run).await
    }

    /// A pass that drains its round, of which so many are done.
    pub(crate) async fn drains(&self, done: u64) -> PassReport {
        let report = self.pass().await;
        let told = self.told().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, done), "{}: {told:?}", report.message);
        report
    }

    /// What is in a directory, but for what begins with a dot.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    /// The words of the outcomes, with their reasons.
    pub(crate) async fn told(&self) -> Vec<String> {
        let items = self.engine.ledger.job(&self.spec.name).await.unwrap().unwrap().worklist.unwrap();
        let rows = self.engine.ledger.items(items.id, &ItemFilter::All, ItemOrder::Position, None, 100).await;
        rows.unwrap()
            .into_iter()
            .map(|row| {
                let (word, detail) = row.outcome.map_or(("untried", None), |kind| (kind.word(), row.detail));
                format!("{} {word}{}", row.key, detail.map(|detail| format!(": {detail}")).unwrap_or_default())
            })
            .collect()
    }
}

/// A code repository with this many commits, the newest last.
fn code(dir: &Path, commits: usize) -> Option<Vec<String>> {
    fs::create_dir_all(dir).unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(dir).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]).args(args);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.output()
    };
    if let Err(error) = git(&["init", "--quiet"]) {
        highwater_testkit::not_here::NotHere(format!("git: {error}")).say("an episode's life with a version gate");
        return None;
    }
    for n in 0..commits {
        assert!(git(&["commit", "--quiet", "--allow-empty", "-m", &n.to_string()]).unwrap().status.success());
    }
    let log = String::from_utf8(git(&["log", "--reverse", "--format=%H"]).unwrap().stdout).unwrap();
    Some(log.lines().map(str::to_owned).collect())
}

async fn gated(repository: &Path, allowed: &Path, commits: u32) -> (VersionGate, Arc<dyn Gate>) {
    let clock: SharedClock = SystemClock::shared();
    let source = Source { repository: repository.to_path_buf(), reference: "HEAD".to_owned(), commits };
    let gate = VersionGate::new(source, allowed.to_path_buf(), clock);
    gate.refresh().await;
    let settings =
        GateSettings { remediation: vec!["git pull".to_owned(), "make install".to_owned()], ..GateSettings::default() };
    (gate.clone(), Arc::new(ByVersion::new(gate, &settings)))
}

#[tokio::test]
async fn r11_an_episode_is_stored_and_retired_once_and_sent_again_it_is_the_same() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    host.record("ep-1", "a,b\n1,2\n", Some(&"a".repeat(40)));
    host.record("ep-2", "a,b\n3,4\n", None);
    host.drains(2).await;
    assert_eq!(rig.files(), ["lab/ep-1.tar.zst", "lab/ep-2.tar.zst"]);
    assert_eq!((host.names("episodes"), host.names("outbox")), (vec![], vec![]));
    assert_eq!(host.names("shipped"), ["ep-1", "ep-2"]);
    let rows = rig.rows();
    assert_eq!((rows[0]["commit"].as_str(), rows[0]["gate"].as_str()), (Some("a".repeat(40).as_str()), Some("off")));
    assert!(rows[0]["content_sha256"].is_string());

    // Its outbox was lost, and another level is set: the same episode in other bytes.
    fs::rename(host.path("shipped/ep-1"), host.path("episodes/ep-1")).unwrap();
    host.settings.compression = serde_json::from_str(r#"{"level": 19}"#).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{:?}", host.told().await);
    assert_eq!((rig.rows().len(), host.names("shipped").len()), (2, 2));

    // The same name with other content: both are kept, and it is not tried for ever.
    host.record("ep-2", "a,b\n5,6\n", None);
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1));
    let told = host.told().await;
    assert!(
        told[0].starts_with("ep-2 review: the receiver has another episode of this name; both are kept: 409"),
        "{told:?}"
    );
    assert_eq!(
        (host.names("episodes"), host.names("outbox")),
        (vec!["ep-2".to_owned()], vec!["ep-2.tar.zst".to_owned()])
    );
    assert_eq!(host.pass().await.counts, Default::default(), "it is parked");
    // A person mended it, and says so.
    fs::remove_dir_all(host.path("episodes/ep-2")).unwrap();
    fs::remove_file(host.path("outbox/ep-2.tar.zst")).unwrap();
    host.record("ep-2", "a,b\n3,4\n", None);
    fs::write(host.path("episodes/ep-2").join(MARKER), "mended").unwrap();
    let report = host.pass().await;
    assert_eq!(report.counts.review, 1, "the marker is part of the episode, so it is another: {:?}", host.told().await);
}

#[tokio::test]
async fn a_receiver_that_is_away_is_a_checkpoint_and_the_next_pass_sends_the_same_bytes() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("ep-1", "x", None);
    let address = rig.address;
    let dir = rig.end().await;
    let report = host.pass().await;
    assert_eq!((report.reason, report.exit), (Reason::Network, ExitCode::Checkpoint), "{}", report.message);
    assert_eq!(
        (host.names("episodes"), host.names("outbox")),
        (vec!["ep-1".to_owned()], vec!["ep-1.tar.zst".to_owned()])
    );
    let packed = fs::read(host.path("outbox/ep-1.tar.zst")).unwrap();
    let rig = Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await;
    assert_eq!(host.pass().await.exit, ExitCode::Drained);
    assert_eq!(fs::read(rig.path("episodes/lab/ep-1.tar.zst")).unwrap(), packed);
}

#[tokio::test]
async fn one_bad_episode_does_not_hold_up_the_next() {
    let rig = Rig::real(Arc::new(Off), |settings| settings.limits.size = ByteSize::mib(1)).await;
    let host = Host::new(&rig);
    host.record("a-link", "x", None);
    std::os::unix::fs::symlink("/etc/hostname", host.path("episodes/a-link/link")).unwrap();
    host.record("b-large", "x", None);
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2 << 20).collect();
    fs::write(host.path("episodes/b-large/noise.bin"), noise).unwrap();
    host.mark("b-large");
    // A broken-off archive that an earlier pass left.
    fs::write(host.path("outbox/c-good.tar.zst"), "half").unwrap();
    for n in 0..4 {
        host.record(&format!("c-good-{n}"), "x", None);
    }
    host.record("c-good", "x", None);
    let report = host.pass().await;
    assert_eq!((report.counts.done, report.counts.review), (5, 2), "{}: {:?}", report.message, host.told().await);
    assert_eq!(host.names("episodes"), ["a-link", "b-large"]);
    let told = host.told().await;
    assert!(told.iter().any(|line| line.starts_with("a-link review: ") && line.contains("a symlink")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("b-large review: the receiver refuses it: 413")), "{told:?}");
}

#[tokio::test]
async fn one_that_cannot_be_retired_does_not_hold_up_the_next_and_where_none_can_it_is_the_disk() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    for id in ["a-in-the-way", "b-taken-away", "c-good", "d-good"] {
        host.record(id, id, None);
    }
    let address = rig.address;
    let dir = rig.end().await;
    assert_eq!(host.pass().await.reason, Reason::Network);
    assert!(host.names("outbox").contains(&"b-taken-away.tar.zst".to_owned()), "two are prepared at once");
    // A file has the name in `shipped`; and somebody removes an episode that is packed and not sent.
    fs::write(host.path("shipped/a-in-the-way"), "no directory").unwrap();
    fs::remove_dir_all(host.path("episodes/b-taken-away")).unwrap();
    let rig = Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await;
    let report = host.pass().await;
    let told = host.told().await;
    assert_eq!(report.exit, ExitCode::Checkpoint, "{}: {told:?}", report.message);
    assert_eq!(host.names("shipped"), ["a-in-the-way", "c-good", "d-good"], "{told:?}");
    let of = |id: &str| told.iter().find(|line| line.starts_with(id)).unwrap().clone();
    assert!(of("a-in-the-way").contains("cannot be compared"), "{told:?}");
    assert!(of("b-taken-away").contains("review: ") && of("b-taken-away").contains("the receiver has it"), "{told:?}");
    assert_eq!(host.names("episodes"), ["a-in-the-way"], "it is still here");
    assert_eq!(host.names("outbox"), ["a-in-the-way.tar.zst"]);
    assert_eq!(rig.rows().len(), 4, "all of them are there");
    fs::remove_file(host.path("shipped/a-in-the-way")).unwrap();
    assert_eq!(host.pass().await.exit, ExitCode::Drained, "{:?}", host.told().await);

    for n in 0..5 {
        host.record(&format!("e-{n}"), "x", None);
        fs::write(host.path(&format!("shipped/e-{n}")), "no directory").unwrap();
    }
    let report = host.pass().await;
    assert_eq!((report.exit, host.names("episodes").len()), (ExitCode::Failed, 5), "{}", report.message);
    assert_eq!(rig.rows().len(), 7, "they are not all sent for nothing");
}

#[tokio::test]
async fn one_that_fails_again_and_again_does_not_hold_up_what_is_finished_later() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("a-bad", "x", None);
    fs::write(host.path("shipped/a-bad"), "no directory").unwrap();
    for n in 0..12 {
        let later = format!("later-{n:02}");
        host.record(&later, "x", None);
        let report = host.pass().await;
        assert_eq!(report.counts.done, 1, "pass {n}: {} {:?}", report.message, host.told().await);
        assert!(host.names("shipped").contains(&later), "{:?}", host.names("shipped"));
    }
    assert_eq!(host.names("episodes"), ["a-bad"]);
    fs::remove_file(host.path("shipped/a-bad")).unwrap();
    assert_eq!(host.pass().await.exit, ExitCode::Drained, "{:?}", host.told().await);
}

#[tokio::test]
async fn three_episodes_with_the_same_refusal_halt_the_job() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let mut host = Host::new(&rig);
    host.settings.token = Some(SecretText::new("wrong"));
    for n in 0..5 {
        host.record(&format!("ep-{n}"), "x", None);
    }
    let report = host.pass().await;
    assert_eq!(report.exit, ExitCode::Halted, "{}", report.message);
    assert!(report.message.contains("3 different episodes got the same refusal: 401"), "{}", report.message);
    rig.assert_nothing_written();
    assert_eq!(host.names("episodes").len(), 5);
}

#[tokio::test]
async fn r12_old_code_parks_its_episode_and_the_rest_goes_on_until_it_is_accepted() {
    let repository = tempfile::tempdir().unwrap();
    let Some(commits) = code(&repository.path().join("code"), 4) else { return };
    let allowed = repository.path().join("allowed.jsonl");
    let (gate, door) = gated(&repository.path().join("code"), &allowed, 2).await;
    let rig = Rig::real(door, |_| {}).await;
    let host = Host::new(&rig);
    host.record("a-old", "x", Some(&commits[0]));
    for n in 0..4 {
        host.record(&format!("b-new-{n}"), "x", Some(&commits[3]));
    }
    let report = host.pass().await;
    assert_eq!((report.counts.done, report.counts.review), (4, 1), "{}: {:?}", report.message, host.told().await);
    let told = host.told().await;
    let old = told.iter().find(|line| line.starts_with("a-old")).unwrap();
    assert!(
        old.contains("review: the receiver does not accept the code that recorded it")
            && old.contains("what mends it: git pull; make install"),
        "{old}"
    );
    assert!(old.contains(&commits[0]) && old.contains(&commits[3]), "yours and the newest: {old}");
    assert_eq!(rig.rows().len(), 4);
    assert!(rig.rows().iter().all(|row| row["gate"].is_null()));
    assert_eq!(host.pass().await.counts, Default::default(), "it is parked");

    // An operator lets it in: it returns by itself.
    let now = host.engine.clock.now();
    let until = now + jiff::SignedDuration::from_hours(1);
    let (who, why) = ("bob".to_owned(), "queued before the upgrade".to_owned());
    let allow = highwater_episodes::gate::Allowed { commit: commits[0].parse().unwrap(), until, at: now, who, why };
    highwater_episodes::gate::allow(&allowed, &allow).unwrap();
    gate.refresh().await;
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{:?}", host.told().await);
    let rows = rig.rows();
    assert_eq!((rows[4]["gate"].as_str(), rows[4]["commit"].as_str()), (Some("allowed"), Some(commits[0].as_str())));
    assert!(EpisodeId::new("a-old").is_ok() && host.names("shipped").contains(&"a-old".to_owned()));
}

#[tokio::test]
async fn r12_old_code_that_sends_halts_the_job_until_it_is_other_code() {
    let repository = tempfile::tempdir().unwrap();
    let Some(commits) = code(&repository.path().join("code"), 4) else { return };
    let (_gate, door) = gated(&repository.path().join("code"), &repository.path().join("allowed.jsonl"), 2).await;
    let rig = Rig::real(door, |_| {}).await;
    let mut host = Host::new(&rig);
    fs::write(host.path("COMMIT"), &commits[0]).unwrap();
    host.settings.judge = highwater_episodes::gate::Judge::Ships;
    host.settings.code_commit =
        Some(highwater_episodes::ship::CodeCommit::At(highwater_engine::settings::FilePath::new(host.path("COMMIT"))));
    host.record("ep", "x", Some(&commits[1]));
    for _ in 0..2 {
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Halted, 0), "{}", report.message);
    }
    rig.assert_nothing_written();
    // What cannot be read shows nothing: it stays halted.
    fs::remove_file(host.path("COMMIT")).unwrap();
    let report = host.pass().await;
    assert_eq!(report.exit, ExitCode::Halted, "{}", report.message);
    fs::write(host.path("COMMIT"), format!("{} v2\n", commits[3])).unwrap();
    host.drains(1).await;
    assert_eq!(rig.rows()[0]["commit"], commits[1], "the row's commit is the recorded one");
    let events = host.engine.ledger.events(&EventFilter::default(), 10).await.unwrap();
    let rearm = events.iter().find(|event| event.act == "rearm").unwrap();
    assert!(rearm.why.starts_with("the code that sends is no longer "), "{}", rearm.why);
}

#[tokio::test(flavor = "multi_thread")]
async fn r01_one_outbox_is_one_pass_at_a_time_whatever_locks_there_are() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("ep", "x", None);
    // Somebody with another state directory.
    let other = fs::File::open(host.path("outbox")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let report = host.pass().await;
    assert_eq!((report.exit, report.reason), (ExitCode::Checkpoint, Reason::LockHeld), "{}", report.message);
    assert!(report.message.contains("another pass ships from the outbox "), "{}", report.message);
    assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]));
    drop(other);
    // A daemon's shipper has it while a pass works, and not between two.
    let ship = host.ship();
    let report = ship.clone().run(&host.engine, &host.spec, Mode::Run).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{}", report.message);
    let other = fs::File::open(host.path("outbox")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let report = ship.run(&host.engine, &host.spec, Mode::Run).await;
    assert_eq!(report.reason, Reason::LockHeld, "{}", report.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_free_between_two_passes_also_where_the_first_ended_before_it_did_anything() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("ep", "x", None);
    let (ship, now) = (host.ship(), host.engine.clock.now());
    let word = Word { at: now, who: Who("a test".to_owned()), why: "it was said".to_owned() };
    host.engine
        .ledger
        .extend_ban(&host.spec.resources[0].name, later(now, Duration::from_secs(600)), &word)
        .await
        .unwrap();
    // As a daemon that waits for the end of a ban.
    let report = Arc::clone(&ship).run(&host.engine, &host.spec, Mode::Run).await;
    assert_eq!(report.reason, Reason::BannedUntil, "{}", report.message);
    let other = fs::File::open(host.path("outbox")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    drop(ship);
}
