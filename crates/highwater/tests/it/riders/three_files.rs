//! A commit of three files through `Fs`: the shape of a knowledge base. The disk is simulated and crashes at every operation.

use std::sync::Arc;

use futures::Stream;
use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::outcome::Outcome;
use highwater_engine::report::{ExitCode, Reason};
use highwater_fs::{Fs, Journal, JournalError, Mode, Quarantine, RelPath};
use highwater_testkit::sim_fs::{SimFs, Survival};

use super::Ride;
use highwater_testkit::named::{Named, names};

const DOCUMENTS: usize = 2;
const BYTES_MAX: u64 = 1 << 16;

struct ThreeFiles {
    disk: SimFs,
}

fn at(path: &str) -> RelPath {
    RelPath::new(path).expect("a path inside")
}

fn failed(error: &JournalError) -> Stop {
    Stop::Fail(Diagnosis::failure("HW-TST-002", error.to_string(), "look at the disk"))
}

impl ThreeFiles {
    fn text(&self, path: &str) -> String {
        let bytes = self.disk.read(&at(path), BYTES_MAX).unwrap_or_default();
        String::from_utf8(bytes).expect("a page is never torn")
    }

    fn with_journal<T>(&self, act: impl FnOnce(&Journal<'_>) -> Result<T, JournalError>) -> Result<T, Stop> {
        let quarantine = Quarantine::new(&self.disk, at("quarantine"));
        let journal = Journal::open(&self.disk, at("journal"), quarantine).map_err(|e| failed(&e))?;
        act(&journal).map_err(|e| failed(&e))
    }
}

impl Job for ThreeFiles {
    type Item = Named;
    type Prepared = String;

    async fn recover(&self, _: &mut CommitCx) -> Result<(), Stop> {
        self.with_journal(|journal| journal.recover().map(drop))
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names((0..DOCUMENTS).map(|n| format!("doc-{n}")))
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Named>) -> Result<Attempt<String>, Stop> {
        Ok(Attempt::Ready(format!("# {}\n", item.name())))
    }

    /// Idempotent: a document that an earlier pass committed without recording it is not listed twice.
    async fn commit(&self, _: &mut CommitCx, item: &Named, page: String) -> Result<Outcome, Stop> {
        let line = format!("- [[{}]]\n", item.name());
        let (index, log) = (self.text("wiki/index.md"), self.text("wiki/log.md"));
        if index.contains(&line) {
            return Ok(Outcome::done());
        }
        let (index, log) = (index + &line, log + &line);
        self.with_journal(|journal| {
            journal
                .begin()?
                .write(&at(&format!("wiki/{}.md", item.name())), Mode::Umask, page.as_bytes())?
                .write(&at("wiki/index.md"), Mode::Umask, index.as_bytes())?
                .write(&at("wiki/log.md"), Mode::Umask, log.as_bytes())?
                .commit()
        })?;
        Ok(Outcome::done())
    }
}

/// Every document of the index has its page, and the log says the same.
fn is_whole(job: &ThreeFiles) {
    let index = job.text("wiki/index.md");
    assert_eq!(index, job.text("wiki/log.md"));
    for n in 0..DOCUMENTS {
        let listed = index.matches(&format!("[[doc-{n}]]")).count();
        let page = job.text(&format!("wiki/doc-{n}.md"));
        assert_eq!(page, if listed == 1 { format!("# doc-{n}\n") } else { String::new() }, "listed {listed} times");
    }
}

#[tokio::test]
async fn r05_three_files_are_one_change_whatever_operation_the_disk_crashes_at() {
    let mut crashes = 0;
    for operation in 0.. {
        let mut crashed = false;
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::MetadataOnly,
            Survival::DataOnly,
            Survival::TornData,
            Survival::Random(operation as u64),
        ] {
            let ride = Ride::new("three-files", SystemClock::shared());
            let disk = SimFs::new();
            disk.crash_at(operation);
            let job = Arc::new(ThreeFiles { disk: disk.clone() });
            let report = ride.pass(&job).await;
            crashed = disk.has_crashed();
            // A crash while what is no longer needed is cleared away does not undo what was done.
            let done = report.exit == ExitCode::Drained;
            assert!(done || (crashed && report.exit == ExitCode::Failed), "{}", report.message);
            let acknowledged = ride.engine.ledger.job(&ride.spec.name).await.unwrap().and_then(|j| j.worklist);

            let job = Arc::new(ThreeFiles { disk: disk.reboot(survival) });
            job.with_journal(|journal| journal.recover().map(drop)).unwrap();
            is_whole(&job);
            let pages = job.text("wiki/index.md").lines().count() as u64;
            assert!(pages >= acknowledged.map_or(0, |w| w.tally.done), "what is recorded as done is there");
            let report = ride.pass(&job).await;
            let expected = if done { Reason::AlreadyDrained } else { Reason::Drained };
            assert_eq!(report.reason, expected, "{}", report.message);
            assert_eq!(job.text("wiki/index.md").lines().count(), DOCUMENTS);
            is_whole(&job);
            crashes += usize::from(crashed);
        }
        if !crashed {
            break;
        }
    }
    assert!(crashes > 100, "{crashes} crashes");
}
