//! Power loss at any moment of a pass (R5): what the program had told of is there when the disk is mounted again, nothing is
//! torn, and the next pass goes on. As root, on ext4 and XFS; named as not run elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use highwater_testkit::power_loss::{Disk, FileSystem};
use serde_json::Value;

use crate::inside::{Inside, assert_sound};
use crate::rig::{Rig, dice, pause, wait_until};

const ITEMS: usize = 2_000;
const CUTS: usize = 7;
/// The default of `concurrency`.
const COMMANDS_AT_ONCE: usize = 2;
/// Of these, cuts while the ledger is made and the list is pinned.
const EARLY_CUTS: usize = 2;

/// SIGBUS: SQLite maps the index of its log into memory, and XFS answers a page of it that it can no longer read so.
const DISK_GONE_UNDER_WAL_INDEX: i32 = -7;

/// A job whose ledger, lock and effects lie on a disk that loses its power. Its commands sync what they did before they say that
/// it is done, as everyone must.
struct Plant {
    // Before the disk, so that nobody has a file open on it.
    rig: Rig,
    disk: Disk,
}

impl Plant {
    fn on(disk: Disk) -> Self {
        let keys: Vec<String> = (0..ITEMS).map(|n| format!("id-{n:04}")).collect();
        let effects = disk.path().join("effects");
        let script = format!("echo $1 >>{0} && sync {0}", effects.display());
        let rig = Rig::load(&keys.iter().map(String::as_str).collect::<Vec<_>>(), &script, "");
        let config = format!("state-dir = {:?}\n{}", disk.path().join("state"), rig.read("highwater.toml"));
        rig.write(
            "highwater.toml",
            &config.replace("file:r.lock", &format!("file:{}", disk.path().join("r.lock").display())),
        );
        Self { rig, disk }
    }

    fn ledger(&self) -> PathBuf {
        self.disk.path().join("state/ledger.db")
    }

    /// Whether the ledger has its tables; a file without them is completed by the next pass.
    fn is_made(&self) -> bool {
        Inside::of(&self.ledger()).is_some()
    }

    /// Keys in the order in which their effects became durable. What was appended and not synced may have left its length
    /// behind, in zeros, before the next line.
    fn effects(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.disk.path().join("effects")).unwrap_or_default();
        text.lines().map(|line| line.trim_start_matches('\0').to_owned()).collect()
    }

    /// What the program tells of every item that has an outcome; nothing before a list is pinned.
    fn told(&self) -> BTreeMap<String, Value> {
        if !self.is_made() || self.figure("total") == 0 {
            return BTreeMap::new();
        }
        let listed = self.rig.ok(&["--json", "items", "load", "--recorded"]);
        let items = listed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        items.map(|item| (item["key"].as_str().unwrap().to_owned(), item)).collect()
    }

    fn figure(&self, name: &str) -> u64 {
        let status = self.rig.ok(&["--json", "status", "load"]).json();
        status["jobs"][0]["worklist"]["tally"][name].as_u64().unwrap_or(0)
    }

    /// One pass that loses its power; returns what the program had told before.
    fn lose_power(&self, early: bool, dice: &mut fastrand::Rng) -> BTreeMap<String, Value> {
        let begun = self.effects().len();
        let mut pass = self.rig.doom(&["--json", "run", "load"]);
        if early {
            pause(Duration::from_millis(dice.u64(0..200)));
        } else {
            let enough = begun + dice.usize(5..80);
            wait_until("effects before a power cut", || self.effects().len() >= enough);
            pause(Duration::from_millis(dice.u64(0..100)));
        }
        let (done, told) = if early { (0, BTreeMap::new()) } else { (self.figure("done"), self.told()) };
        self.disk.cut_power().unwrap();
        if dice.bool() {
            pass.kill_9();
        } else {
            // One that outlives its disk finds that nothing can be recorded, and ends.
            wait_until("the end of a pass without a disk", || !pass.runs());
            let ended = pass.end();
            assert!([1, DISK_GONE_UNDER_WAL_INDEX].contains(&ended.code), "{ended:?}");
        }
        wait_until("the end of its commands", || self.disk.restore_power().is_ok());
        if self.is_made() {
            assert_sound(&self.ledger());
            assert!(self.figure("done") >= done, "told before the power went: {done} done");
        }
        told
    }
}

#[test]
fn r05_no_outcome_that_was_told_is_lost_to_a_power_cut() {
    const TEST: &str = "r05_no_outcome_that_was_told_is_lost_to_a_power_cut";
    for file_system in FileSystem::ALL {
        match Disk::mount(file_system) {
            Ok(disk) => survives(&Plant::on(disk), file_system, &mut dice(TEST)),
            Err(not_here) => not_here.say(&format!("{TEST} on {}", file_system.name())),
        }
    }
}

fn survives(plant: &Plant, file_system: FileSystem, dice: &mut fastrand::Rng) {
    let mut counts = Vec::new();
    for cut in 0..CUTS {
        let before = plant.lose_power(cut < EARLY_CUTS, dice);
        let after = plant.told();
        for (key, item) in &before {
            assert_eq!(after.get(key), Some(item), "told before the power went, on {file_system:?}");
        }
        let effects: BTreeSet<String> = plant.effects().into_iter().collect();
        let without = |keys: &BTreeMap<String, Value>| {
            keys.keys().filter(|key| !effects.contains(*key)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(without(&before), [""; 0], "told as done before the power went, on {file_system:?}: {effects:?}");
        // A sync that the cut itself overtakes may be answered with success: of those commands there are no more than run at once.
        let overtaken = without(&after);
        assert!(
            overtaken.len() <= COMMANDS_AT_ONCE,
            "on {file_system:?} without their effects: {overtaken:?} {effects:?}"
        );
        counts.push((before.len(), after.len(), effects.len()));
    }
    eprintln!("{file_system:?}: told before each cut, recorded and effected after it: {counts:?}");
    assert!(counts[EARLY_CUTS..].iter().any(|(told, ..)| *told > 0), "nothing was told before any cut");
    assert_eq!(plant.rig.pass(), (0, "drained".into()));
    let told = plant.told();
    assert!(told.len() == ITEMS && told.values().all(|item| item["outcome"] == "done" && item["attempts"] == 1));
    assert_sound(&plant.ledger());
}
