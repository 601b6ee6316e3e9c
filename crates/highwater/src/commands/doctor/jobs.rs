//! What jobs need on this host: their lists, their programs.

use std::fs::File;
use std::io::Read;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::name::JobName;
use highwater_episodes::ship::parked::{self, parked};
use highwater_episodes::ship::{ShipSettings, at_work, strays};

use super::report::Report;
use crate::config::{Config, Environment, KindSettings, advise};

pub(super) fn check(config: &Config, report: &mut Report) {
    for job in config.jobs.values() {
        if let KindSettings::Ship(settings) = &job.kind {
            check_parked(&job.name, settings, report);
        }
        let list = match &job.kind {
            KindSettings::Exec(exec) => &exec.worklist,
            KindSettings::OaiBackfill(backfill) => &backfill.ids,
            KindSettings::OaiHarvest(_)
            | KindSettings::Rollup(_)
            | KindSettings::Ship(_)
            | KindSettings::Reindex(_)
            | KindSettings::KbAdd(_) => &None,
        };
        let Some(worklist) = list else { continue };
        // A directory opens, and only then cannot be read.
        match File::open(worklist).and_then(|mut file| file.read(&mut [0])) {
            Ok(_) => report.ok("worklist", format_args!("{}: {worklist} is readable", job.name)),
            Err(error) => report.fix(
                "worklist",
                format_args!("{}: {worklist} cannot be read: {error}", job.name),
                "put the list there, or correct `worklist`; until then a pass is refused",
            ),
        }
    }
    let advice = advise(config, &Environment::of_process());
    for advice in &advice {
        report.error("config", &advice.0);
    }
    if advice.is_empty() && !config.jobs.is_empty() {
        report.ok("programs", "every command's program is there");
    }
}

/// What keeps archives from being set aside in an outbox.
pub(in crate::commands) fn check_aside(job: &JobName, settings: &ShipSettings, report: &mut Report) {
    // What cannot be looked at is told where the directories are.
    if let Ok(Some(fault)) = parked::aside_fault(&settings.outbox) {
        let found = format_args!("{job}: an archive cannot be set aside: {}", with_causes(&fault)).to_string();
        report.fix("parked", found, fault.next());
    }
}

/// Who works in an outbox now. That is well, and whoever else ships from it waits for that long.
pub(in crate::commands) fn tell_turn(job: &JobName, settings: &ShipSettings, report: &mut Report) {
    if let Some(holder) = at_work(&settings.outbox) {
        report
            .ok("outbox", format_args!("{job}: {} is held by {holder}, a pass that works there now", settings.outbox));
    }
}

/// What the outbox keeps for itself and is not as it should be.
fn check_own(job: &JobName, settings: &ShipSettings, report: &mut Report) {
    for stray in strays(&settings.outbox).unwrap_or_default() {
        report.fix("outbox", format_args!("{job}: {stray}"), stray.next());
    }
}

/// What waits for a person, whichever round it was of.
fn check_parked(job: &JobName, settings: &ShipSettings, report: &mut Report) {
    check_aside(job, settings, report);
    check_own(job, settings, report);
    tell_turn(job, settings, report);
    if let Ok(waiting) = parked::waiting(&settings.episodes, &settings.outbox)
        && let Some(told) = parked::told_waiting(&waiting)
    {
        let next = format!(
            "`highwater ship {job}` sends what is whole, and says what is not; `highwater episodes resolve --job {job}` lists each, with what is \
             in the place of its directory"
        );
        report.fix("waiting", format_args!("{job}: {told}"), next);
    }
    match parked::aside(&settings.outbox) {
        Ok(aside) => {
            if let Some(told) = parked::told_aside(&aside) {
                let next = format!("`highwater episodes resolve --job {job}` says how each is sent");
                report.fix("parked", format_args!("{job}: {told}"), next);
            }
        }
        Err(error) => report.fix(
            "parked",
            format_args!("{job}: what lies aside cannot be read: {}", with_causes(&error)),
            "check the disk and the permissions of `outbox`",
        ),
    }
    match parked(&settings.episodes, &settings.outbox) {
        Ok(all) => {
            if let Some(told) = parked::told(&all) {
                let next =
                    format!("`highwater episodes resolve --job {job}` lists them, each with why and what mends it");
                report.fix("parked", format_args!("{job}: {told}"), next);
            }
        }
        Err(error) => report.fix(
            "parked",
            format_args!("{job}: what is parked cannot be read: {}", with_causes(&error)),
            "check the disk and the permissions of `outbox`",
        ),
    }
}
