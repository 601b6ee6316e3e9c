//! `ship --ping`: each step from the receiver's name to its gate, a line each. Owns that a ban is obeyed and kept (R2), and what the
//! lines come to; the steps are the domain's.

use highwater_engine::ban::{self, retry_after};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::ledger::{Halt, Ledger as _};
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::report::ExitCode;
use highwater_episodes::ship::probe::{Probe, Proof, probe};
use highwater_episodes::ship::{ScanError, Ship, in_the_way, places};
use highwater_store::Access;

use super::super::doctor::jobs::{check_aside, tell_turn};
use super::super::doctor::report::Report;
use super::super::needs_config;
use crate::config::KindSettings;
use crate::site::Site;
use crate::table::moment;
use crate::wiring::{Wiring, ship};

pub(super) async fn ping(name: &str, site: &Site) -> Result<ExitCode, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("ship --ping")) };
    let job = config.job(name)?;
    let KindSettings::Ship(settings) = &job.kind else { return Err(needs_config("ship --ping")) };
    let mut report = Report::default();
    let place = match ship::place(config, job, settings) {
        Ok(place) => place,
        // A certificate that is no certificate is a line like any other.
        Err(error) if error.code == "HW-EPI-104" => {
            report.error("certificate", &error);
            return Ok(tell(&report, site, ExitCode::Halted));
        }
        Err(error) => return Err(error),
    };
    let resource = place.receiver.resource.clone();
    if let Some((until, why)) = banned(site, &resource).await? {
        let next = format!("wait, or end it: `highwater lift {resource} --why …`");
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        report.fix("ban", format!("{resource} is not contacted before {}{why}", moment(until)), next);
        return Ok(tell(&report, site, ExitCode::Checkpoint));
    }
    // A pass would be refused, however well the receiver is.
    if let Err(error) = places::check(&place.shelves, &place.outbox, &place.receiver.host) {
        report.error("episodes", &error);
    }
    for dir in [&place.shelves.shipped, &place.outbox] {
        if let Some(error @ ScanError::NotADirectory { found, .. }) = &in_the_way(dir) {
            report.fix("episodes", with_causes(error), found.next());
        }
    }
    if let Some(halt) = halt(site, &job.name).await? {
        let next = format!(
            "`highwater status {0}` says more; then `highwater rearm {0} --why …`: until then nothing is sent",
            job.name
        );
        report.fix("job", format!("it is halted: {}", halt.why), next);
    }
    check_aside(&job.name, settings, &mut report);
    tell_turn(&job.name, settings, &mut report);
    let receiver = place.receiver.clone();
    let codes = match Ship::new(place).codes().await {
        Ok(codes) => codes,
        Err(Stop::Fail(error)) => {
            report.error("episodes", &error);
            Vec::new()
        }
        Err(other) => {
            return Err(Diagnosis::failure(
                "HW-BUG-001",
                format!("a look stopped: {other:?}"),
                "report it with this message",
            ));
        }
    };
    let Probe { steps, ban, why } = probe(&receiver, &site.clock, settings.tls.certificate.is_some(), &codes).await;
    for step in steps {
        match step.proof {
            Proof::Good => report.ok(step.what, step.found),
            Proof::Bad(next) => report.fix(step.what, step.found, next),
        }
    }
    if let Some((value, date)) = ban {
        let spec = Wiring::new(site).resource(resource.clone(), config.resource(resource.as_str())?.1)?;
        let now = site.clock.now();
        let wait = retry_after(value.as_deref(), date.as_deref(), now, &spec.ban);
        let ledger = site.ledger(Access::ReadWrite)?;
        let stands = ledger
            .extend_ban(
                &resource,
                ban::until(now, wait),
                &site.word(why.as_deref().unwrap_or("the receiver answered a ping with it")),
            )
            .await?;
        if let Some(file) = &spec.ban_file {
            file.extend(stands.until, spec.ban.max, &site.clock).await?;
        }
        return Ok(tell(&report, site, ExitCode::Checkpoint));
    }
    Ok(tell(&report, site, ExitCode::Halted))
}

/// Why the job is halted; a ping contacts the receiver all the same, since a person who looks is about to mend it.
async fn halt(site: &Site, job: &JobName) -> Result<Option<Halt>, Diagnosis> {
    let glance = site.ledger_to_read()?;
    Ok(glance.ledger.job(job).await?.and_then(|record| record.halt))
}

/// The ban that stands, in the ledger or in the file that other programs share, with what the ledger says of why.
async fn banned(site: &Site, resource: &ResourceName) -> Result<Option<(jiff::Timestamp, Option<String>)>, Diagnosis> {
    let now = site.clock.now();
    let glance = site.ledger_to_read()?;
    let known = glance.ledger.resources().await?;
    let of_ledger = known.into_iter().find(|known| known.name == *resource).and_then(|known| known.ban);
    let of_file = match super::super::ban::file(site, resource) {
        Some(file) => file.read(super::super::ban::longest(site, resource))?,
        None => None,
    };
    let all = [
        of_ledger.map(|ban| (ban.until, Some(ban.why).filter(|why| !why.is_empty()))),
        of_file.map(|until| (until, None)),
    ];
    Ok(all.into_iter().flatten().filter(|(until, _)| *until > now).max())
}

/// Prints the lines; `otherwise` is what they come to where one needs a fix.
fn tell(report: &Report, site: &Site, otherwise: ExitCode) -> ExitCode {
    site.output.answer(report, report);
    if report.fixes() == 0 { ExitCode::Drained } else { otherwise }
}
