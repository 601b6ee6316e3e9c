//! `ship --daemon`: a pass whenever an episode is finished, soon after a person lets it go on, and every few minutes in any case. Owns when the next one begins,
//! with which configuration, and what is printed of them; a pass is the engine's, and what is finished is the domain's to say.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::ledger::Ledger;
use highwater_engine::pass::{Engine, Mode};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_episodes::ship::Watch;
use highwater_store::{Access, SqliteLedger};
use tokio::signal::unix::Signal;

use super::super::needs_config;
use super::super::run::{Passes, released};
use crate::cli::Global;
use crate::config::{Config, KindSettings};
use crate::site::{Site, configuration};
use crate::wiring::{self, Wiring};
use crate::{signals, upkeep};

/// Between two scans where nothing is told of, in seconds: what a watch does not see is found then, and what the gate has parked is
/// asked for.
const SCAN_SECS: u64 = 300;

/// Why passes of one configuration end.
enum Ending {
    /// A signal.
    Signal,
    /// A pass was refused.
    Refused,
    /// Another configuration was read.
    Anew(Box<Config>),
}

pub(super) async fn daemon(name: &str, mut site: Site, flags: &Global) -> Result<ExitCode, Diagnosis> {
    settings(&site, name)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen_as_server());
    let mut shipper = Shipper { name, flags, engine, ledger, wiring: Wiring::new(&site), hangups: signals::hangups() };
    loop {
        match shipper.ship(&site).await? {
            Ending::Signal => break,
            Ending::Refused => return Ok(ExitCode::Refused),
            Ending::Anew(config) => site.config = Some(*config),
        }
    }
    site.output.note(format!("{name}: ended by a signal; the next start goes on"));
    Ok(ExitCode::Drained)
}

fn settings<'s>(
    site: &'s Site,
    name: &str,
) -> Result<(&'s Config, &'s highwater_episodes::ship::ShipSettings), Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("ship --daemon")) };
    match &config.job(name)?.kind {
        KindSettings::Ship(settings) => Ok((config, settings)),
        _ => Err(needs_config("ship --daemon")),
    }
}

/// What outlives a configuration.
struct Shipper<'f> {
    name: &'f str,
    flags: &'f Global,
    engine: Engine,
    ledger: Arc<SqliteLedger>,
    wiring: Wiring,
    hangups: Option<Signal>,
}

impl Shipper<'_> {
    /// Passes of one configuration.
    async fn ship(&mut self, site: &Site) -> Result<Ending, Diagnosis> {
        let (name, (config, settings)) = (self.name, settings(site, self.name)?);
        let job = config.job(name)?;
        wiring::make_dirs(config, job)?;
        wiring::tell_unset_targets(config);
        let (engine, stop) = (self.engine.clone(), self.engine.stop.clone());
        let passes =
            Passes { site, engine: &engine, notifier: wiring::notifier(site), output: site.output, cron: false };
        let (runner, spec) = passes.wired(&self.wiring, &job.name, ChildOutput::Inherit)?;
        // Before the first pass, so that nothing is finished between the two unseen.
        let mut watch = match Watch::begin(&settings.episodes) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(%error, "the directory of episodes cannot be watched; it is scanned every {SCAN_SECS} seconds");
                None
            }
        };
        site.output.note(format!("{name}: sends what is finished in {} until SIGTERM", settings.episodes.display()));
        let (mut idle, mut before) = (0, None);
        loop {
            let begun_at = engine.clock.now();
            if watch.is_none() {
                watch = Watch::begin(&settings.episodes).ok();
            }
            let mut report = runner.run(&engine, &spec, Mode::Run).await;
            report.notes.extend(passes.notifier.after_pass(&engine, &spec, &report).await);
            if stop.urgency() > Urgency::None {
                return Ok(Ending::Signal);
            }
            let said = (report.exit, report.reason);
            if is_news(&report) || before != Some(said) {
                passes.tell(&report).await;
            }
            before = Some(said);
            upkeep::upkeep(site, &self.ledger, site.output).await;
            if report.exit == ExitCode::Refused {
                return Ok(Ending::Refused);
            }
            let scan = Duration::from_secs(SCAN_SECS);
            // A receiver that is away or wants no contact is not asked because an episode is finished.
            let (wait, wakes) = match passes.wait_after(&report, &mut idle) {
                Some(wait) => (wait, report.reason == Reason::RetryLeft),
                None => (scan, true),
            };
            tokio::select! {
                () = stop.raised(Urgency::Soon) => return Ok(Ending::Signal),
                () = signals::next_hangup(&mut self.hangups) => {
                    if let Some(config) = self.read_anew(site) {
                        return Ok(Ending::Anew(Box::new(config)));
                    }
                }
                () = engine.clock.sleep(wait) => {}
                () = released(&engine, &spec, report.reason, begun_at) => {}
                () = woken(&mut watch), if wakes => {}
            }
        }
    }

    /// The configuration as the file is now, where this job can be run with it; else the old one stays.
    fn read_anew(&self, site: &Site) -> Option<Config> {
        let read = || -> Result<Config, Diagnosis> {
            let config = configuration(self.flags)
                .map_err(|errors| errors.into_iter().next().expect("invariant: what is not read has a mistake"))?;
            let job = config.job(self.name)?;
            wiring::make_dirs(&config, job)?;
            self.wiring.runner(&config, job, ChildOutput::Inherit)?;
            Ok(config)
        };
        let stays = "the configuration cannot be read again; the old one stays";
        match read() {
            Ok(config) if site.config.as_ref().is_some_and(|old| old.state_dir() != config.state_dir()) => {
                tracing::error!(error = "`state-dir` is another one, which waits for a restart", "{stays}");
                None
            }
            Ok(config) => {
                tracing::info!("the configuration is read again");
                Some(config)
            }
            Err(error) => {
                tracing::error!(error = %error.told(), "{stays}");
                None
            }
        }
    }
}

/// Ends when something may be finished, or when what was watched is not there any more: the next round watches what is. Never where nothing
/// is watched.
async fn woken(watch: &mut Option<Watch>) {
    let Some(watching) = watch else { return std::future::pending().await };
    if let Err(error) = watching.finished().await {
        tracing::warn!(%error, "the directory of episodes is no longer watched; what is there now is looked at, and watched");
        *watch = None;
    }
}

/// Whether a pass came to something.
fn is_news(report: &PassReport) -> bool {
    let counts = &report.counts;
    counts.done + counts.gone + counts.present + counts.review + counts.retry > 0 || report.diagnosis.is_some()
}
