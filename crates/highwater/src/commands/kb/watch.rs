//! `kb watch`: what appears or changes in directories is added as it comes to rest, by passes of the job that `kb add` of the same paths
//! runs. Owns when a pass begins and what is told in between; what has come to rest is the domain's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::ledger::{ItemFilter, ItemOrder, Ledger, PAGE_ROWS_MAX};
use highwater_engine::pass::{Engine, Mode, Runner};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::spec::JobSpec;
use highwater_kb::Origin;
use highwater_kb::add::{KbAdd, Named, Place as Workshop, conflict_of};
use highwater_kb::compile::Compilers;
use highwater_kb::watch::{Hint, Hints, Seen, Watched};
use highwater_kb::web::Patience;
use highwater_store::{Access, SqliteLedger};
use jiff::Timestamp;
use serde_json::json;

use super::super::run::{Passes, released};
use super::place::Place;
use super::{add, pass};
use crate::bar::counted;
use crate::cli::{Global, KbWatch};
use crate::output::Output;
use crate::site::Site;
use crate::table::line;
use crate::wiring;
use crate::{Done, in_runtime, signals, upkeep};

/// How long hints are gathered before they are followed, in milliseconds: an editor's save is several.
const GATHER_MS: u64 = 200;
/// How many documents that are for a person to look at are taken into the next list; with more it takes some of them.
const WAITS_MAX: usize = 10_000;
/// How many of the files and directories that went are told one by one.
const TOLD_GONE_MAX: usize = 8;

pub(super) fn watch(args: &KbWatch, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let site = pass::site(global, &place, true).map_err(one)?;
    in_runtime(async { watching(args, &site, &place).await.map_err(|error| vec![error]) })
}

async fn watching(args: &KbWatch, site: &Site, place: &Place) -> Result<ExitCode, Diagnosis> {
    let paths = add::absolute(&args.paths)?;
    let watched = Watched::new(&paths, &place.root, args.settle.get())
        .map_err(|error| Diagnosis::refusal("HW-KB-020", with_causes(&error), "correct the path"))?;
    let (workshop, endpoint) = pass::workshop(place, &args.llm)?;
    let besides: Vec<_> = endpoint.into_iter().collect();
    let spec = pass::spec(add::KIND, &add::words(&paths), site, &place.root, &besides, args.concurrency);
    let ledger = site.ledger(Access::ReadWrite)?;
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let output = site.output;
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output, cron: false };
    let hints = match Hints::begin() {
        Ok(hints) => Some(Arc::new(hints)),
        Err(error) => {
            let every = args.rescan.get().as_secs();
            tracing::warn!(%error, "the system tells of no change; everything is looked at every {every} seconds");
            None
        }
    };
    let shown: Vec<_> = paths.iter().map(|path| line(&path.display().to_string())).collect();
    output.note(format!("{}: adds what appears or changes in {} until SIGTERM", spec.name, shown.join(", ")));
    let turns = Turns { passes: &passes, engine: &engine, spec: &spec, workshop, ledger: &ledger, paths };
    turns.run(watched, hints, args.rescan.get()).await
}

/// What passes are run with.
struct Turns<'t> {
    passes: &'t Passes<'t>,
    engine: &'t Engine,
    spec: &'t JobSpec,
    workshop: Workshop<Compilers>,
    ledger: &'t Arc<SqliteLedger>,
    paths: Vec<PathBuf>,
}

/// How the last pass ended, where another is to follow it in any case.
struct Unfinished {
    report: PassReport,
    begun_at: Timestamp,
    /// When the next one is due, in time since some beginning.
    due: Duration,
}

impl Turns<'_> {
    async fn run(&self, watched: Watched, hints: Option<Arc<Hints>>, rescan: Duration) -> Result<ExitCode, Diagnosis> {
        let (clock, stop, output) = (&self.engine.clock, &self.engine.stop, self.passes.output);
        let mut eyes = Some(watched);
        let mut queue = BTreeSet::new();
        let (mut unfinished, mut idle, mut said, mut missing) = (None::<Unfinished>, 0, None, Vec::new());
        // What a pass left that was cut off goes first.
        let mut goes_on = pass::is_open(self.engine, self.spec).await?;
        let (mut what, mut all_due) = (Hint::Everywhere, Duration::ZERO);
        // Whether something is left that was found and is not in the base yet.
        let mut waits;
        loop {
            if what == Hint::Everywhere {
                all_due = clock.elapsed() + rescan;
            }
            let seen = self.look(&mut eyes, what, hints.clone()).await?;
            tell_gone(&seen, output);
            if seen.missing != missing {
                for path in &seen.missing {
                    output.note(format!(
                        "  note: {} is not there now; it is looked for again",
                        line(&path.display().to_string())
                    ));
                }
                missing.clone_from(&seen.missing);
            }
            if let Some(why) = hints.as_ref().and_then(|hints| hints.lacks()) {
                output.note(format!(
                    "  note: not every change is told at once ({}): everything is looked at every {} s",
                    line(&why),
                    rescan.as_secs()
                ));
            }
            queue.extend(seen.ready);
            // What went again before its turn is no document.
            queue.retain(|file: &PathBuf| file.symlink_metadata().is_ok());
            let is_due = unfinished.as_ref().is_none_or(|unfinished| clock.elapsed() >= unfinished.due);
            if is_due && (goes_on || !queue.is_empty() || unfinished.is_some()) {
                let begun_at = clock.now();
                let resumes = pass::is_open(self.engine, self.spec).await?;
                let left = if resumes { BTreeMap::new() } else { self.waits(&queue).await? };
                let report = self.pass(&queue, left).await?;
                let is_done = report.reason == Reason::Drained;
                // What a pass went on with was pinned before: what is new comes with the next one.
                goes_on = is_done && resumes;
                if is_done && !resumes {
                    queue.clear();
                }
                // A call's tokens do not come back.
                let is_spent = report.reason == Reason::BudgetTokens;
                let now_said = (report.exit, report.reason);
                if is_news(&report) || said != Some(now_said) {
                    self.passes.tell(&report).await;
                }
                said = Some(now_said);
                if stop.urgency() > Urgency::None {
                    waits = !is_done || goes_on || seen.again.is_some();
                    break;
                }
                upkeep::upkeep(self.passes.site, self.ledger, output).await;
                if is_spent {
                    return Ok(report.exit);
                }
                // A file that went as the pass began is refused by it; the next look leaves it out.
                let is_refused = report.exit == ExitCode::Refused;
                if is_refused && queue.iter().all(|file| file.symlink_metadata().is_ok()) {
                    return Ok(report.exit);
                }
                unfinished = None;
                if !is_done {
                    let soon = is_refused.then_some(Duration::from_millis(GATHER_MS));
                    let wait = soon.or_else(|| self.passes.wait_after(&report, &mut idle)).unwrap_or(rescan);
                    unfinished = Some(Unfinished { report, begun_at, due: clock.elapsed() + wait });
                } else {
                    idle = 0;
                }
                if goes_on {
                    what = Hint::In(BTreeSet::new());
                    continue;
                }
            }
            waits = !queue.is_empty() || unfinished.is_some() || seen.again.is_some();
            let now = clock.elapsed();
            let due = [Some(all_due), seen.again.map(|again| now + again), unfinished.as_ref().map(|left| left.due)];
            let wait = due.into_iter().flatten().min().unwrap_or(all_due).saturating_sub(now);
            tokio::select! {
                () = stop.raised(Urgency::Soon) => break,
                () = clock.sleep(wait) => {}
                () = woken(hints.as_deref()) => {
                    tokio::select! {
                        () = stop.raised(Urgency::Soon) => {
                            waits = true;
                            break;
                        }
                        () = clock.sleep(Duration::from_millis(GATHER_MS)) => {}
                    }
                }
                () = self.released(unfinished.as_ref()) => {
                    if let Some(left) = &mut unfinished {
                        left.due = clock.elapsed();
                    }
                }
            }
            let heard = hints.as_ref().and_then(|hints| hints.heard());
            what = match heard {
                _ if clock.elapsed() >= all_due => Hint::Everywhere,
                Some(hint) => hint,
                None => Hint::In(BTreeSet::new()),
            };
        }
        output.note(format!("{}: ended by a signal; the next start goes on", self.spec.name));
        Ok(if waits { ExitCode::Checkpoint } else { ExitCode::Drained })
    }

    /// Looks, away from the threads that wait.
    async fn look(&self, eyes: &mut Option<Watched>, what: Hint, hints: Option<Arc<Hints>>) -> Result<Seen, Diagnosis> {
        let mut watched = eyes.take().expect("invariant: it is put back after each look");
        let now = self.engine.clock.elapsed();
        let looked = tokio::task::spawn_blocking(move || {
            let seen = match what {
                Hint::Everywhere => watched.look(hints.as_deref(), now),
                Hint::In(directories) => watched.look_at(&directories, hints.as_deref(), now),
            };
            (watched, seen)
        });
        let (watched, seen) = looked
            .await
            .map_err(|error| Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message"))?;
        *eyes = Some(watched);
        Ok(seen)
    }

    /// One pass over these documents, or over what one that was cut off had pinned.
    async fn pass(&self, queue: &BTreeSet<PathBuf>, waits: BTreeMap<Origin, String>) -> Result<PassReport, Diagnosis> {
        let paths = if queue.is_empty() { self.paths.clone() } else { queue.iter().cloned().collect() };
        let named = Named { paths, addresses: Vec::new(), resources: Vec::new(), patience: Patience::default(), waits };
        let runner: Box<dyn Runner> = Box::new(Arc::new(KbAdd::new(self.workshop.clone(), named)));
        let mut report = runner.run(self.engine, self.spec, Mode::Run).await;
        report.notes.extend(self.passes.notifier.after_pass(self.engine, self.spec, &report).await);
        Ok(report)
    }

    /// What an earlier round left to a person, and is as it was: the list of the next one has it too, or nobody would know of it any more.
    async fn waits(&self, queue: &BTreeSet<PathBuf>) -> Result<BTreeMap<Origin, String>, Diagnosis> {
        let (ledger, mut waits) = (&self.engine.ledger, BTreeMap::new());
        let list = ledger.job(&self.spec.name).await?.and_then(|job| job.worklist);
        let (Some(list), false) = (list, queue.is_empty()) else { return Ok(waits) };
        let (filter, mut after) = (ItemFilter::Outcome("review".to_owned()), None);
        while waits.len() < WAITS_MAX {
            let items = ledger.items(list.id, &filter, ItemOrder::Position, after, PAGE_ROWS_MAX).await?;
            let Some(last) = items.last() else { break };
            after = Some(last.position);
            for item in items {
                let why = item.detail.unwrap_or_default();
                let origin = Origin::try_from(item.key.as_str().to_owned()).ok();
                let is_new = |origin: &Origin| origin.file().is_none_or(|file| queue.contains(&file));
                // Conflicts are told of by the base itself, for as long as there are any.
                if let Some(origin) = origin.filter(|origin| !is_new(origin) && conflict_of(&why).is_none()) {
                    waits.insert(origin, why);
                }
            }
        }
        Ok(waits)
    }

    /// Ends when a person lets go on what the last pass ended for.
    async fn released(&self, unfinished: Option<&Unfinished>) {
        match unfinished {
            Some(left) => released(self.engine, self.spec, left.report.reason, left.begun_at).await,
            None => std::future::pending().await,
        }
    }
}

async fn woken(hints: Option<&Hints>) {
    match hints {
        Some(hints) => hints.woken().await,
        None => std::future::pending().await,
    }
}

fn tell_gone(seen: &Seen, output: Output) {
    if output.json && !seen.gone.is_empty() {
        return output.json(&json!({ "gone": seen.gone }));
    }
    // What went with its directory is told by that.
    let mut gone = BTreeMap::<&Path, Option<u64>>::new();
    for file in &seen.gone {
        match file.ancestors().skip(1).take_while(|above| above.symlink_metadata().is_err()).last() {
            Some(directory) => *gone.entry(directory).or_default().get_or_insert_default() += 1,
            None => drop(gone.insert(file, None)),
        }
    }
    for (path, documents) in gone.iter().take(TOLD_GONE_MAX) {
        let (with, of) = match documents {
            None => (String::new(), "it"),
            Some(documents) => {
                (format!(" with {}", counted(*documents, "document")), if *documents == 1 { "it" } else { "them" })
            }
        };
        let path = line(&path.display().to_string());
        output.note(format!("  note: {path} is gone{with}; the base keeps what it has of {of}"));
    }
    if let Some(more) = gone.len().checked_sub(TOLD_GONE_MAX).filter(|more| *more > 0) {
        output.note(format!("  note: {more} more of them are gone"));
    }
}

/// Whether a pass came to something.
fn is_news(report: &PassReport) -> bool {
    let counts = &report.counts;
    counts.done + counts.gone + counts.review + counts.retry > 0 || report.diagnosis.is_some()
}
