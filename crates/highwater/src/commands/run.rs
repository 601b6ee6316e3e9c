//! `run`: one pass of each job, in the order of the file; or passes until drained. Owns repetition and what is printed of a
//! pass; the pass itself is the engine's.

mod rest;

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::{StopSignal, Urgency};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::JobName;
use highwater_engine::notify::{Notifier, cron_prints};
use highwater_engine::pass::{Engine, Mode, Refusal, Runner};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::spec::JobSpec;
use highwater_engine::worklist::WorklistState;
use highwater_rollup::job::Asked;
use jiff::tz::TimeZone;

use super::codes;
pub(super) use rest::released;

use crate::bar::{Progress, grouped, span};
use crate::cli::{Limits, Run, RunRollup};
use crate::config::Config;
use crate::cron::{self, Matter, Said};
use crate::output::Output;
use crate::site::Site;
use crate::wiring::{self, Wiring};
use crate::{Done, signals, upkeep};
use highwater_store::{Access, SqliteLedger};

/// First and longest wait between passes that came to nothing, in seconds.
const WAIT_SECS_MIN: u64 = 1;
const WAIT_SECS_MAX: u64 = 60;

pub(crate) async fn run(args: Run, site: Site) -> Done {
    let one = |e| vec![e];
    let Some(config) = &site.config else {
        return Err(one(super::needs_config("run")));
    };
    let output = site.output;
    let said = (args.cron && !args.dry_run).then(|| Said::at(config.state_dir()));
    let chosen = match chosen(&args, config) {
        Ok(chosen) => chosen,
        Err(refusal) => {
            let errors = one(refusal);
            return match &said {
                Some(said) if !said.is_news(&Matter::Call, &cron::text(&errors)) => Ok(ExitCode::Refused),
                Some(_) => Ok(output.errors(&errors)),
                None => Err(errors),
            };
        }
    };
    let glance = if args.dry_run { Some(site.ledger_to_read().map_err(one)?) } else { None };
    let ledger = match &glance {
        Some(glance) => Arc::clone(&glance.ledger),
        None => site.ledger(Access::ReadWrite).map_err(one)?,
    };
    wiring::tell_unset_targets(config);
    if let Some(said) = &said {
        // It opened: what was said of that is over.
        said.is_news(&Matter::Site, "");
        said.is_news(&Matter::Call, "");
        let unset: Vec<_> = config.unset_notify().cloned().collect();
        if said.is_news(&Matter::Notify, &cron::text(&unset)) {
            output.errors(&unset);
        }
    }
    let stop = signals::listen();
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, stop);
    let wiring = Wiring::new(&site).asking(asked(&args.rollup, site.clock.now()));
    let passes = Passes { site: &site, engine: &engine, notifier: wiring::notifier(&site), output, cron: args.cron };
    let mut worst = ExitCode::Drained;
    for name in chosen {
        let report = if args.dry_run {
            let (runner, spec) = passes.wired(&wiring, name, ChildOutput::Inherit).map_err(one)?;
            let report = runner.rehearse(&engine, &spec).await;
            passes.tell(&report).await;
            report
        } else {
            passes.of_job(&args, &wiring, name).await.map_err(one)?
        };
        worst = worst.worst(report.exit);
        if engine.stop.urgency() > Urgency::None {
            break;
        }
    }
    if !args.dry_run {
        upkeep::upkeep(&site, &ledger, output).await;
    }
    Ok(worst)
}

/// The jobs that are to run, in file order; `--all` leaves out what is disarmed on this host.
fn chosen<'c>(args: &Run, config: &'c Config) -> Result<Vec<&'c JobName>, Diagnosis> {
    for name in &args.jobs {
        config.declared_job(name)?;
    }
    let declared = config.declared_jobs();
    if args.all && declared.is_empty() {
        // A file that a full disk has emptied must not look like work that is done.
        return Err(Diagnosis::refusal(
            codes::NO_JOBS,
            "found no job, expected at least one `[job.NAME]`",
            "add one; `highwater init DIR` writes one to copy",
        )
        .in_file(&config.file)
        .at_field("--all"));
    }
    let wanted = |name: &JobName| {
        let named = args.jobs.iter().any(|wanted| wanted == name.as_str());
        named || (args.all && config.settings(name).is_some_and(|settings| settings.armed))
    };
    let chosen: Vec<_> = declared.into_iter().map(|(name, _)| name).filter(|name| wanted(name)).collect();
    if let Some(flag) = rollup_flag(&args.rollup) {
        for name in &chosen {
            let Some(job) = config.jobs.get(*name) else { continue };
            if job.kind.name() != "rollup" {
                return Err(Diagnosis::refusal(
                    codes::NO_ROLLUP,
                    format!("found {name}, a job of kind `{}`; {flag} is for one of kind `rollup`", job.kind.name()),
                    "name rollups alone, or leave the flag out",
                )
                .in_file(&config.file)
                .at_line(job.line)
                .at_field(flag));
            }
        }
    }
    Ok(chosen)
}

/// The flag that was given and is for rollups alone.
fn rollup_flag(asked: &RunRollup) -> Option<&'static str> {
    let given = [
        (asked.tick, "--tick"),
        (asked.since.is_some(), "--since"),
        (asked.months_back.is_some(), "--months-back"),
        (asked.force_partial, "--force-partial"),
    ];
    given.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
}

/// What a person asked of rollups; months are counted back from the one that is now.
fn asked(asked: &RunRollup, now: jiff::Timestamp) -> Asked {
    let months_back = asked.months_back.map(|months| {
        let day = now.to_zoned(TimeZone::UTC).first_of_month().and_then(|day| day.start_of_day());
        let day = day.and_then(|day| day.checked_sub(jiff::Span::new().months(months)));
        day.map_or(jiff::Timestamp::MIN, |day| day.timestamp())
    });
    Asked {
        tick: asked.tick,
        since: asked.since.or(months_back),
        months_back: asked.since.is_none() && months_back.is_some(),
        force_partial: asked.force_partial,
        change: None,
    }
}

/// Puts the limits of the command line over those of the configuration.
pub(crate) fn limit(spec: &mut JobSpec, limits: &Limits) {
    let budget = &mut spec.budget;
    budget.items = limits.max_items.or(budget.items);
    budget.contacts = limits.max_contacts.or(budget.contacts);
    budget.bytes = limits.max_bytes.map(|size| size.bytes()).or(budget.bytes);
    budget.time = limits.max_time.map(Duration::from).or(budget.time);
}

/// How passes are run and told.
pub(crate) struct Passes<'s> {
    pub(crate) site: &'s Site,
    pub(crate) engine: &'s Engine,
    pub(crate) notifier: Notifier,
    pub(crate) output: Output,
    pub(crate) cron: bool,
}

impl Passes<'_> {
    /// A job as the engine takes it; one that lacks a variable here is one whose passes are refused.
    pub(super) fn wired(
        &self,
        wiring: &Wiring,
        name: &JobName,
        output: ChildOutput,
    ) -> Result<(Box<dyn Runner>, JobSpec), Diagnosis> {
        let Some(config) = &self.site.config else { return Err(super::needs_config("run")) };
        if let Some(unset) = config.unset_job(name) {
            let spec = JobSpec::new(name.clone(), unset.kind, Vec::new(), &unset.settings);
            return Ok((Box::new(Refusal(unset.refusal())), spec));
        }
        wiring.runner(config, config.job(name.as_str())?, output)
    }

    async fn of_job(&self, args: &Run, wiring: &Wiring, name: &JobName) -> Result<PassReport, Diagnosis> {
        let Some(config) = &self.site.config else { return Err(super::needs_config("run")) };
        let (_, mut spec) = self.wired(wiring, name, ChildOutput::Inherit)?;
        if args.rollup.since.is_some() || args.rollup.months_back.is_some() {
            let flag = if args.rollup.since.is_some() { "--since" } else { "--months-back" };
            self.refuse_open(name, flag).await?;
        }
        limit(&mut spec, &args.limits);
        if let Some(job) = config.jobs.get(name) {
            wiring::make_dirs(config, job)?;
        }
        let progress =
            Progress::follow(Arc::clone(&self.engine.ledger), Arc::clone(&self.site.clock), &spec, self.output);
        let (runner, _) = self.wired(wiring, name, super::child_output(&progress, self.output))?;
        Ok(self.until(&*runner, &spec, args.until_drained, progress).await)
    }

    /// What is pinned was planned without the flag.
    async fn refuse_open(&self, name: &JobName, flag: &str) -> Result<(), Diagnosis> {
        let open = self.engine.ledger.job(name).await?.and_then(|job| job.worklist);
        if open.is_none_or(|worklist| worklist.state != WorklistState::Pinned) {
            return Ok(());
        }
        Err(Diagnosis::refusal(
            codes::WORKLIST_OPEN,
            format!("{name} has an open worklist, which was planned without it"),
            format!("drain it first: `highwater run {name}`"),
        )
        .at_field(flag))
    }

    /// One pass, or passes until one says that another would not help.
    pub(crate) async fn until(
        &self,
        runner: &dyn Runner,
        spec: &JobSpec,
        until_drained: bool,
        mut progress: Progress,
    ) -> PassReport {
        let mut idle = 0;
        loop {
            let begun_at = self.engine.clock.now();
            let mut report = runner.run(self.engine, spec, Mode::Run).await;
            report.notes.extend(self.notifier.after_pass(self.engine, spec, &report).await);
            let wait = if until_drained { self.wait_after(&report, &mut idle) } else { None };
            let Some(wait) = wait else {
                drop(progress);
                self.tell(&report).await;
                return report;
            };
            if let Some(bar) = progress.bar() {
                bar.println(sentence(&report));
            } else {
                self.tell(&report).await;
            }
            if !rest(self.engine, wait, released(self.engine, spec, report.reason, begun_at)).await {
                drop(progress);
                return report;
            }
            if progress.bar().is_none() {
                progress =
                    Progress::follow(Arc::clone(&self.engine.ledger), Arc::clone(&self.site.clock), spec, self.output);
            }
        }
    }

    /// How long to wait before the next pass; `None` when another pass would not help.
    pub(super) fn wait_after(&self, report: &PassReport, idle: &mut u32) -> Option<Duration> {
        let progressed = report.counts.done + report.counts.gone + report.counts.present + report.counts.review > 0;
        *idle = if progressed { 0 } else { *idle + 1 };
        let backoff = || {
            let secs = WAIT_SECS_MIN.checked_shl(*idle).unwrap_or(WAIT_SECS_MAX).min(WAIT_SECS_MAX);
            Some(Duration::from_secs(secs))
        };
        match report.reason {
            Reason::BannedUntil => match report.until {
                Some(until) => Some(highwater_engine::clock::since(until, self.site.clock.now())),
                None => backoff(),
            },
            Reason::BudgetItems | Reason::BudgetContacts | Reason::BudgetBytes | Reason::BudgetTokens => {
                Some(Duration::ZERO)
            }
            Reason::BudgetTime if progressed => Some(Duration::ZERO),
            Reason::RetryLeft
            | Reason::Network
            | Reason::Checkpoint
            | Reason::Throttled
            | Reason::LockHeld
            | Reason::Yielded
            | Reason::LockLost
            | Reason::BudgetTime => backoff(),
            _ => None,
        }
    }

    /// Prints how the pass ended.
    pub(crate) async fn tell(&self, report: &PassReport) {
        if self.cron && !cron_prints(self.engine, report).await {
            return;
        }
        if self.output.json {
            return self.output.json(report);
        }
        self.output.line(sentence(report));
        if let Some(diagnosis) = &report.diagnosis {
            self.output.errors(std::slice::from_ref(diagnosis));
        }
        for note in &report.notes {
            self.output.note(format!("  note: {note}"));
        }
    }
}

/// One pass of a rollup for another command, told as `run` tells it.
///
/// # Errors
/// As the wiring of a job.
pub(crate) async fn rollup_pass(
    site: &Site,
    ledger: Arc<SqliteLedger>,
    name: &JobName,
    asked: Asked,
) -> Result<PassReport, Diagnosis> {
    let Some(config) = &site.config else { return Err(super::needs_config("run")) };
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let wiring = Wiring::new(site).asking(asked);
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output: site.output, cron: false };
    let job = config.job(name.as_str())?;
    wiring::make_dirs(config, job)?;
    let (runner, spec) = passes.wired(&wiring, name, ChildOutput::Inherit)?;
    let mut report = runner.run(&engine, &spec, Mode::Run).await;
    report.notes.extend(passes.notifier.after_pass(&engine, &spec, &report).await);
    if report.exit != ExitCode::Drained {
        passes.tell(&report).await;
    }
    Ok(report)
}

/// Waits, unless a signal or a person's word comes first; whether another pass may begin.
async fn rest(engine: &Engine, wait: Duration, released: impl Future<Output = ()>) -> bool {
    let stop: &StopSignal = &engine.stop;
    if stop.urgency() > Urgency::None {
        return false;
    }
    tokio::select! {
        () = engine.clock.sleep(wait) => true,
        () = released => true,
        () = stop.raised(Urgency::Soon) => false,
    }
}

/// `load: drained. 9,981 done, 12 gone, 7 review in 3s; 10,000 of 10,000 terminal (pass 14)`.
pub(crate) fn sentence(report: &PassReport) -> String {
    let mut text = match report.diagnosis {
        // The error itself follows, and says the rest.
        Some(_) => format!("{}: {}", report.job, report.reason),
        None => format!("{}: {}", report.job, report.message),
    };
    let counts = [
        (report.counts.done, "done"),
        (report.counts.present, "present"),
        (report.counts.gone, "gone"),
        (report.counts.review, "review"),
        (report.counts.retry, "retry"),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", grouped(*n))).collect();
    if !counts.is_empty() {
        text.push_str(&format!("; this pass: {} in {}", counts.join(", "), span(report.took)));
    }
    if let Some(tally) = report.tally.as_ref().filter(|tally| tally.total > 0) {
        text.push_str(&format!("; {} of {} terminal", grouped(tally.terminal()), grouped(tally.total)));
        if tally.review > 0 {
            text.push_str(&format!(", {} in review", grouped(tally.review)));
        }
    }
    if let Some(pass) = report.pass {
        text.push_str(&format!(" (pass {pass}, exit {})", report.exit.number()));
    }
    text
}
