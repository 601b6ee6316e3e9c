//! A PUT with a body prepared in parallel: the shape of shipping episodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::Stream;
use highwater_engine::clock::SystemClock;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use highwater_testkit::faulty_http::{Answer, FaultyHttp};

use super::Ride;
use highwater_testkit::named::{Named, names};

const ITEMS: usize = 24;

struct PutBody {
    base: String,
    resource: ResourceName,
    preparing: AtomicUsize,
    at_once: AtomicUsize,
    prepared: AtomicUsize,
}

impl Job for PutBody {
    type Item = Named;
    type Prepared = Vec<u8>;

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names((0..ITEMS).map(|n| format!("episode-{n:02}")))
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Named>) -> Result<Attempt<Vec<u8>>, Stop> {
        let now = self.preparing.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.fetch_max(now, Ordering::SeqCst);
        // Later items are ready sooner than earlier ones.
        let n: u64 = item.name()[8..].parse().expect("a number");
        cx.clock.sleep(Duration::from_millis(40 - 10 * (n % 4))).await;
        self.preparing.fetch_sub(1, Ordering::SeqCst);
        self.prepared.fetch_add(1, Ordering::SeqCst);
        Ok(Attempt::Ready(format!("body of {}", item.name()).into_bytes()))
    }

    fn keep(&self, ready: &Vec<u8>) -> Option<Vec<u8>> {
        Some(ready.clone())
    }

    fn recall(&self, _: &Named, kept: &[u8]) -> Option<Vec<u8>> {
        Some(kept.to_vec())
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Named, ready: Vec<u8>) -> Result<Outcome, Stop> {
        let url = format!("{}{}", self.base, item.name());
        let contacts = Arc::clone(&cx.read.contacts);
        match contacts.send(&self.resource, |http| http.put(&url).body(ready.clone())).await? {
            Ok(response) if response.status().is_success() => Ok(Outcome::done()),
            Ok(response) => Ok(Outcome::because(OutcomeKind::Review, response.status().to_string())),
            Err(unanswered) => Err(Stop::checkpoint(Reason::Network, unanswered.to_string())),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_bodies_are_prepared_in_parallel_and_put_in_plan_order_and_kept_over_a_stop() {
    // The tenth PUT finds the receiver gone; every other is taken.
    let mut seen = 0;
    let far = FaultyHttp::start(move |_| {
        seen += 1;
        if seen == 10 { Answer::hang_up() } else { Answer::status(201) }
    })
    .await
    .unwrap();
    let ride = Ride::new("put-body", SystemClock::shared());
    let job = Arc::new(PutBody {
        base: far.url("/"),
        resource: ride.resource.clone(),
        preparing: AtomicUsize::new(0),
        at_once: AtomicUsize::new(0),
        prepared: AtomicUsize::new(0),
    });
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.counts.done), (Reason::Network, 9), "{}", report.message);
    let prepared = job.prepared.load(Ordering::SeqCst);
    assert!(job.at_once.load(Ordering::SeqCst) > 1, "preparation is parallel");
    assert!(prepared <= 9 + 1 + ride.spec.concurrency, "no more than the window runs ahead: {prepared}");
    assert_eq!(ride.outcomes().await["episode-09"], "open", "the item in hand is left unattempted");

    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.counts.done), (Reason::Drained, 15), "{}", report.message);
    assert_eq!(
        job.prepared.load(Ordering::SeqCst),
        ITEMS,
        "what was ready when the pass stopped was not prepared again"
    );
    let mut paths: Vec<_> = far.requests().into_iter().map(|r| r.path).collect();
    let lost = paths.remove(9);
    assert_eq!(lost, "/episode-09");
    assert!(paths.is_sorted() && paths.len() == ITEMS, "{paths:?}");
}
