//! Rows that cannot be read stop nothing and destroy nothing (R14).

use highwater_engine::ledger::{EventFilter, ItemFilter, JobState, Ledger as _, LedgerFault, PAGE_ROWS_MAX};
use highwater_engine::name::WorklistId;
use highwater_engine::outcome::OutcomeKind::{Done, Failed, Gone, Review};
use highwater_store::{Access, SqliteLedger};

use super::check::wrong;
use super::home::SqliteHome;
use crate::conformance::world::{ATTEMPTS_MAX, World, at, entry, fault, keys, word};

const ITEMS: [&str; 5] = ["a", "b", "c", "d", "e"];

struct Planted {
    home: SqliteHome,
    world: World,
    worklist: WorklistId,
}

/// Five items of which `c` failed once and `d` is done; then, past the ledger, one thing is damaged.
async fn planted(damage: &str) -> Planted {
    let home = SqliteHome::new();
    let mut world = World::new(&home).await;
    let worklist = world.pin(ITEMS).await;
    world.record(worklist, vec![entry(2, Failed), entry(3, Done)]).await;
    world.next_pass().await;
    assert_eq!(home.raw().execute(damage, []).unwrap(), 1, "{damage}");
    Planted { home, world, worklist }
}

impl Planted {
    /// What was set aside: its table, its row, and the event that says so.
    fn set_aside(&self) -> Vec<(String, String, String)> {
        let db = self.home.raw();
        let mut rows = db.prepare("SELECT q.source, q.row, e.why FROM quarantine AS q JOIN event AS e ON e.why LIKE '%' || q.why WHERE e.act = 'quarantined' AND e.job = 'books' AND e.who = 'ledger' ORDER BY q.no").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn r14_a_damaged_intent_is_set_aside_and_its_item_has_none() {
    for (damage, kept) in [
        ("INSERT INTO intent VALUES (1, 1, 'judged', x'7b6e6f')", r#""body":{"hex":"7b6e6f"}"#),
        ("INSERT INTO intent VALUES (1, 1, 'judged', NULL)", r#""body":null"#),
        ("INSERT INTO intent VALUES (1, 1, 'wished', NULL)", r#""kind":"wished""#),
        ("INSERT INTO intent VALUES (1, 1, CAST(x'ff' AS TEXT), NULL)", r#""kind":{"hex":"ff"}"#),
    ] {
        let planted = planted(damage).await;
        let open = planted.world.ledger.open_items(planted.worklist, planted.world.fence.pass, None, 10).await.unwrap();
        let open: Vec<_> = open.iter().map(|item| (item.key.as_str(), &item.intent)).collect();
        assert_eq!(open, [("a", &None), ("b", &None), ("e", &None), ("c", &None)], "{damage}");
        let set_aside = planted.set_aside();
        assert_eq!((set_aside.len(), set_aside[0].0.as_str()), (1, "intent"), "{damage}");
        assert!(set_aside[0].1.contains(kept), "{}", set_aside[0].1);
        assert!(set_aside[0].2.starts_with("the intent row of item 1 of worklist 1: "), "{}", set_aside[0].2);
        assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn r05_an_item_that_lost_the_row_that_says_how_it_stands_is_untried_again() {
    for (damage, set_aside) in [
        ("DELETE FROM untried WHERE position = 1", 0),
        ("UPDATE untried SET position = 99 WHERE position = 1", 0),
        // `d` is done: nothing may run it again.
        ("UPDATE untried SET position = 3 WHERE position = 1", 1),
        ("INSERT INTO untried VALUES (1, 3)", 1),
    ] {
        let planted = planted(damage).await;
        let (world, worklist) = (&planted.world, planted.worklist);
        let first = world.open_keys(worklist).await;
        assert!(!first.contains(&"d".to_owned()), "{damage}: {first:?}");
        // At the end of the list the figures are held against the rows.
        let before = world.ledger.control(&world.job, &[]).await.unwrap();
        let end = world.ledger.open_items(worklist, world.fence.pass, Some((u32::MAX, 99)), 10).await.unwrap();
        assert_eq!(end, []);
        let after = world.ledger.control(&world.job, &[]).await.unwrap();
        assert!(after.version > before.version, "{damage}: a pass looks once more");
        let open = world.open_keys(worklist).await;
        assert_eq!(open, ["a", "b", "e", "c"], "{damage}");
        assert_eq!(world.tally().await.open() as usize, open.len(), "{damage}: the figures agree");
        let listed = world.items(worklist, &ItemFilter::Open).await.len();
        assert_eq!(listed, open.len(), "{damage}: and so does the list for people");
        let aside: u32 = planted.home.raw().query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0)).unwrap();
        assert_eq!(aside, set_aside, "{damage}");
        assert!(world.acts().await.contains(&"repair".to_owned()), "{damage}");
        let again = world.ledger.open_items(worklist, world.fence.pass, Some((u32::MAX, 99)), 10).await.unwrap();
        assert_eq!(again, []);
        let settled = world.ledger.control(&world.job, &[]).await.unwrap();
        world.ledger.open_items(worklist, world.fence.pass, Some((u32::MAX, 99)), 10).await.unwrap();
        assert_eq!(world.ledger.control(&world.job, &[]).await.unwrap().version, settled.version, "{damage}: once");
    }
}

#[tokio::test]
async fn r14_rows_that_were_set_aside_are_counted_with_their_job() {
    let planted = planted("UPDATE standing SET outcome = 'dnoe' WHERE position = 3").await;
    assert_eq!(planted.world.job().await.quarantined, None);
    planted.world.open_keys(planted.worklist).await;
    let quarantined = planted.world.job().await.quarantined.unwrap();
    assert_eq!(quarantined.rows, 1);
    assert!(quarantined.last_at <= at(1_000_000), "when: {}", quarantined.last_at);
}

#[tokio::test]
async fn r14_a_damaged_standing_is_set_aside_and_its_item_is_untried() {
    for (damage, position, open_after) in [
        ("UPDATE standing SET outcome = 'dnoe' WHERE position = 3", 3, ["a", "b", "d", "e", "c"].as_slice()),
        ("UPDATE standing SET outcome = 'retry' WHERE position = 2", 2, &["a", "b", "c", "e"]),
        ("UPDATE standing SET outcome = CAST(x'ff' AS TEXT) WHERE position = 2", 2, &["a", "b", "c", "e"]),
        ("UPDATE standing SET attempts = -7 WHERE position = 2", 2, &["a", "b", "c", "e"]),
        ("UPDATE standing SET attempts = 1 << 40 WHERE position = 2", 2, &["a", "b", "c", "e"]),
    ] {
        let planted = planted(damage).await;
        let before = planted.world.ledger.control(&planted.world.job, &[]).await.unwrap();
        assert_eq!(planted.world.open_keys(planted.worklist).await, open_after, "{damage}");
        let after = planted.world.ledger.control(&planted.world.job, &[]).await.unwrap();
        assert!(after.version > before.version, "a pass that is past the item reads its page again");
        let set_aside = planted.set_aside();
        assert_eq!((set_aside.len(), set_aside[0].0.as_str()), (1, "standing"), "{damage}");
        assert!(set_aside[0].1.contains(&format!(r#""position":{position},"#)), "{}", set_aside[0].1);
        let tally = planted.world.tally().await;
        assert_eq!(tally.open() as usize, open_after.len(), "the figures are counted anew");
        assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn r14_a_drained_worklist_with_a_damaged_standing_is_drained_no_more() {
    let mut planted = planted("UPDATE standing SET outcome = 'failed' WHERE position = 2").await;
    let rest = [0, 1, 2, 4].map(|position| entry(position, Done));
    planted.world.record(planted.worklist, rest.to_vec()).await;
    planted.world.seal(planted.worklist).await;
    planted.home.raw().execute("UPDATE standing SET outcome = 'dnoe' WHERE position = 1", []).unwrap();
    assert_eq!(planted.world.job().await.state, JobState::Drained);
    planted.world.next_pass().await;
    assert_eq!(planted.world.open_keys(planted.worklist).await, ["b"]);
    assert_eq!(planted.world.job().await.state, JobState::Active);
    planted.world.record(planted.worklist, vec![entry(1, Done)]).await;
    planted.world.seal(planted.worklist).await;
    assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
}

#[tokio::test]
async fn r14_an_outcome_over_a_damaged_standing_is_recorded_as_the_first() {
    for damage in [
        "UPDATE standing SET outcome = 'dnoe' WHERE position = 3",
        "UPDATE standing SET judged_as = 'wished' WHERE position = 3",
        "UPDATE standing SET deferrals = -1 WHERE position = 3",
    ] {
        let planted = planted(damage).await;
        let recorded =
            planted.world.record(planted.worklist, vec![entry(0, Done), entry(3, Failed), entry(1, Gone)]).await;
        assert_eq!(recorded.kinds, [Done, Failed, Gone]);
        let tally = recorded.tally;
        assert_eq!((tally.done, tally.gone, tally.retry, tally.open(), tally.recorded), (1, 1, 2, 3, 5), "{damage}");
        assert_eq!(planted.set_aside().len(), 1);
        assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn r14_an_item_whose_key_is_damaged_goes_to_review_and_the_rest_goes_on() {
    for (damage, shown) in [
        ("UPDATE item SET key = CAST(x'61ff62' AS TEXT) WHERE position = 1", "a\u{fffd}b"),
        ("UPDATE item SET key = '' WHERE position = 1", "\u{fffd}"),
    ] {
        let planted = planted(damage).await;
        assert_eq!(planted.world.open_keys(planted.worklist).await, ["a", "e", "c"]);
        let review = planted.world.items(planted.worklist, &ItemFilter::Outcome("review".into())).await;
        assert_eq!((review.len(), review[0].key.as_str(), review[0].outcome), (1, shown, Some(Review)));
        assert_eq!(planted.set_aside()[0].0, "item");
        assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
        let rest = vec![entry(0, Done), entry(2, Done), entry(4, Done)];
        assert_eq!(planted.world.record(planted.worklist, rest).await.tally.open(), 0);
        planted.world.seal(planted.worklist).await;
    }
}

#[tokio::test]
async fn r14_a_person_s_word_passes_over_damage() {
    let damage = "UPDATE standing SET outcome = 'dnoe' WHERE position = 3";
    let planted = planted(damage).await;
    assert_eq!(planted.world.ledger.skip_items(&planted.world.job, &keys(["d"]), &word(5, "no")).await.unwrap(), 1);
    assert_eq!(planted.world.tally().await.skipped, 1);
    assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
    let planted = self::planted(damage).await;
    let retried =
        planted.world.ledger.retry_items(&planted.world.job, &ItemFilter::Keys(keys(["c", "d"])), &word(5, "")).await;
    assert_eq!(retried.unwrap(), 1, "`d` is untried by being damaged");
    assert_eq!(planted.world.open_keys(planted.worklist).await, ITEMS);
    assert_eq!(wrong(&planted.home).await, Vec::<String>::new());
}

#[tokio::test]
async fn r14_one_who_only_reads_takes_damage_for_nothing_and_leaves_it() {
    for damage in [
        "UPDATE standing SET outcome = 'dnoe' WHERE position = 3",
        "INSERT INTO intent VALUES (1, 1, 'wished', NULL)",
        "UPDATE item SET key = '' WHERE position = 1",
    ] {
        let planted = planted(damage).await;
        let reader = SqliteLedger::open(planted.home.path(), at(9), Access::ReadOnly).unwrap();
        let open = reader.open_items(planted.worklist, planted.world.fence.pass, None, 10).await.unwrap();
        assert!(open.len() >= 3, "{damage}");
        assert!(open.iter().all(|item| item.intent.is_none()));
        assert!(planted.set_aside().is_empty());
    }
}

#[tokio::test]
async fn r14_a_damaged_row_of_a_list_is_left_out_of_it() {
    let planted = planted("UPDATE event SET at = 9223372036854775807 WHERE act = 'pin'").await;
    let (ledger, job) = (&planted.world.ledger, &planted.world.job);
    ledger.add_event("import", Some(job), None, &word(5, "")).await.unwrap();
    let events = ledger.events(&EventFilter::default(), PAGE_ROWS_MAX).await.unwrap();
    assert_eq!(events.iter().map(|event| event.act.as_str()).collect::<Vec<_>>(), ["import"]);

    let db = planted.home.raw();
    db.execute("UPDATE pass SET reason = 'wished', exit = 77 WHERE id = 2", []).unwrap();
    assert_eq!(ledger.passes(job, 10).await.unwrap()[0].reason, None, "what can be read of a pass is");
    db.execute("UPDATE pass SET done = -1 WHERE id = 2", []).unwrap();
    assert_eq!(ledger.passes(job, 10).await.unwrap().len(), 1);
    db.execute("UPDATE resource SET holder_pid = -1", []).unwrap();
    assert_eq!(ledger.resources().await.unwrap()[0].holder, None);
    db.execute("INSERT INTO job (name, kind) VALUES ('not a name', 'exec')", []).unwrap();
    assert_eq!(ledger.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_damaged_figure_is_a_damaged_ledger() {
    let planted = planted("UPDATE worklist SET done = -1").await;
    let refused = planted.world.ledger.job(&planted.world.job).await;
    let error = refused.unwrap_err();
    assert_eq!(error.fault, LedgerFault::Damaged);
    assert!(error.message.contains("ledger.db"), "{}", error.message);
    let record =
        planted.world.ledger.record(&planted.world.fence, planted.worklist, at(3), ATTEMPTS_MAX, vec![entry(0, Done)]);
    assert_eq!(fault(record.await), LedgerFault::Damaged);
}
