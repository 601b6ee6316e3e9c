//! A paced GET that meets 429 and bans: the shape of an OAI-PMH harvest.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use highwater_engine::ban::BanFile;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pace::Pace;
use highwater_engine::report::Reason;
use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};
use highwater_testkit::sim_clock::SimClock;
use jiff::Timestamp;

use super::Ride;
use highwater_testkit::named::{Named, names};

struct PacedGet {
    base: String,
    resource: ResourceName,
    items: usize,
}

impl Job for PacedGet {
    type Item = Named;
    type Prepared = Vec<u8>;

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names((0..self.items).map(|n| format!("record-{n}")))
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Named>) -> Result<Attempt<Vec<u8>>, Stop> {
        let url = format!("{}{}", self.base, item.name());
        let response = match cx.contacts.send(&self.resource, |http| http.get(&url)).await? {
            Ok(response) => response,
            Err(unanswered) => {
                return Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Deferred, unanswered.to_string())));
            }
        };
        if response.status() == 404 {
            return Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Gone, "404")));
        }
        let body = response.bytes().await.expect("a whole body");
        Ok(Attempt::Ready(body.to_vec()))
    }

    fn weight(&self, ready: &Vec<u8>) -> u64 {
        ready.len() as u64
    }

    /// What was fetched is not asked for again, although the pass ends before it is committed.
    fn keep(&self, ready: &Vec<u8>) -> Option<Vec<u8>> {
        Some(ready.clone())
    }

    fn recall(&self, _: &Named, kept: &[u8]) -> Option<Vec<u8>> {
        Some(kept.to_vec())
    }

    async fn commit(&self, _: &mut CommitCx, _: &Named, ready: Vec<u8>) -> Result<Outcome, Stop> {
        assert_eq!(ready, b"record");
        Ok(Outcome::done())
    }
}

async fn ride(answers: Vec<Answer>, items: usize) -> (Ride, Arc<PacedGet>, FaultyHttp, Arc<SimClock>) {
    let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
    let mut ride = Ride::new("paced-get", clock.shared());
    ride.spec.concurrency = 1;
    ride.spec.resources[0].pace = Pace { delay: Duration::from_secs(3), jitter: 0.0 };
    let far = FaultyHttp::start(in_turn(answers)).await.unwrap();
    let job = PacedGet { base: far.url("/"), resource: ride.resource.clone(), items };
    (ride, Arc::new(job), far, clock)
}

fn ok() -> Answer {
    Answer::ok("record")
}

#[tokio::test]
async fn r02_a_long_retry_after_ends_the_pass_and_keeps_every_later_one_away_until_it_is_over() {
    let banned = Answer::status(429).header("retry-after", "3600");
    let (ride, job, far, clock) = ride(vec![ok(), ok(), banned, ok(), ok(), ok()], 5).await;
    let report = ride.pass(&job).await;
    let first = report.counts.done;
    // What was ready when the ban came may be left to the next pass, as its commit may be a contact too.
    assert!(report.reason == Reason::BannedUntil && first <= 2, "{first} {}", report.message);
    assert_eq!(far.requests().len(), 3);
    for _ in 0..4 {
        assert_eq!(ride.pass(&job).await.reason, Reason::BannedUntil);
    }
    assert_eq!(far.requests().len(), 3, "no contact while it stands");
    clock.advance(Duration::from_secs(3601));
    let report = ride.pass(&job).await;
    assert_eq!(
        (report.reason, report.counts.done, far.requests().len()),
        (Reason::Drained, 5 - first, 6),
        "none is asked twice"
    );
}

#[tokio::test]
async fn r02_a_short_retry_after_is_waited_out_once_and_then_the_pass_ends() {
    let short = || Answer::status(503).header("retry-after", "20");
    let (ride, job, far, _) = ride(vec![ok(), short(), ok(), ok(), short(), short(), ok(), ok()], 5).await;
    let report = ride.pass(&job).await;
    let first = report.counts.done;
    assert_eq!((report.reason, first), (Reason::BannedUntil, 2), "{}", report.message);
    assert_eq!(report.spent.contacts, 3);
    // The next pass may wait once again; a second refusal ends it with the item unattempted.
    let report = ride.pass(&job).await;
    assert!(report.reason == Reason::BannedUntil && report.counts.done <= 1, "{}", report.message);
    assert_eq!(far.requests().len(), 6);
}

#[tokio::test]
async fn a_pass_keeps_its_pace_and_a_far_side_that_does_not_answer_counts_no_attempt() {
    let (ride, job, far, clock) = ride(vec![ok(), Answer::hang_up(), ok(), Answer::status(404), ok()], 4).await;
    let begun = highwater_engine::clock::Clock::elapsed(&*clock);
    let report = ride.pass(&job).await;
    assert_eq!(
        (report.reason, report.counts.done, report.counts.gone, report.counts.retry),
        (Reason::RetryLeft, 2, 1, 1)
    );
    let took = highwater_engine::clock::Clock::elapsed(&*clock) - begun;
    assert!(took >= Duration::from_secs(9), "four contacts, three pauses of 3 s: {took:?}");
    let job_row = ride.engine.ledger.job(&ride.spec.name).await.unwrap().unwrap();
    assert_eq!(job_row.worklist.unwrap().tally.judged, 3, "a deferral is not judged");
    assert_eq!(ride.pass(&job).await.reason, Reason::Drained);
    drop(far);
}

#[tokio::test]
async fn r02_a_ban_file_is_honoured_and_extended_for_programs_that_keep_no_ledger() {
    let banned = Answer::status(429).header("retry-after", "7200");
    let (mut ride, job, far, clock) = ride(vec![ok(), banned, ok(), ok()], 3).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("retry-after");
    ride.spec.resources[0].ban_file = Some(BanFile::new(&path));
    let ends = |text: &str| text.trim().parse::<Timestamp>().unwrap();

    // Another program was told to wait: its word counts here too, and the ledger learns it.
    std::fs::write(&path, "2026-11-20T13:00:00Z\n").unwrap();
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.until), (Reason::BannedUntil, Some(ends("2026-11-20T13:00:00Z"))));
    assert_eq!(far.requests().len(), 0, "no contact while it stands");
    let ban = ride.engine.ledger.resource(&ride.resource).await.unwrap().ban.expect("known to the ledger");
    assert_eq!((ban.until, ban.who.0.as_str()), (ends("2026-11-20T13:00:00Z"), "ban-file"));

    // What is said to us is written for the other program; a sooner end that it writes itself changes nothing here. The file
    // knows whole seconds only, and so ends a little later than what was said.
    clock.advance(Duration::from_millis(3_601_500));
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, far.requests().len()), (Reason::BannedUntil, 2));
    let told = ends(&std::fs::read_to_string(&path).unwrap());
    assert!(told >= report.until.unwrap(), "{told}");
    std::fs::write(&path, "2026-11-20T13:00:00Z\n").unwrap();
    assert_eq!(ride.pass(&job).await.reason, Reason::BannedUntil);
    assert!(ends(&std::fs::read_to_string(&path).unwrap()) >= told, "the later end is there again");
    assert_eq!(far.requests().len(), 2);

    // One that nobody can read stops everything.
    clock.advance(Duration::from_secs(7201));
    std::fs::write(&path, "later").unwrap();
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.diagnosis.map(|d| d.code)), (Reason::Refused, Some("HW-BAN-001")));
    assert_eq!(far.requests().len(), 2);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ride.pass(&job).await.reason, Reason::Drained);
}

#[tokio::test]
async fn r02_a_short_ban_is_waited_out_although_the_ban_file_rounds_it_up() {
    let short = Answer::status(503).header("retry-after", "20");
    let (mut ride, job, far, clock) = ride(vec![ok(), short, ok(), ok(), ok()], 4).await;
    let dir = tempfile::tempdir().unwrap();
    ride.spec.resources[0].ban_file = Some(BanFile::new(dir.path().join("retry-after")));
    clock.advance(Duration::from_millis(250));
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.counts.done), (Reason::BannedUntil, 2), "{}", report.message);
    assert_eq!(far.requests().len(), 3);
}
