//! A preparation that panics is a bug of its job, and ends the pass as one: what stands before it in plan order is committed, it and
//! what stands behind it are untried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::Stream;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::outcome::Outcome;
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::spec::JobSpec;
use highwater_testkit::named::{Named, names};

use super::{Asked, House};

/// A job that cannot prepare its third item until it is mended.
#[derive(Default)]
struct Buggy {
    asked: Asked,
    mended: AtomicBool,
}

impl Job for Buggy {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names(["one", "two", "three", "four", "five"])
    }

    async fn prepare(&self, _: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        assert!(item.name() != "three" || self.mended.load(Ordering::SeqCst), "a bug of the job");
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, _: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        self.asked.note(item.name());
        Ok(Outcome::done())
    }
}

#[tokio::test]
async fn r13_a_preparation_that_panics_ends_the_pass_and_nothing_behind_it_is_committed() {
    for concurrency in [1, 2, 4] {
        let house = House::new();
        let spec = JobSpec { concurrency, ..house.spec.clone() };
        let job = Arc::new(Buggy::default());
        let report = job.run(&house.engine, &spec, Mode::Run).await;
        assert_eq!((report.reason, report.exit), (Reason::Failed, ExitCode::Failed));
        let diagnosis = report.diagnosis.unwrap();
        assert_eq!(diagnosis.code, "HW-BUG-001");
        assert!(diagnosis.message.starts_with("preparing item 3 broke off: "), "{}", diagnosis.message);
        assert_eq!((std::mem::take(&mut *job.asked.0.lock().unwrap()), report.counts.done), (words(["one", "two"]), 2));

        job.mended.store(true, Ordering::SeqCst);
        assert_eq!(job.run(&house.engine, &spec, Mode::Run).await.reason, Reason::Drained);
        assert_eq!(*job.asked.0.lock().unwrap(), words(["three", "four", "five"]));
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
