//! The ledger: whether it opens, whether it is whole, whether there is a backup, and what it knows that a person should.

use std::fs;
use std::path::Path;
use std::time::Duration;

use highwater_engine::clock::{later, since};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{EventFilter, Ledger, LedgerResult, Notice, PAGE_ROWS_MAX};
use highwater_store::{Access, SqliteLedger};
use jiff::Timestamp;

use super::report::Report;
use super::{Site, rows};
use crate::bar::span;
use crate::commands::config::counted;
use crate::commands::notice::undelivered;
use crate::table::moment;

/// Oldest backup that is as it should be while passes run, in seconds: they are taken daily.
const BACKUP_AGE_SECS_MAX: u64 = 2 * 24 * 3600;
/// How long a row that was set aside is a line to fix, in seconds: a week, in which a person looks at the disk.
const QUARANTINE_SECS_MAX: u64 = 7 * 24 * 3600;
/// How far ahead of the clock the ledger may be, in seconds: hosts that share a disk differ a little.
const CLOCK_BEHIND_SECS_MAX: u64 = 5;

pub(super) async fn check(site: &Site, report: &mut Report) {
    let path = site.ledger.as_path();
    if !path.exists() {
        return report.ok("ledger", format_args!("{} is not there yet; the first pass makes it", path.display()));
    }
    let now = site.clock.now();
    match SqliteLedger::open(path, now, Access::ReadOnly) {
        Err(error) => report.error("ledger", &Diagnosis::from(error)),
        Ok(ledger) => {
            whole(&ledger, path, report).await;
            if let Err(error) = known(site, &ledger, now, report).await {
                report.error("ledger", &Diagnosis::from(error));
            }
            if let Err(error) = rows::withdrawals(site, &ledger, report).await {
                report.error("ledger", &Diagnosis::from(error));
            }
        }
    }
    backup(path, now, report);
}

async fn whole(ledger: &SqliteLedger, path: &Path, report: &mut Report) {
    let lines = match ledger.check().await {
        Ok(lines) => lines,
        Err(error) => return report.error("ledger", &Diagnosis::from(error)),
    };
    let wrong: Vec<_> = lines.iter().filter(|line| !line.ok).collect();
    for line in &wrong {
        let fix = "stop all passes, move the file away and put the newest good backup (below) in its place";
        report.fix("ledger", format_args!("{}: {}", path.display(), line.text), fix);
    }
    if wrong.is_empty() {
        report.ok("ledger", format_args!("{}: whole, and its figures are what a count gives", path.display()));
    }
}

/// What its rows say of the clock and of undelivered messages.
async fn known(site: &Site, ledger: &SqliteLedger, now: Timestamp, report: &mut Report) -> LedgerResult<()> {
    let ahead = later(now, Duration::from_secs(CLOCK_BEHIND_SECS_MAX));
    let mut events = EventFilter { since: Some(ahead), ..EventFilter::default() };
    let mut latest: Option<Timestamp> = None;
    loop {
        let page = ledger.events(&events, PAGE_ROWS_MAX).await?;
        let Some(last) = page.last() else { break };
        events.after = last.no;
        latest = page.iter().map(|event| event.at).max().max(latest);
    }
    let jobs = ledger.jobs().await?;
    let passes =
        jobs.iter().filter_map(|job| job.last_pass.as_ref()).map(|pass| pass.ended_at.unwrap_or(pass.begun_at));
    let newest = passes.max().max(latest);
    match newest.filter(|at| *at > ahead) {
        Some(at) => report.fix(
            "clock",
            format_args!("the ledger knows of {}, and the clock says {}: it went back", moment(at), moment(now)),
            "set the clock: until it has caught up, bans stand longer and rates are wrong",
        ),
        None => report.ok("clock", format_args!("{}, later than all that the ledger knows of", moment(now))),
    }
    for (job, quarantined) in jobs.iter().filter_map(|job| Some((job, job.quarantined?))) {
        let handle = match &site.config {
            Some(_) => job.name.to_string(),
            None => format!("{} --ledger {}", job.name, site.ledger.display()),
        };
        let told = format!("{}: {}", job.name, quarantined.sentence(&handle));
        if since(now, quarantined.last_at) < Duration::from_secs(QUARANTINE_SECS_MAX) {
            let fix = "mend or replace the disk if it is at fault; the rows as they were are in the table `quarantine` of the ledger";
            report.fix("damage", told, fix);
        } else {
            report.ok("damage", told);
        }
    }
    let notices = ledger.notices_waiting().await?;
    let failed: Vec<&Notice> = notices.iter().filter(|notice| notice.attempts > 0).collect();
    for notice in &failed {
        report.fix(
            "notify",
            format_args!("{}: {}", notice.job, undelivered(notice)),
            "look at that entry of the configuration; it is tried again at the end of later passes",
        );
    }
    if failed.is_empty() {
        let waiting = if notices.is_empty() {
            "no notice waits".to_owned()
        } else {
            format!("{} to be tried", counted(notices.len(), "notice"))
        };
        report.ok("notify", waiting);
    }
    Ok(())
}

/// The newest backup that is whole; the ledger itself may be damaged.
fn backup(path: &Path, now: Timestamp, report: &mut Report) {
    let newest = match SqliteLedger::newest_good_backup(path) {
        Ok(newest) => newest,
        Err(error) => return report.error("backup", &Diagnosis::from(error)),
    };
    let Some(newest) = newest else {
        return report.ok("backup", "none yet; a pass takes one a day, at its end");
    };
    let written = |path: &Path| {
        fs::metadata(path).and_then(|meta| meta.modified()).ok().and_then(|at| Timestamp::try_from(at).ok())
    };
    let age = written(&newest).map(|at| since(now, at)).unwrap_or_default();
    // A ledger that nothing was written to needs no newer one.
    let behind = written(path).zip(written(&newest)).map(|(ledger, backup)| since(ledger, backup)).unwrap_or_default();
    let found = format!("{} is whole, taken {} ago", newest.display(), span(age));
    if behind > Duration::from_secs(BACKUP_AGE_SECS_MAX) {
        let fix = "make the directory of backups writable and its disk large enough; the log of the last pass says what failed";
        report.fix("backup", format_args!("{found}, and the ledger was written to since"), fix);
    } else {
        report.ok("backup", found);
    }
}
