//! What is in hand and ready is committed in plan order, alone or together with its neighbours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem as _};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::settings::{BreakerSettings, Count, JobSettings, Percent};
use highwater_engine::spec::JobSpec;
use highwater_testkit::named::{Named, names};
use proptest::prelude::*;
use tokio::sync::watch;

use super::House;

/// What a preparation waits for, and what it comes to.
#[derive(Clone, Copy)]
struct Way {
    /// How many items are prepared before it.
    after: usize,
    comes_to: Option<OutcomeKind>,
}

/// A job whose preparations end in an order of their own.
struct Ordered {
    ways: BTreeMap<&'static str, Way>,
    names: Vec<&'static str>,
    prepared: watch::Sender<usize>,
    group_items_max: usize,
    /// What commits were asked for, each by the names of its items.
    committed: Mutex<Vec<String>>,
    /// Instead of a commit of several.
    answers: Mutex<Option<Result<Vec<Outcome>, Stop>>>,
}

impl Ordered {
    fn new(ways: impl IntoIterator<Item = (&'static str, usize, Option<OutcomeKind>)>) -> Self {
        let (mut names, mut of) = (Vec::new(), BTreeMap::new());
        for (name, after, comes_to) in ways {
            names.push(name);
            of.insert(name, Way { after, comes_to });
        }
        Self {
            ways: of,
            names,
            prepared: watch::Sender::new(0),
            group_items_max: 1,
            committed: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    fn committed(&self) -> Vec<String> {
        std::mem::take(&mut self.committed.lock().unwrap())
    }
}

impl Job for Ordered {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names(self.names.clone())
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        let way = self.ways[item.name()];
        self.prepared.subscribe().wait_for(|so_many| *so_many >= way.after).await.unwrap();
        // What comes after is known by then, and not only prepared.
        cx.clock.sleep(Duration::from_millis(50)).await;
        self.prepared.send_modify(|so_many| *so_many += 1);
        Ok(way.comes_to.map_or(Attempt::Ready(()), |kind| Attempt::Outcome(Outcome::because(kind, "bad"))))
    }

    async fn commit(&self, _: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        self.committed.lock().unwrap().push(item.name().to_owned());
        Ok(Outcome::done())
    }

    fn group_items_max(&self) -> usize {
        self.group_items_max
    }

    async fn commit_group(&self, _: &mut CommitCx, group: Vec<(Arc<Named>, ())>) -> Result<Vec<Outcome>, Stop> {
        let names: Vec<_> = group.iter().map(|(item, ())| item.name()).collect();
        self.committed.lock().unwrap().push(names.join(" "));
        let answer = self.answers.lock().unwrap().take();
        answer.unwrap_or_else(|| Ok(vec![Outcome::done(); group.len()]))
    }
}

/// A pass, which must not hang.
async fn pass(house: &House, job: &Arc<Ordered>, spec: &JobSpec) -> PassReport {
    let pass = job.run(&house.engine, spec, Mode::Run);
    tokio::time::timeout(Duration::from_secs(60), pass).await.expect("the pass ends")
}

/// Six items of which the first is ready last of those in hand, and the fourth is judged by its preparation.
fn six(group_items_max: usize) -> Ordered {
    let in_hand = if group_items_max == 1 { 5 } else { 6 };
    let ways =
        [("a", in_hand - 1, None), ("b", 0, None), ("c", 0, None), ("d", 0, Some(OutcomeKind::Gone)), ("e", 0, None)];
    let all = ways.into_iter().chain([("f", 0, None)]);
    Ordered { group_items_max, ..Ordered::new(all) }
}

fn wide(house: &House, failed_after: u64) -> JobSpec {
    let breaker = BreakerSettings {
        failed: Percent::whole(5),
        failed_after: Count::new(failed_after).unwrap(),
        ..BreakerSettings::default()
    };
    let settings = JobSettings { breaker, ..JobSettings::default() };
    JobSpec { concurrency: 4, ..JobSpec::new(house.spec.name.clone(), "ordered", Vec::new(), &settings) }
}

#[tokio::test]
async fn one_that_is_ready_is_committed_although_a_later_one_failed_already() {
    let house = House::new();
    let job = Arc::new(Ordered::new([("first", 0, None), ("slow", 2, None), ("bad", 0, Some(OutcomeKind::Failed))]));
    let spec = wide(&house, 2);
    let report = pass(&house, &job, &spec).await;
    assert_eq!((report.reason, report.exit), (Reason::Halted, ExitCode::Halted));
    assert_eq!((report.counts.done, report.counts.retry), (2, 1));
}

#[tokio::test]
async fn r13_neighbours_that_are_ready_together_are_one_commit_in_plan_order() {
    for group_items_max in [1, 2, 3, 64] {
        let house = House::new();
        let job = Arc::new(six(group_items_max));
        let report = pass(&house, &job, &wide(&house, 50)).await;
        assert_eq!((report.reason, report.counts.done, report.counts.gone), (Reason::Drained, 5, 1));
        let commits = job.committed();
        assert_eq!(commits.join(" "), "a b c e f");
        // Those behind the first were ready before it.
        let largest = commits.iter().map(|names| names.split(' ').count()).max().unwrap();
        assert!((group_items_max.min(2)..=group_items_max).contains(&largest), "{commits:?}");
    }
}

#[tokio::test]
async fn r05_a_stop_of_a_commit_of_several_leaves_them_unattempted_and_what_was_known_is_recorded() {
    let short = (Ok(vec![Outcome::done(); 4]), "HW-BUG-001");
    let stop = (Err(Stop::checkpoint(Reason::Checkpoint, "the disk is full")), "the disk is full");
    for (answer, told) in [stop, short] {
        let house = House::new();
        let job = Arc::new(six(64));
        *job.answers.lock().unwrap() = Some(answer);
        let report = pass(&house, &job, &wide(&house, 50)).await;
        assert!(format!("{report:?}").contains(told), "{report:?}");
        assert_eq!((report.counts.done, report.counts.retry, report.counts.gone), (0, 0, 1));
        assert_eq!(job.committed().len(), 1, "nothing is committed after it");
        let report = pass(&house, &job, &wide(&house, 50)).await;
        assert_eq!((report.reason, report.counts.done), (Reason::Drained, 5));
        assert_eq!(job.committed().join(" "), "a b c e f");
    }
}

/// What an item of a random list does: how long it is prepared, in milliseconds, and what it comes to.
fn list() -> impl Strategy<Value = Vec<(u64, Option<OutcomeKind>)>> {
    let kind = prop_oneof![
        6 => Just(None),
        1 => Just(Some(OutcomeKind::Failed)),
        1 => Just(Some(OutcomeKind::Review)),
        1 => Just(Some(OutcomeKind::Gone)),
        1 => Just(Some(OutcomeKind::Deferred)),
        1 => Just(Some(OutcomeKind::Present)),
    ];
    proptest::collection::vec((0_u64..4, kind), 1..24)
}

/// A job of such a list.
struct Random {
    list: Vec<(u64, Option<OutcomeKind>)>,
    group_items_max: usize,
    committed: Mutex<Vec<usize>>,
}

fn number(item: &Named) -> usize {
    item.name().parse().unwrap()
}

impl Job for Random {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        let names: Vec<String> = (0..self.list.len()).map(|number| number.to_string()).collect();
        futures::stream::iter(names.into_iter().map(|name| {
            Named::decode(&ItemKey::new(name).unwrap(), &[]).map_err(|_| unreachable!("a name is an item's"))
        }))
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Named>) -> Result<Attempt<()>, Stop> {
        let (millis, comes_to) = self.list[number(&item)];
        cx.clock.sleep(Duration::from_millis(millis)).await;
        Ok(comes_to.map_or(Attempt::Ready(()), |kind| Attempt::Outcome(Outcome::because(kind, "so"))))
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        // A commit of its own length, so that others become ready meanwhile.
        cx.read.clock.sleep(Duration::from_millis(1)).await;
        self.committed.lock().unwrap().push(number(item));
        Ok(Outcome::done())
    }

    fn group_items_max(&self) -> usize {
        self.group_items_max
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever takes how long and comes to what: no pass hangs, and every commit is in plan order.
    #[test]
    fn r13_every_pass_ends_and_commits_in_plan_order(
        list in list(), group_items_max in 1_usize..6, concurrency in 1_usize..6, failed_after in 1_u64..6,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let spec = JobSpec { concurrency, ..wide(&house, failed_after) };
            let ready = list.iter().filter(|(_, kind)| kind.is_none()).count();
            let job = Arc::new(Random { list, group_items_max, committed: Mutex::default() });
            let pass = job.run(&house.engine, &spec, Mode::Run);
            let report = tokio::time::timeout(Duration::from_secs(60), pass).await.expect("the pass ends");
            let committed = job.committed.lock().unwrap().clone();
            prop_assert!(committed.is_sorted(), "{committed:?}");
            prop_assert_eq!(committed.len(), usize::try_from(report.counts.done).unwrap());
            prop_assert!(report.reason == Reason::Halted || committed.len() == ready, "{:?}", report);
            Ok(())
        })?;
    }
}
