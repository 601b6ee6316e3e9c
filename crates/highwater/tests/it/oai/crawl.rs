//! A crawl that is killed, and a spool that a power cut took some pages from: what is discovered is the same.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use highwater_oai::protocol::Verb;
use highwater_oai::provider::{Generated, ProviderSettings};
use serde_json::Value;

use super::{FarSide, Lines, config};
use crate::rig::{KILLED, Rig, wait_until};

const LIVE: u64 = 83;
const DELETED: u64 = 12;
const PAGE_RECORDS: usize = 10;
const PAGES: usize = 10;
const DISCOVER: [&str; 4] = ["--json", "oai", "discover", "backfill"];
const SPOOL: &str = ".highwater-state/oai/backfill.db";
const REPORTS: &str = ".highwater-state/oai/backfill";

/// A repository, and a place with a backfill of it whose passes may contact it `contacts` times.
fn place(contacts: usize) -> (Rig, FarSide) {
    let repository = Arc::new(Generated { live: LIVE, deleted: DELETED, ..Generated::default() }.repository());
    let far = FarSide::of(repository, ProviderSettings { page_size: PAGE_RECORDS, ..ProviderSettings::default() });
    let own = format!(", identifier-prefix = \"{}\"", Generated::IDENTIFIER_PREFIX);
    let backfill = format!("budget.max-contacts = {contacts}");
    let rig = Rig::new(&config(&far.url(), Lines { repository: &own, backfill: &backfill, ..Lines::default() }));
    (rig, far)
}

/// The lists and the counts of what was discovered; not which crawl they are of, and when.
fn discovered(rig: &Rig) -> Vec<String> {
    let lists = ["missing.csv", "stale.csv", "orphans.csv"].map(|name| rig.read(&format!("{REPORTS}/{name}")));
    let mut counts: Value = serde_json::from_str(&rig.read(&format!("{REPORTS}/difference.json"))).unwrap();
    for of_the_crawl in ["crawl", "finished_at", "base_url"] {
        assert!(counts.as_object_mut().unwrap().remove(of_the_crawl).is_some(), "{counts}");
    }
    lists.into_iter().chain([counts.to_string()]).collect()
}

/// What is discovered when nothing comes between.
fn expected() -> Vec<String> {
    let (rig, far) = place(100);
    rig.ok(&DISCOVER);
    assert_eq!(answered(&far).into_values().collect::<Vec<_>>(), [1; PAGES]);
    let discovered = discovered(&rig);
    assert_eq!(discovered[0].lines().count() as u64, 1 + LIVE);
    discovered
}

/// How often each page was answered, by its token.
fn answered(far: &FarSide) -> BTreeMap<Option<String>, u32> {
    let mut answered = BTreeMap::new();
    for asked in far.requests().into_iter().filter(|asked| asked.verb == Some(Verb::ListIdentifiers)) {
        if asked.status.is_some() {
            *answered.entry(asked.token).or_default() += 1;
        }
    }
    answered
}

#[test]
fn r05_a_crawl_that_is_killed_at_every_page_asks_for_none_twice() {
    let (rig, far) = place(100);
    let mut kills = 0;
    loop {
        // One page is answered, and with the next one in hand the pass is killed.
        far.faults(&["hang@verb:ListIdentifiers,2"]);
        let asked = far.requests().len();
        let mut pass = rig.doom(&DISCOVER);
        let hangs = || far.requests()[asked..].iter().any(|asked| asked.status.is_none());
        wait_until("a page that never comes", || hangs() || !pass.runs());
        if !pass.runs() {
            let ended = pass.end();
            assert_eq!(ended.code, 0, "{ended:?}");
            break;
        }
        assert_eq!(pass.kill_9().code, KILLED);
        kills += 1;
        assert!(kills < 2 * PAGES, "it does not come to its end");
    }
    assert_eq!(kills, PAGES - 1);
    assert_eq!(answered(&far).into_values().collect::<Vec<_>>(), [1; PAGES]);
    assert_eq!(discovered(&rig), expected());
}

#[test]
fn r05_a_spool_some_pages_older_than_the_ledger_costs_those_pages_and_nothing_else() {
    let (rig, far) = place(3);
    let ends = |code: i32, reason: &str| {
        let ended = rig.run(&DISCOVER);
        assert_eq!((ended.code, ended.json()["report"]["reason"].as_str()), (code, Some(reason)), "{ended:?}");
    };
    ends(3, "budget_contacts");
    // A pass that ends closes the file, so that nothing of it is in a log beside it.
    fs::copy(rig.path(SPOOL), rig.path("older.db")).unwrap();
    assert!(!rig.path(&format!("{SPOOL}-wal")).exists());
    ends(3, "budget_contacts");
    fs::copy(rig.path("older.db"), rig.path(SPOOL)).unwrap();
    ends(3, "budget_contacts");
    ends(3, "budget_contacts");
    ends(0, "pinned");
    // A page that is asked for again may give another token than before: tokens say until when they hold.
    let times: Vec<u32> = answered(&far).into_values().collect();
    assert_eq!(times.iter().sum::<u32>(), PAGES as u32 + 3, "{times:?}");
    assert!(times.len() >= PAGES, "{times:?}");
    assert_eq!(discovered(&rig), expected());
    assert_eq!(rig.oai_items("backfill", &[]).len() as u64, LIVE);
}

#[test]
fn r05_a_spool_that_lost_its_pages_begins_anew_where_their_tokens_have_expired() {
    let (rig, far) = place(100);
    far.faults(&["hang@verb:ListIdentifiers,4"]);
    let pass = rig.doom(&DISCOVER);
    wait_until("a page that never comes", || far.requests().iter().any(|asked| asked.status.is_none()));
    assert_eq!(pass.kill_9().code, KILLED);
    far.faults(&["expired-token@1"]);
    rig.ok(&DISCOVER);
    assert_eq!(discovered(&rig), expected());
    assert_eq!(rig.oai_items("backfill", &[]).len() as u64, LIVE);
}
