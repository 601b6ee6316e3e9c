//! What a running pass obeys: exact, from any process.

use highwater_engine::ban::Ban;
use highwater_engine::ledger::{Control, ItemFilter, Ledger};
use highwater_engine::outcome::OutcomeKind::{Done, Review};

use super::Home;
use super::world::{World, at, entry, job_name, keys, word};

pub(crate) async fn a_pass_sees_at_once_what_another_process_changed(home: &dyn Home) {
    let world = World::new(home).await;
    let other = home.open().await;
    changes_are_seen_by_the_next_call(&world, &*other).await;
}

pub(crate) async fn a_pass_sees_at_once_what_its_own_process_changed(home: &dyn Home) {
    let world = World::new(home).await;
    changes_are_seen_by_the_next_call(&world, &*world.ledger).await;
}

async fn changes_are_seen_by_the_next_call(world: &World, other: &dyn Ledger) {
    let worklist = world.pin(["a", "b"]).await;
    world.record(worklist, vec![entry(0, Review)]).await;
    let resources = [world.resource.clone()];
    let control = async || world.ledger.control(&world.job, &resources).await.unwrap();
    let Control { halted, paused, bans, overrides, version } = control().await;
    assert_eq!((halted, paused, bans.as_slice(), overrides.len()), (false, false, [].as_slice(), 0));

    other.halt(&world.job, &word(1, "look"), "").await.unwrap();
    assert!(control().await.halted);
    other.rearm(&world.job, &word(2, "seen")).await.unwrap();
    assert!(!control().await.halted);
    other.pause(&world.job, &word(3, "wait")).await.unwrap();
    assert!(control().await.paused);
    other.resume(&world.job, &word(4, "go")).await.unwrap();
    assert!(!control().await.paused);
    other.extend_ban(&world.resource, at(100), &word(5, "429")).await.unwrap();
    let word_of_ban = word(5, "429");
    let ban = Ban { until: at(100), at: at(5), who: word_of_ban.who, why: word_of_ban.why };
    assert_eq!(control().await.bans, [(world.resource.clone(), ban)]);
    other.lift_ban(&world.resource, &word(6, "over")).await.unwrap();
    assert!(control().await.bans.is_empty());
    other.set_overrides(&world.job, &[("pace".into(), "5s".into())], &word(6, "slower")).await.unwrap();
    let set = control().await.overrides;
    assert_eq!(set.iter().map(|o| (o.key.as_str(), o.value.as_str())).collect::<Vec<_>>(), [("pace", "5s")]);
    other.unset_overrides(&world.job, &[], &word(6, "")).await.unwrap();
    assert!(control().await.overrides.is_empty());
    assert_eq!(control().await.version, version, "no item was changed");

    other.skip_items(&world.job, &keys(["b"]), &word(7, "no")).await.unwrap();
    let skipped = control().await.version;
    assert!(skipped > version);
    other.retry_items(&world.job, &ItemFilter::Outcome("review".into()), &word(8, "again")).await.unwrap();
    let retried = control().await.version;
    assert!(retried > skipped);
    assert_eq!(control().await, control().await);
}

pub(crate) async fn recording_does_not_move_the_version(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b"]).await;
    let before = world.ledger.control(&world.job, &[]).await.unwrap();
    world.record_kinds(worklist, &[Done, Review]).await;
    assert_eq!(world.ledger.control(&world.job, &[]).await.unwrap(), before);
    // Each asks for its own: another job, another set of resources.
    world.ledger.extend_ban(&world.resource, at(100), &word(5, "429")).await.unwrap();
    assert!(world.ledger.control(&world.job, &[]).await.unwrap().bans.is_empty());
    assert_eq!(world.ledger.control(&world.job, std::slice::from_ref(&world.resource)).await.unwrap().bans.len(), 1);
    assert_eq!(world.ledger.control(&job_name("nobody"), &[]).await.unwrap(), Control::default());
}
