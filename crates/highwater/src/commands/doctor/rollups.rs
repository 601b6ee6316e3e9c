//! Declared rollups: whether what is installed is what is declared, each difference with the way back.

use highwater_db::address::DatabaseAddress;
use highwater_db::session::{Fault, Session};
use highwater_rollup::declare::Declaration;
use highwater_rollup::settings::{RollupSettings, Subject};
use highwater_rollup::{ddl, told};

use super::Site;
use super::databases::within;
use super::report::Report;
use crate::config::KindSettings;

/// What was found of one rollup.
enum Found {
    /// It cannot be looked at.
    Closed(Fault),
    NotInstalled,
    Installed {
        drift: Vec<ddl::Drift>,
        /// What ends no pass.
        outgrown: Vec<String>,
    },
}

pub(super) async fn check(site: &Site, report: &mut Report) {
    let Some(config) = &site.config else { return };
    for job in config.jobs.values() {
        let KindSettings::Rollup(settings) = &job.kind else { continue };
        let Ok(Subject::Declared(declaration)) = settings.subject() else { continue };
        // A database that does not open or answer is a line of its own.
        let looked = async { Ok(look(settings, &declaration).await) };
        let Ok(Some(found)) = within(site, looked).await else { continue };
        let name = job.name.as_str();
        match found {
            Found::Closed(fault) => {
                let place = settings.address().map(|address| address.to_string()).unwrap_or_default();
                report.error("rollup", &told::of_fault(&place, &format!("what is installed of {name}"), &fault));
            }
            Found::NotInstalled => report.ok("rollup", format_args!("{name} is not installed yet")),
            Found::Installed { drift, outgrown } if drift.is_empty() && outgrown.is_empty() => {
                report.ok("rollup", format_args!("{name}: what is installed is what is declared"));
            }
            Found::Installed { drift, outgrown } => {
                for drift in drift {
                    report.fix("rollup", format_args!("{name}: {}", drift.what), told::way_back(name, drift.way));
                }
                for what in outgrown {
                    let (found, fix) = what.split_once(": ").unwrap_or((&what, ""));
                    report.fix("rollup", format_args!("{name}: {found}"), fix);
                }
            }
        }
    }
}

/// What there is; `None` where the database does not open.
async fn look(settings: &RollupSettings, declaration: &Declaration) -> Option<Found> {
    let address = settings.address().expect("invariant: the configuration was checked");
    if matches!(&address, DatabaseAddress::Sqlite(path) if !path.is_file()) {
        return None;
    }
    let mut session = address.open(settings.busy_timeout.get()).await.ok()?;
    Some(installed(&mut *session, declaration).await.unwrap_or_else(Found::Closed))
}

async fn installed(session: &mut dyn Session, declaration: &Declaration) -> Result<Found, Fault> {
    if ddl::leftovers(session, declaration).await?.is_empty() {
        return Ok(Found::NotInstalled);
    }
    let drift = ddl::drift(session, declaration).await?;
    // Of a declaration that is another, that says it all.
    let outgrown = match drift.iter().any(|drift| drift.way == ddl::Way::Change) {
        true => Vec::new(),
        false => ddl::outgrown(session, declaration).await?,
    };
    Ok(Found::Installed { drift, outgrown })
}
