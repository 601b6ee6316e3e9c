//! `doctor`: what a pass needs, line by line, each ok or with its fix. Owns the order of the checks and that none of them
//! makes or changes anything (but for the `-wal` and `-shm` that SQLite keeps beside a database while it is read); it ends with
//! exit 2 when a line needs a fix. Works as root, as any user, with a configuration that does not read and with a damaged
//! ledger: then it says so and checks the rest.

mod catalog;
mod databases;
mod episodes;
mod host;
pub(in crate::commands) mod jobs;
mod ledger;
mod locks;
mod place;
pub(in crate::commands) mod report;
mod rollups;
mod rows;

use std::path::PathBuf;

use highwater_engine::clock::SystemClock;
use highwater_engine::report::ExitCode;

use self::place::Place;
use self::report::Report;
use crate::cli::Global;
use crate::config::Config;
use crate::output::Output;
use crate::{Done, in_runtime};

/// Where it looks, as the user that passes run as.
struct Site {
    /// Absent where it does not read, and beside a bare ledger.
    config: Option<Config>,
    ledger: PathBuf,
    clock: highwater_engine::clock::SharedClock,
}

pub(crate) fn doctor(global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    let mut report = Report::default();
    // The owner is found, and become, before a thread is started.
    let place = Place::find(global, &mut report);
    let Some(Place { config, state, ledger, is_owner }) = place else { return answer(report, output) };
    let site = Site { config, ledger, clock: SystemClock::shared() };
    if let Some(config) = &site.config {
        jobs::check(config, &mut report);
        locks::check(config, &mut report);
    }
    episodes::check(&site, &mut report);
    in_runtime(async move {
        if is_owner {
            ledger::check(&site, &mut report).await;
            catalog::check(&site, &mut report).await;
        }
        databases::check(&site, &mut report).await;
        rollups::check(&site, &mut report).await;
        host::check(&site, &state, &mut report).await;
        answer(report, output)
    })
}

fn answer(report: Report, output: Output) -> Done {
    output.answer(&report, &report);
    Ok(if report.fixes() == 0 { ExitCode::Drained } else { ExitCode::Refused })
}
