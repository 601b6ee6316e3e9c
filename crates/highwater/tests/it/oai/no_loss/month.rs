//! A backfill every half hour and a harvest every night, on one resource: whoever waits for the lock goes first.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::name::JobName;
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{PassReport, Reason};
use highwater_oai::backfill::Backfill;
use highwater_oai::settings::BackfillSettings;
use jiff::Timestamp;
use serde_json::json;

use super::world::{DAY, Far, PREFIX, World};

const DAYS: u32 = 30;
const HALF_HOUR: Duration = Duration::from_secs(30 * 60);
const SLOTS_A_DAY: u32 = 48;
/// The harvest comes a minute after a backfill has begun.
const NIGHT: Duration = Duration::from_secs(60);
const LOCK_WAIT: Duration = Duration::from_secs(45 * 60);
/// What a pass of the backfill may spend, and from one contact to the next: it takes 16 minutes.
const CONTACTS: u64 = 3;
const PACE: Duration = Duration::from_secs(8 * 60);
/// More than a month of backfills drains.
const RECORDS: u64 = 6000;

impl World {
    /// A backfill of every record there is, as a process of its own.
    fn backfill(&self, ids: &std::path::Path) -> Arc<Backfill> {
        let repository = json!({ "base-url": self.far.url(), "identifier-prefix": PREFIX });
        let settings: BackfillSettings =
            serde_json::from_value(json!({ "repository": repository, "ids": ids })).unwrap();
        Arc::new(Backfill::new(settings, self.place("backfill")))
    }
}

#[tokio::test]
async fn a_month_of_half_hourly_backfills_costs_no_night_its_harvest() {
    let mut world = World::new(Far { records: RECORDS, a_page: 1, ..Far::default() }).await;
    let ids = tempfile::NamedTempFile::new().unwrap();
    let all: String = (1..=RECORDS).rev().map(|number| format!("{number}\n")).collect();
    std::fs::write(ids.path(), all).unwrap();

    let mut backfill = world.ride.spec.clone();
    (backfill.name, backfill.kind) = (JobName::new("oai-backfill").unwrap(), "oai-backfill".to_owned());
    (backfill.recurring, backfill.budget.contacts) = (false, Some(CONTACTS));
    backfill.resources[0].pace.delay = PACE;
    backfill.resources[0].pacer = Arc::default();
    world.ride.spec.lock_wait = LOCK_WAIT;
    world.since("2026-02-28");

    let world = Arc::new(world);
    let (mut nights, mut passes) = (Vec::new(), Vec::new());
    let begun = world.server_now();
    for day in 0..DAYS {
        let mut harvest = None;
        for slot in 0..SLOTS_A_DAY {
            let due = begun + DAY * day + HALF_HOUR * slot;
            until(&world, due, harvest.as_ref()).await;
            world.repository.change(1);
            if slot == 0 {
                harvest = Some(tokio::spawn(night(Arc::clone(&world), due + NIGHT)));
            }
            let pass = async || world.backfill(ids.path()).run(&world.ride.engine, &backfill, Mode::Run).await;
            passes.push(pass().await);
            if slot == 0 {
                // Another is there the moment that this one ends, and the harvest is first all the same.
                passes.push(pass().await);
            }
        }
        nights.push(harvest.unwrap().await.unwrap());
    }
    for (night, report) in nights.iter().enumerate() {
        assert_eq!(report.reason, Reason::Drained, "night {night}: {}", report.message);
    }
    let waited: Vec<u64> = nights.iter().map(|night| night.times.lock_us / 60_000_000).collect();
    assert!(
        waited.iter().all(|minutes| (1..45).contains(minutes)),
        "each night a backfill was there first: {waited:?}"
    );
    let whole = passes.iter().filter(|pass| pass.spent.contacts == CONTACTS).count();
    let away = passes.iter().filter(|pass| matches!(pass.reason, Reason::LockHeld | Reason::Yielded)).count();
    eprintln!(
        "{} backfills, {whole} of them whole, {away} gave way; the nights waited {waited:?} minutes",
        passes.len()
    );
    assert_eq!((whole, away), (passes.len() - nights.len(), nights.len()));

    // What is left of the backlog at once; then both together have all there is.
    backfill.budget.contacts = None;
    let last = world.backfill(ids.path()).run(&world.ride.engine, &backfill, Mode::Run).await;
    assert_eq!(last.reason, Reason::Drained, "{}", last.message);
    world.is_whole_after_a_calm_night().await;
}

/// Waits until it is so late; while nobody is at work time flies.
async fn until(world: &World, due: Timestamp, at_work: Option<&tokio::task::JoinHandle<PassReport>>) {
    while world.server_now() < due {
        match at_work.filter(|task| !task.is_finished()) {
            Some(_) => tokio::task::yield_now().await,
            None => world.advance(Duration::try_from(due.duration_since(world.server_now())).unwrap()),
        }
    }
}

/// The harvest of a night, which comes while a backfill is at work.
async fn night(world: Arc<World>, due: Timestamp) -> PassReport {
    while world.server_now() < due {
        tokio::task::yield_now().await;
    }
    world.night().await
}
