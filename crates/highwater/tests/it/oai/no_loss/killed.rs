//! Crashes: a harvest by the real binary, killed at every page and at any moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::SystemClock;
use highwater_oai::protocol::Verb;
use highwater_oai::provider::{ProviderSettings, Repository};

use super::world::{Changing, Far, PREFIX};
use crate::inside::assert_sound;
use crate::oai::{FarSide, Lines, assert_the_same, config};
use crate::rig::{KILLED, Rig, dice, pause, wait_until};

/// Kills at any moment.
const KILLS: usize = 40;
/// No pass of these few records takes longer, so that some kills come late and some before anything was asked.
const KILL_WITHIN_MILLIS: u64 = 150;
const RECORDS: u64 = 120;

/// A repository that changes by the machine's clock, and a place with a harvest of it.
fn place(page_size: usize) -> (Rig, FarSide, Arc<Changing>) {
    let clock = SystemClock::shared();
    let repository = Arc::new(Changing::new(clock, Far { records: RECORDS, ..Far::default() }));
    let settings = ProviderSettings { page_size, ..ProviderSettings::default() };
    let far = FarSide::of(Arc::clone(&repository) as Arc<dyn Repository>, settings);
    let own = format!(", identifier-prefix = \"{PREFIX}\"");
    let rig = Rig::new(&config(&far.url(), Lines { repository: &own, ..Lines::default() }));
    (rig, far, repository)
}

/// After one more harvest, in which nothing changes, the catalogue is what the repository is.
fn is_whole(rig: &Rig, repository: &Changing) {
    let pass = rig.oai_pass("harvest", &[]);
    assert_eq!((pass.code(), pass.reason()), (0, "drained"), "{:?}", pass.ended);
    assert_sound(&rig.path(".highwater-state/ledger.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(assert_the_same(&rig.path(".highwater-state/catalog.db"), &repository.memory));
}

#[test]
fn r05_a_harvest_that_is_killed_at_every_page_asks_for_none_twice_and_loses_no_record() {
    let (rig, far, repository) = place(10);
    let mut kills = 0;
    loop {
        // One page is answered, and with the next one in hand the pass is killed.
        far.faults(&["hang@verb:ListRecords,2"]);
        let asked = far.requests().len();
        let mut pass = rig.doom(&["--json", "run", "harvest"]);
        let hangs = || far.requests()[asked..].iter().any(|asked| asked.status.is_none());
        wait_until("a page that never comes", || hangs() || !pass.runs());
        if !pass.runs() {
            let ended = pass.end();
            assert_eq!(ended.code, 0, "{ended:?}");
            break;
        }
        assert_eq!(pass.kill_9().code, KILLED);
        kills += 1;
        repository.change(1);
        assert!(kills < 100, "it does not come to its end");
    }
    assert!(kills >= RECORDS / 10 - 1, "{kills}");
    let mut answered: BTreeMap<Option<String>, u32> = BTreeMap::new();
    for asked in far.requests().into_iter().filter(|asked| asked.verb == Some(Verb::ListRecords)) {
        if asked.status.is_some() {
            *answered.entry(asked.token).or_default() += 1;
        }
    }
    assert!(answered.values().all(|times| *times == 1), "{answered:?}");
    far.faults(&[]);
    is_whole(&rig, &repository);
}

#[test]
fn r05_a_harvest_that_is_killed_at_any_moment_loses_no_record() {
    let mut dice = dice("r05_a_harvest_that_is_killed_at_any_moment_loses_no_record");
    let (rig, far, repository) = place(5);
    let (mut killed, mut ended) = (0, 0);
    for _ in 0..KILLS {
        let pass = rig.doom(&["--json", "run", "harvest"]);
        pause(Duration::from_millis(dice.u64(..KILL_WITHIN_MILLIS)));
        match pass.kill_9() {
            by_us if by_us.code == KILLED => killed += 1,
            by_itself => {
                assert_eq!(by_itself.code, 0, "{by_itself:?}");
                ended += 1;
            }
        }
        repository.change(2);
    }
    eprintln!("{killed} of {KILLS} were killed, {ended} came to their ends before; {} contacts", far.asked());
    assert!(killed >= KILLS / 4, "{killed}");
    let pass = rig.oai_pass("harvest", &[]);
    assert_eq!(pass.code(), 0, "{:?}", pass.ended);
    is_whole(&rig, &repository);
}
