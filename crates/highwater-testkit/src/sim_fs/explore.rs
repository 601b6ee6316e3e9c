//! Trying a piece of work against every crash and every fault.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;

use highwater_fs::{Fs, FsError, Kind, RelPath};

use super::fault::{is_change, is_sync};
use super::{At, Fault, FaultKind, SimFs, Step, Survival};

/// How many coin-tossed survivals join the systematic ones at each crash.
const RANDOM_SURVIVALS: u64 = 4;

/// How often a random run cuts the power again while it recovers.
const RANDOM_CRASHES_MAX: usize = 3;

/// The longest recovery that a random run cuts into.
const RANDOM_RECOVERY_STEPS_MAX: usize = 40;

/// The most a file holds that [`tree`] reads.
const TREE_FILE_BYTES_MAX: u64 = 1 << 24;

/// A piece of work on a disk, and what must be true of it whatever happens.
pub trait Scenario {
    /// The disk before the work; all that is on it is taken to be durable.
    fn before(&self) -> SimFs;

    /// How many steps the work has.
    fn steps(&self) -> usize;

    /// About how many operations the work has, where that can be told without doing it: random runs are then spared that. What is to
    /// happen beyond the end does not happen.
    fn operations(&self) -> Option<usize> {
        None
    }

    /// Does the steps in order, up to the first that fails, and says how many were acknowledged.
    ///
    /// It can be called again after it has been cut short and recovered, and then does them all.
    fn work(&self, fs: &SimFs) -> usize;

    /// Does what a program does first after a crash. It can be cut short and called again.
    ///
    /// # Errors
    /// A sentence that says what went wrong.
    fn recover(&self, fs: &SimFs) -> Result<(), String>;

    /// Checks a recovered disk on which this many steps were acknowledged: it must be as after
    /// them, or as after one more.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String>;
}

/// How much was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The operations of the work when nothing goes wrong.
    pub operations: usize,
    /// The different disks that were recovered and checked.
    pub disks: usize,
}

/// A disk on which the scenario's promise was broken, and how it came about.
#[derive(Clone, Debug)]
pub struct Violation {
    what: String,
    how: Vec<String>,
}

/// A sync that was left out, and whether that was noticed.
#[derive(Clone, Debug)]
pub struct Omission {
    /// Whether it was left out of the recoveries rather than of the work.
    pub in_recovery: bool,
    /// The sync.
    pub step: Step,
    /// What broke without it; `None` when nothing did.
    pub noticed: Option<Violation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.how.iter().try_for_each(|how| write!(f, "\n  {how}"))
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.in_recovery { "recovery" } else { "work" }, self.step)
    }
}

/// Cuts the power at every operation of the work with every [systematic](Survival::systematic)
/// survival, and at every operation of each recovery from there.
///
/// # Errors
/// The first disk on which the promise was broken.
pub fn crash_everywhere(scenario: &impl Scenario) -> Result<Tally, Violation> {
    let mut explorer = Explorer::new(scenario);
    explorer.crash_work()?;
    Ok(explorer.tally)
}

/// Cuts the power at every operation of the work, with nothing of what is pending, everything, the names alone, the bytes alone, and with
/// each single thing omitted; recoveries are left to come to their end. For many workloads: [`crash_everywhere`] tries more of one.
///
/// # Errors
/// The first disk on which the promise was broken.
pub fn crash_once_everywhere(scenario: &impl Scenario) -> Result<Tally, Violation> {
    use Survival::{AllBut, DataOnly, Everything, MetadataOnly, Nothing};
    let mut explorer = Explorer::new(scenario);
    explorer.afterwards = &[Nothing];
    let trace = explorer.rehearse()?;
    for at in crash_points(&trace) {
        let fs = copy(&explorer.before);
        fs.crash_at(at);
        let acknowledged = scenario.work(&fs);
        let each = [Nothing, Everything, MetadataOnly, DataOnly].into_iter().chain((0..fs.pending()).map(AllBut));
        for survival in each {
            explorer.prove(&fs.reboot(survival), acknowledged).map_err(|found| {
                found.after(crash(&trace, at, survival)).after(format!("acknowledged {acknowledged}"))
            })?;
        }
    }
    Ok(explorer.tally)
}

/// Fails every operation of the work in every way, once and from then on, with and without a power
/// cut after it.
///
/// # Errors
/// The first disk on which the promise was broken.
pub fn fail_everywhere(scenario: &impl Scenario) -> Result<Tally, Violation> {
    use FaultKind::{Eio, Enospc, LostAnswer, ShortWrite};
    let mut explorer = Explorer::new(scenario);
    for (n, step) in explorer.rehearse()?.iter().enumerate() {
        let mut plans = vec![vec![Fault::once(n, ShortWrite), Fault::sticky(n + 1, Enospc)]];
        for kind in [Eio, Enospc, ShortWrite, LostAnswer] {
            plans.push(vec![Fault::once(n, kind)]);
            plans.push(vec![Fault::sticky(n, kind)]);
        }
        for plan in plans {
            explorer.fail_work(&plan)?;
        }
        if is_sync(step.op) {
            // The one kind of failure that leaves a disk unlike any that a crash leaves: what was
            // to be durable is not, and nobody has forgotten it.
            explorer.fail_sync(n)?;
        }
    }
    Ok(explorer.tally)
}

/// One run for each seed: a scenario of that seed, with crashes, survivals and faults by the toss
/// of a coin, in the work and in the recoveries.
///
/// # Errors
/// The first disk on which the promise was broken; it names the seed.
pub fn random_runs<S: Scenario>(seeds: Range<u64>, make: impl Fn(u64) -> S) -> Result<Tally, Violation> {
    let mut tally = Tally::default();
    for seed in seeds {
        let scenario = make(seed);
        let mut explorer = Explorer::new(&scenario);
        // The strictest of them, since there are so many runs.
        explorer.afterwards = &[Survival::Nothing];
        explorer.random_run(seed).map_err(|found| found.after(format!("with the seed {seed}")))?;
        tally.operations += explorer.tally.operations;
        tally.disks += explorer.tally.disks;
    }
    Ok(tally)
}

/// Leaves out each sync of the work, one at a time, and each sync of the recoveries, and sees
/// whether [`crash_everywhere`] notices: the control that shows it can see at all.
///
/// # Errors
/// When the promise is broken with every sync in place.
pub fn forget_each_sync(scenario: &impl Scenario) -> Result<Vec<Omission>, Violation> {
    forget_syncs(scenario, |_| true)
}

/// The same with some of the syncs.
///
/// # Errors
/// As for [`forget_each_sync`].
pub fn forget_syncs(scenario: &impl Scenario, is_meant: impl Fn(&Step) -> bool) -> Result<Vec<Omission>, Violation> {
    let mut whole = Explorer::new(scenario);
    whole.crash_work()?;
    let in_work = whole.rehearse()?.into_iter().enumerate();
    let in_work = in_work.filter(|(_, step)| is_sync(step.op) && is_meant(step)).map(|(n, step)| Omission {
        noticed: Explorer::forgetting(scenario, Some(n), None).crash_work().err(),
        in_recovery: false,
        step,
    });
    let in_recovery = whole.recovery_syncs.iter().filter(|step| is_meant(step)).map(|step| Omission {
        noticed: Explorer::forgetting(scenario, None, Some(step)).crash_work().err(),
        in_recovery: true,
        step: step.clone(),
    });
    Ok(in_work.chain(in_recovery).collect())
}

/// Everything on a disk: the bytes of each file, and `None` for what is not a file.
///
/// # Errors
/// What the disk says.
pub fn tree(fs: &dyn Fs) -> Result<BTreeMap<RelPath, Option<Vec<u8>>>, FsError> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![RelPath::root()];
    while let Some(dir) = dirs.pop() {
        for entry in fs.list(&dir)? {
            let path = dir.join(&entry.name).expect("invariant: what is listed can be named");
            let bytes = match entry.kind {
                Kind::File => Some(fs.read(&path, TREE_FILE_BYTES_MAX)?),
                _ => None,
            };
            if entry.kind == Kind::Dir {
                dirs.push(path.clone());
            }
            found.insert(path, bytes);
        }
    }
    Ok(found)
}

struct Explorer<'s, S> {
    scenario: &'s S,
    before: SimFs,
    in_work: Vec<Fault>,
    in_recovery: Vec<Fault>,
    crashed: HashSet<(u64, usize)>,
    proven: HashSet<(u64, usize)>,
    recovery_syncs: BTreeSet<Step>,
    /// What a power cut after all is done is tried with.
    afterwards: &'static [Survival],
    tally: Tally,
}

impl<'s, S: Scenario> Explorer<'s, S> {
    fn new(scenario: &'s S) -> Self {
        Self::forgetting(scenario, None, None)
    }

    fn forgetting(scenario: &'s S, in_work: Option<usize>, in_recovery: Option<&Step>) -> Self {
        let kind = FaultKind::Forgotten;
        Self {
            scenario,
            before: copy(&scenario.before()),
            in_work: in_work.map(|n| Fault::once(n, kind)).into_iter().collect(),
            in_recovery: in_recovery
                .map(|step| Fault { at: At::Step(step.clone()), kind, sticky: true })
                .into_iter()
                .collect(),
            crashed: HashSet::new(),
            proven: HashSet::new(),
            recovery_syncs: BTreeSet::new(),
            afterwards: &[Survival::Everything, Survival::Nothing, Survival::MetadataOnly],
            tally: Tally::default(),
        }
    }

    /// Does the work with nothing in its way.
    fn undisturbed(&mut self, fs: &SimFs) -> Result<Vec<Step>, Violation> {
        let acknowledged = self.scenario.work(fs);
        if acknowledged != self.scenario.steps() {
            return broken(format!("only {acknowledged} steps were acknowledged, undisturbed"));
        }
        let trace = fs.trace();
        self.tally.operations = trace.len();
        Ok(trace)
    }

    /// Does the work with nothing in its way, and holds it to its promise.
    fn rehearse(&mut self) -> Result<Vec<Step>, Violation> {
        let fs = copy(&self.before);
        let trace = self.undisturbed(&fs)?;
        self.check(&fs, self.scenario.steps())?;
        Ok(trace)
    }

    fn crash_work(&mut self) -> Result<(), Violation> {
        let trace = self.rehearse()?;
        for at in crash_points(&trace) {
            let fs = copy(&self.before);
            self.in_work.iter().for_each(|fault| fs.inject(fault.clone()));
            fs.crash_at(at);
            let acknowledged = self.scenario.work(&fs);
            for survival in survivals(&fs, at) {
                self.crash_recovery(&fs.reboot(survival), acknowledged).map_err(|found| {
                    found.after(crash(&trace, at, survival)).after(format!("acknowledged {acknowledged}"))
                })?;
            }
        }
        Ok(())
    }

    fn crash_recovery(&mut self, disk: &SimFs, acknowledged: usize) -> Result<(), Violation> {
        if disk.pending() == 0 && !self.crashed.insert((disk.fingerprint(), acknowledged)) {
            return Ok(());
        }
        let rehearsal = disk.fork();
        self.recover(&rehearsal)?;
        let trace = rehearsal.trace();
        self.recovery_syncs.extend(trace.iter().filter(|step| is_sync(step.op)).cloned());
        for at in crash_points(&trace) {
            let fs = disk.fork();
            self.in_recovery.iter().for_each(|fault| fs.inject(fault.clone()));
            fs.crash_at(at);
            let _ = self.scenario.recover(&fs); // cut short, or rehearsed
            for survival in survivals(&fs, at) {
                self.prove(&fs.reboot(survival), acknowledged)
                    .map_err(|found| found.after(format!("recovering, {}", crash(&trace, at, survival))))?;
            }
        }
        Ok(())
    }

    fn fail_work(&mut self, plan: &[Fault]) -> Result<(), Violation> {
        let fs = copy(&self.before);
        plan.iter().for_each(|fault| fs.inject(fault.clone()));
        let acknowledged = self.scenario.work(&fs);
        let told = |found: Violation| found.after(format!("acknowledged {acknowledged} under {plan:?}"));
        let prove_cut = |explorer: &mut Self| {
            survivals(&fs, 0).into_iter().try_for_each(|survival| {
                let proven = explorer.prove(&fs.reboot(survival), acknowledged);
                proven.map_err(|found| told(found.after(format!("then the power cut, {survival:?}"))))
            })
        };
        prove_cut(self)?;
        let _ = self.scenario.recover(&fs); // the fault may still be there
        prove_cut(self)?;
        fs.heal();
        self.prove(&fs, acknowledged).map_err(told)
    }

    /// Fails a sync of the work, goes on to recover, and cuts the power everywhere in that.
    fn fail_sync(&mut self, n: usize) -> Result<(), Violation> {
        let fs = copy(&self.before);
        fs.inject(Fault::once(n, FaultKind::Eio));
        let acknowledged = self.scenario.work(&fs);
        self.crash_recovery(&fs, acknowledged)
            .map_err(|found| found.after(format!("acknowledged {acknowledged}, the sync {n} failed")))
    }

    fn random_run(&mut self, seed: u64) -> Result<(), Violation> {
        let mut rng = fastrand::Rng::with_seed(seed);
        // What is checked at the end is all of the work, undisturbed too.
        let operations = match self.scenario.operations() {
            Some(about) => about,
            None => self.undisturbed(&copy(&self.before))?.len(),
        };
        self.tally.operations = operations;
        let mut fs = copy(&self.before);
        if rng.bool() {
            fs.inject(random_fault(&mut rng, operations));
        }
        fs.crash_at(rng.usize(0..=operations));
        let acknowledged = self.scenario.work(&fs);
        for _ in 0..rng.usize(0..=RANDOM_CRASHES_MAX) {
            if fs.has_crashed() || rng.bool() {
                fs = fs.reboot(Survival::Random(rng.u64(..)));
            }
            fs.heal();
            if rng.bool() {
                let soon = fs.operations() + RANDOM_RECOVERY_STEPS_MAX;
                fs.inject(random_fault(&mut rng, soon));
            }
            fs.crash_at(fs.operations() + rng.usize(0..RANDOM_RECOVERY_STEPS_MAX));
            let _ = self.scenario.recover(&fs);
        }
        let disk = fs.reboot(Survival::Random(rng.u64(..)));
        self.prove(&disk, acknowledged).map_err(|found| found.after(format!("acknowledged {acknowledged}")))
    }

    /// Recovers a disk undisturbed and holds it to everything that must be true then: the promise,
    /// that recovering again changes nothing, that the work can be done, and that it then lasts.
    fn prove(&mut self, disk: &SimFs, acknowledged: usize) -> Result<(), Violation> {
        if disk.pending() == 0 && !self.proven.insert((disk.fingerprint(), acknowledged)) {
            return Ok(());
        }
        self.tally.disks += 1;
        self.recover(disk)?;
        self.check(disk, acknowledged)?;
        let recovered = disk.contents();
        self.recover(disk).map_err(|found| found.after("recovering again".into()))?;
        if disk.contents() != recovered {
            return broken("recovering again changed the disk".into());
        }
        let again = self.scenario.work(disk);
        let all = self.scenario.steps();
        if again != all {
            return broken(format!("only {again} steps were acknowledged after recovery"));
        }
        for survival in self.afterwards {
            let later = disk.reboot(*survival);
            self.recover(&later)
                .and_then(|()| self.check(&later, all))
                .map_err(|found| found.after(format!("all done, then the power cut, {survival:?}")))?;
        }
        Ok(())
    }

    fn recover(&self, fs: &SimFs) -> Result<(), Violation> {
        self.scenario.recover(fs).or_else(|why| broken(format!("recovery failed: {why}")))
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), Violation> {
        self.scenario.check(fs, acknowledged).or_else(broken)
    }
}

impl Violation {
    fn after(mut self, how: String) -> Self {
        self.how.push(how);
        self
    }
}

fn broken<T>(what: String) -> Result<T, Violation> {
    Err(Violation { what, how: Vec::new() })
}

/// The same disk, everything on it durable, to be spoilt.
fn copy(disk: &SimFs) -> SimFs {
    disk.reboot(Survival::Everything)
}

/// Where a power cut makes a difference: before each change, and after all.
fn crash_points(trace: &[Step]) -> impl Iterator<Item = usize> {
    (0..=trace.len()).filter(|at| trace.get(*at).is_none_or(|step| is_change(step.op)))
}

fn survivals(fs: &SimFs, salt: usize) -> Vec<Survival> {
    let random = (0..RANDOM_SURVIVALS).map(|n| Survival::Random(n + RANDOM_SURVIVALS * salt as u64));
    Survival::systematic(fs.pending()).chain(random).collect()
}

fn crash(trace: &[Step], at: usize, survival: Survival) -> String {
    match trace.get(at) {
        Some(step) => format!("the power cut at operation {at} ({step}), {survival:?}"),
        None => format!("the power cut at the end, {survival:?}"),
    }
}

fn random_fault(rng: &mut fastrand::Rng, operations: usize) -> Fault {
    use FaultKind::{Eio, Enospc, LostAnswer, ShortWrite};
    let kind = [Eio, Enospc, ShortWrite, LostAnswer][rng.usize(0..4)];
    Fault { at: At::Operation(rng.usize(0..operations.max(1))), kind, sticky: rng.bool() }
}
