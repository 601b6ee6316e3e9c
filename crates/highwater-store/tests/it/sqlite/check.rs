//! `ledger check`: silent on a good ledger, and not on a bad one.

use highwater_engine::ledger::ItemFilter;
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone, Present, Review};
use highwater_store::CheckLine;

use super::home::SqliteHome;
use crate::conformance::world::{World, keys, word};

/// What is wrong with a ledger.
pub(crate) async fn wrong(home: &SqliteHome) -> Vec<String> {
    let lines: Vec<CheckLine> = home.ledger().check().await.unwrap();
    assert!(lines.len() > 1);
    lines.into_iter().filter(|line| !line.ok).map(|line| line.text).collect()
}

/// A ledger with something of everything.
async fn lived_in() -> SqliteHome {
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    let drained = world.pin(["x"]).await;
    world.record_kinds(drained, &[Done]).await;
    world.seal(drained).await;
    let worklist = world.pin(["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    world.record_kinds(worklist, &[Done, Gone, Present, Review, Failed, Deferred]).await;
    world.ledger.skip_items(&world.job, &keys(["g"]), &word(5, "no")).await.unwrap();
    world.ledger.retry_items(&world.job, &ItemFilter::Keys(keys(["b"])), &word(6, "again")).await.unwrap();
    world.ledger.halt(&world.job, &word(7, "look"), "").await.unwrap();
    world.ledger.rearm(&world.job, &word(8, "seen")).await.unwrap();
    world.record_kinds(worklist, &[Done, Done]).await;
    home
}

#[tokio::test]
async fn a_good_ledger_checks_out() {
    assert_eq!(wrong(&lived_in().await).await, Vec::<String>::new());
    let lines = lived_in().await.ledger().check().await.unwrap();
    let shown: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert!(shown.contains(&"ok: worklist 2 of job books: 8 items, as its figures say".to_owned()), "{shown:?}");
}

#[tokio::test]
async fn whatever_is_planted_is_found() {
    for (plant, found) in [
        ("UPDATE worklist SET done = done + 1 WHERE id = 2", "its figures are 3 done"),
        ("UPDATE worklist SET failed = failed + 1 WHERE id = 2", "its figures are"),
        ("UPDATE worklist SET total = total + 1 WHERE id = 2", "8 items, expected 9"),
        ("DELETE FROM item WHERE worklist = 2 AND position = 3", "7 items, expected 8"),
        ("DELETE FROM item_key WHERE worklist = 2 AND position = 3", "7 items in the index by key, expected 8"),
        ("DELETE FROM untried WHERE worklist = 2 AND position = 7", "7 items that are untried or have an outcome"),
        ("DELETE FROM standing WHERE worklist = 2 AND position = 0", "7 items that are untried or have an outcome"),
        ("INSERT INTO untried VALUES (2, 0)", "1 items that are both untried and not, expected 0"),
        ("UPDATE standing SET outcome = 'dnoe' WHERE worklist = 2 AND position = 0", "its items say"),
        ("UPDATE resource SET name = char(7)", "of 1 resources 0 can be read"),
        ("UPDATE event SET at = 9223372036854775807 WHERE no = 1", "events"),
        ("UPDATE pass SET begun_at = 9223372036854775807", "of 1 passes 0 can be read"),
    ] {
        let home = lived_in().await;
        assert_eq!(home.raw().execute(plant, []).unwrap(), 1, "{plant}");
        let wrong = wrong(&home).await;
        assert!(wrong.iter().any(|text| text.contains(found)), "{plant}: {wrong:?}");
    }
}
