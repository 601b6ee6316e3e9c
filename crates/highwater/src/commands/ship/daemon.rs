//! `ship --daemon`: a pass whenever an episode is finished, soon after a person lets it go on, and every few minutes in any case. Owns when the next one begins and
//! what is printed of them; a pass is the engine's, and what is finished is the domain's to say.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::ledger::Ledger;
use highwater_engine::pass::Mode;
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_episodes::ship::Watch;
use highwater_store::Access;

use super::super::needs_config;
use super::super::run::{Passes, released};
use crate::config::KindSettings;
use crate::site::Site;
use crate::wiring::{self, Wiring};
use crate::{signals, upkeep};

/// Between two scans where nothing is told of, in seconds: what a watch does not see is found then, and what the gate has parked is
/// asked for.
const SCAN_SECS: u64 = 300;

pub(super) async fn daemon(name: &str, site: &Site) -> Result<ExitCode, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("ship --daemon")) };
    let job = config.job(name)?;
    let KindSettings::Ship(settings) = &job.kind else { return Err(needs_config("ship --daemon")) };
    wiring::make_dirs(config, job)?;
    wiring::tell_unset_targets(config);
    let ledger = site.ledger(Access::ReadWrite)?;
    let stop = signals::listen();
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, stop.clone());
    let passes = Passes { site, engine: &engine, notifier: wiring::notifier(site), output: site.output, cron: false };
    let wiring = Wiring::new(site);
    let (runner, spec) = passes.wired(&wiring, &job.name, ChildOutput::Inherit)?;
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
        let mut report = runner.run(&engine, &spec, Mode::Run).await;
        report.notes.extend(passes.notifier.after_pass(&engine, &spec, &report).await);
        if stop.urgency() > Urgency::None {
            break;
        }
        let said = (report.exit, report.reason);
        if is_news(&report) || before != Some(said) {
            passes.tell(&report).await;
        }
        before = Some(said);
        upkeep::upkeep(site, &ledger, site.output).await;
        if report.exit == ExitCode::Refused {
            return Ok(report.exit);
        }
        let scan = Duration::from_secs(SCAN_SECS);
        // A receiver that is away or wants no contact is not asked because an episode is finished.
        let (wait, wakes) = match passes.wait_after(&report, &mut idle) {
            Some(wait) => (wait, report.reason == Reason::RetryLeft),
            None => (scan, true),
        };
        tokio::select! {
            () = stop.raised(Urgency::Soon) => break,
            () = engine.clock.sleep(wait) => {}
            () = released(&engine, &spec, report.reason, begun_at) => {}
            () = woken(&mut watch), if wakes => {}
        }
    }
    site.output.note(format!("{name}: ended by a signal; the next start goes on"));
    Ok(ExitCode::Drained)
}

/// Ends when something may be finished; never where nothing is watched.
async fn woken(watch: &mut Option<Watch>) {
    if let Some(watching) = watch {
        match watching.finished().await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "the directory of episodes is no longer watched; it is scanned every {SCAN_SECS} seconds");
            }
        }
        *watch = None;
    }
    std::future::pending().await
}

/// Whether a pass came to something.
fn is_news(report: &PassReport) -> bool {
    let counts = &report.counts;
    counts.done + counts.gone + counts.present + counts.review + counts.retry > 0 || report.diagnosis.is_some()
}
