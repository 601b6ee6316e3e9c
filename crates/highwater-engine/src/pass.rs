//! The pass: one bounded run of a job, in the order of DESIGN §3. Owns that order, and that every ending has its row, its exit
//! code and its sentence.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::breaker::{self, Foresight};
use crate::clock::SharedClock;
use crate::contact::{Contacts, Manners, StopSignal, Terms};
use crate::diagnosis::Diagnosis;
use crate::job::{CommitCx, Job, ReadCx, Stop};
use crate::ledger::{Fence, Ledger, LedgerError, LedgerFault, PinMode, Who, Word};
use crate::lock::LockWatch;
use crate::marker;
use crate::name::PassId;
use crate::pin;
use crate::pipeline::{AbortOnDrop, Drain, Stages, Width};
use crate::recorder::{self, Failing, Recording};
use crate::report::{ExitCode, PassCounts, PassReport, Reason, StageTimes, counted};
use crate::spec::JobSpec;
use crate::turnstile;
use crate::worklist::{Tally, WorklistRecord};

mod ending;
mod errand;
mod refusal;
mod rehearsal;
mod row;
mod state;

use ending::{Ending, is_final};
pub use refusal::Refusal;
use state::State;

/// How many of the passes that were killed are told of.
const KILLED_TOLD_MAX: usize = 3;

/// What every pass of a process shares.
#[derive(Clone)]
pub struct Engine {
    /// Where everything is remembered.
    pub ledger: Arc<dyn Ledger>,
    /// Time.
    pub clock: SharedClock,
    /// This host's name.
    pub host: String,
    /// This process.
    pub pid: u32,
    /// Who started it.
    pub who: Who,
    /// The signal that a person wants it to end.
    pub stop: StopSignal,
}

/// What a pass is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Drain.
    Run,
    /// Pin the worklist anew, or more of it, and drain nothing.
    Pin(PinMode),
}

/// A job as the registry holds it.
#[async_trait]
pub trait Runner: Send + Sync {
    /// One pass. Whatever happens, the report says it.
    async fn run(&self, engine: &Engine, spec: &JobSpec, mode: Mode) -> PassReport;
    /// What a pass would do, writing nothing.
    async fn rehearse(&self, engine: &Engine, spec: &JobSpec) -> PassReport;
}

#[async_trait]
impl<J: Job> Runner for Arc<J> {
    async fn run(&self, engine: &Engine, spec: &JobSpec, mode: Mode) -> PassReport {
        let (job, engine, spec) = (Arc::clone(self), engine.clone(), spec.clone());
        // On a worker of the runtime, where preparations run too: to wake a thread that only waits costs more than most items.
        let pass = tokio::spawn(async move {
            let mut pass = Pass::new(&engine, &spec);
            let ending = pass.go(&job, mode).await;
            pass.end(ending).await
        });
        pass.await.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
    }

    async fn rehearse(&self, engine: &Engine, spec: &JobSpec) -> PassReport {
        let mut pass = Pass::new(engine, spec);
        let ending = pass.rehearse(self).await;
        pass.report(ending)
    }
}

/// A pass on its way.
struct Pass<'e> {
    engine: &'e Engine,
    spec: &'e JobSpec,
    begun: Duration,
    begun_at: Timestamp,
    id: Option<PassId>,
    contacts: Arc<Contacts>,
    times: StageTimes,
    counts: PassCounts,
    tally: Option<Tally>,
    notes: Vec<String>,
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl<'e> Pass<'e> {
    fn new(engine: &'e Engine, spec: &'e JobSpec) -> Self {
        let manners = spec.resources.iter().map(|r| {
            (
                r.name.clone(),
                Manners { pace: r.pace, ban: r.ban, ban_file: r.ban_file.clone(), pacer: Arc::clone(&r.pacer) },
            )
        });
        let terms = Terms {
            manners: manners.collect(),
            budget: spec.budget,
            throttle: spec.throttle.clone(),
            far_side: Arc::clone(&spec.far_side),
        };
        let contacts = Contacts::new(
            spec.name.clone(),
            engine.who.clone(),
            Arc::clone(&engine.ledger),
            Arc::clone(&engine.clock),
            engine.stop.clone(),
            terms,
        );
        Self {
            engine,
            spec,
            begun: engine.clock.elapsed(),
            begun_at: engine.clock.now(),
            id: None,
            contacts: Arc::new(contacts),
            times: StageTimes::default(),
            counts: PassCounts::default(),
            tally: None,
            notes: Vec::new(),
        }
    }

    async fn go<J: Job>(&mut self, job: &Arc<J>, mode: Mode) -> Ending {
        match self.locked(job, mode).await {
            Ok(ending) => ending,
            Err(stop) => self.stopped(stop).await,
        }
    }

    /// open, lock, and what follows under it; the locks are let go after the end is written.
    async fn locked<J: Job>(&mut self, job: &Arc<J>, mode: Mode) -> Result<Ending, Stop> {
        self.engine.ledger.register_job(&self.spec.name, &self.spec.kind).await?;
        if !self.spec.armed {
            let message = "`armed = false` keeps this job from running on this host";
            return Ok(Ending::new(Reason::Disarmed, message));
        }
        let held = turnstile::pass_through(self.engine, self.spec).await?;
        self.times.lock_us = micros(self.engine.clock.elapsed().saturating_sub(self.begun));
        // What a person set is heeded from here on, and told with the pass.
        self.contacts.control().await?;
        let (pass, fence) = self.begin(held.keys().cloned().collect()).await?;
        let read = self.read_cx(Some(pass));
        let mut cx = CommitCx::new(read, held);
        let ending = match self.under_lock(job, mode, &fence, &mut cx).await {
            Ok(ending) => ending,
            Err(stop) => self.stopped(stop).await,
        };
        if matches!(ending.reason, Reason::BannedUntil) {
            // What a ban file said meanwhile is for the ledger too; if that fails now, the next pass reads the file again.
            if let Err(Stop::Fail(failed)) = self.contacts.share_bans().await {
                self.notes.push(format!("the ban is not in both ledger and file: {failed}"));
            }
        }
        self.notes.append(&mut cx.notes);
        if let Err(stop) = self.write_end(&ending).await
            && ending.reason.exit() != ExitCode::Failed
        {
            // Of two failures the first is told.
            return Err(stop);
        }
        self.note_quarantined().await;
        match marker::write(self.engine, self.spec).await {
            Ok(note) => self.notes.extend(note),
            Err(stop) => {
                let failed = self.stopped(stop).await;
                let why = failed.diagnosis.map_or(failed.message, |diagnosis| diagnosis.to_string());
                self.notes.push(format!("the markers are not what the ledger says: {why}"));
            }
        }
        // Only now are the locks let go: whoever takes them next finds this pass ended and its markers written.
        cx.release().await;
        Ok(ending)
    }

    /// What of the ledger this pass could not read and set aside: people are told, whatever the log does with it.
    async fn note_quarantined(&mut self) {
        // A ledger that cannot be read fails what follows.
        let Ok(Some(record)) = self.engine.ledger.job(&self.spec.name).await else { return };
        if let Some(quarantined) = record.quarantined.filter(|quarantined| quarantined.last_at >= self.begun_at) {
            self.notes.push(quarantined.sentence(&self.spec.handle));
        }
    }

    fn read_cx(&self, pass: Option<PassId>) -> ReadCx {
        ReadCx {
            job: self.spec.name.clone(),
            pass,
            clock: Arc::clone(&self.engine.clock),
            deadline: self.contacts.deadline(),
            contacts: Arc::clone(&self.contacts),
            tried: false,
        }
    }

    /// state, recover, ban, plan, drain, seal.
    async fn under_lock<J: Job>(
        &mut self,
        job: &Arc<J>,
        mode: Mode,
        fence: &Fence,
        cx: &mut CommitCx,
    ) -> Result<Ending, Stop> {
        marker::obey(self.engine, self.spec).await?;
        let open = match self.state(job, &cx.read, mode).await? {
            State::Go(open) => open,
            State::End(ending) => return Ok(ending),
        };
        let planning = self.engine.clock.elapsed();
        self.recover(job, fence, cx).await?;
        self.contacts.share_bans().await?;
        if mode == Mode::Run {
            self.contacts.obey(&self.contacts.control().await?)?;
        }
        let _watched = self.watch_signals(fence.pass);
        let worklist = match (mode, open) {
            (Mode::Pin(how), open) => {
                let how = if open.is_none() { PinMode::Begin } else { how };
                let pinned = pin::pin(self.engine, job, &cx.read, fence, how, &mut cx.notes).await?;
                self.tally = Some(pinned.tally);
                return Ok(Ending::new(Reason::Pinned, format!("{} pinned", counted(pinned.tally.total, "item"))));
            }
            (Mode::Run, Some(open)) => {
                pin::refuse_changed(self.engine, &**job, &cx.read, &self.spec.handle, Some(fence), &open).await?;
                if pin::takes_more(&**job, self.spec.recurring, &open) {
                    pin::extend(self.engine, self.spec, job, &cx.read, fence, open).await?
                } else {
                    open
                }
            }
            (Mode::Run, None) => pin::pin(self.engine, job, &cx.read, fence, PinMode::Begin, &mut cx.notes).await?,
        };
        self.times.plan_us = micros(self.engine.clock.elapsed().saturating_sub(planning));
        self.tally = Some(worklist.tally);
        let (stop, failing) = self.drain(job, fence, &worklist, cx).await;
        self.close(job, fence, &worklist, cx, stop, &failing).await
    }

    /// The pass, as one who does something.
    fn who(&self) -> Who {
        Who(self.id.map_or_else(|| self.engine.who.0.clone(), |id| format!("pass {id}")))
    }

    /// Finishes what a crash left, without contact.
    async fn recover<J: Job>(&mut self, job: &Arc<J>, fence: &Fence, cx: &mut CommitCx) -> Result<(), Stop> {
        let ledger = &self.engine.ledger;
        cx.killed = ledger.passes_unended(&self.spec.name, fence.pass).await?;
        // Of very many the last ones are told.
        let untold = cx.killed.len().saturating_sub(KILLED_TOLD_MAX);
        if untold > 0 {
            cx.notes.push(format!("{untold} more ended so before these"));
        }
        for pass in &cx.killed[untold..] {
            cx.notes.push(format!(
                "pass {} (host {}, process {}, begun {:.0}) was killed, or could not write its end; this pass goes on where it left off",
                pass.id, pass.host, pass.pid, pass.begun_at
            ));
        }
        job.recover(cx).await?;
        if !cx.killed.is_empty() {
            ledger.close_unended(&self.spec.name, fence.pass, self.engine.clock.now()).await?;
            cx.killed.clear();
        }
        Ok(())
    }

    /// Reads the job's signals, if it has any, for as long as what it gives is kept.
    fn watch_signals(&self, pass: PassId) -> Option<AbortOnDrop<()>> {
        self.contacts.throttle().begin();
        let (contacts, ledger) = (Arc::clone(&self.contacts), Arc::clone(&self.engine.ledger));
        let watch = async move { contacts.throttle().watch(&*ledger, pass).await };
        (!self.contacts.throttle().is_idle()).then(|| AbortOnDrop(tokio::spawn(watch)))
    }

    async fn drain<J: Job>(
        &mut self,
        job: &Arc<J>,
        fence: &Fence,
        worklist: &WorklistRecord,
        cx: &mut CommitCx,
    ) -> (Option<Stop>, Failing) {
        let (tally, figures) = watch::channel(worklist.tally);
        let stopper = self.contacts.stopper().clone();
        let stages = Arc::new(Stages::default());
        let foresight = Arc::new(Foresight::new(self.spec.breaker, figures.clone()));
        let (recorder, recording) = recorder::start(Recording {
            ledger: Arc::clone(&self.engine.ledger),
            clock: Arc::clone(&self.engine.clock),
            job: self.spec.name.clone(),
            who: Who(format!("pass {}", fence.pass)),
            fence: fence.clone(),
            worklist: worklist.id,
            attempts_max: self.spec.attempts_max,
            grouping: self.spec.grouping,
            breaker: self.spec.breaker,
            stopper: stopper.clone(),
            tally,
            foresight: Arc::clone(&foresight),
            failing: Failing::default(),
        });
        if worklist.tally.open() > 0 {
            let drain = Drain {
                job: Arc::clone(job),
                cx: cx.read.clone(),
                ledger: Arc::clone(&self.engine.ledger),
                worklist: worklist.id,
                pass: fence.pass,
                locks: LockWatch::new(cx.probes()),
                recorder,
                stopper: stopper.clone(),
                width: Width { concurrency: self.spec.concurrency, prefetch_bytes: self.spec.prefetch_bytes },
                stages: Arc::clone(&stages),
                foresight,
            };
            drain.run(cx).await;
        } else {
            drop(recorder);
        }
        let failing = match recording.await {
            Ok(end) => {
                self.counts = end.counts;
                end.failing
            }
            Err(error) => {
                stopper.stop(Stop::Fail(Diagnosis::failure(
                    "HW-BUG-002",
                    format!("recording broke off: {error}"),
                    "report it with this message; what was not recorded is tried again by the next pass",
                )));
                Failing::default()
            }
        };
        self.times.prepare_us = stages.prepare_us.load(Ordering::Relaxed);
        self.times.commit_us = stages.commit_us.load(Ordering::Relaxed);
        self.tally = Some(*figures.borrow());
        (stopper.stopped(), failing)
    }

    /// drained → seal │ else checkpoint or halt.
    async fn close<J: Job>(
        &mut self,
        job: &Arc<J>,
        fence: &Fence,
        worklist: &WorklistRecord,
        cx: &mut CommitCx,
        stop: Option<Stop>,
        failing: &Failing,
    ) -> Result<Ending, Stop> {
        let tally = self.tally.unwrap_or_default();
        let whole = tally.open() == 0;
        // A budget, a signal or a ban that came when everything was terminal leaves nothing undone.
        let stop = stop.filter(|stop| !whole || is_final(stop));
        if stop.is_none()
            && let Some(why) = breaker::tripped(&self.spec.breaker, &tally, true)
        {
            let who = Who(format!("pass {}", fence.pass));
            let engine = self.engine;
            return Err(recorder::halt(
                &*engine.ledger,
                &self.spec.name,
                &who,
                &engine.clock,
                why,
                failing.evidence(),
                None,
            )
            .await);
        }
        let mut ending = match stop {
            Some(stop) => self.stopped(stop).await,
            None if whole => Ending::new(Reason::Drained, "drained"),
            None if tally.open() > tally.retry => Ending::new(
                Reason::Checkpoint,
                format!(
                    "every open item in scope was tried; {} to be tried again, {} outside it stay open",
                    tally.retry,
                    tally.open() - tally.retry
                ),
            ),
            None => {
                Ending::new(Reason::RetryLeft, format!("every open item was tried; {} to be tried again", tally.open()))
            }
        };
        let sealing = self.engine.clock.elapsed();
        let report = self.report_of(&ending);
        job.seal(cx, &report).await?;
        if ending.reason == Reason::Drained {
            let word = Word {
                at: self.engine.clock.now(),
                who: Who(format!("pass {}", fence.pass)),
                why: format!("{}, all terminal, {} to review", counted(tally.total, "item"), tally.review),
            };
            match self.engine.ledger.seal_drained(fence, worklist.id, cx.watermarks(), &word).await {
                Err(error) if error.fault == LedgerFault::NotThere => ending = self.reopened(error).await?,
                sealed => sealed?,
            }
        }
        self.times.seal_us = micros(self.engine.clock.elapsed().saturating_sub(sealing));
        Ok(ending)
    }

    /// A person put items back while the pass was sealed: they are for the next one.
    async fn reopened(&mut self, refused: LedgerError) -> Result<Ending, Stop> {
        let worklist = self.engine.ledger.job(&self.spec.name).await?.and_then(|job| job.worklist);
        self.tally = worklist.map(|w| w.tally);
        let open = self.tally.map_or(0, |tally| tally.open());
        if open == 0 {
            return Err(refused.into());
        }
        Ok(Ending::new(Reason::RetryLeft, format!("put back while the pass was sealed: {}", counted(open, "item"))))
    }
}
