//! Declared rollups: whether what is installed is what is declared, each difference with the way back.

use highwater_db::address::DatabaseAddress;
use highwater_db::session::Fault;
use highwater_rollup::declare::Declaration;
use highwater_rollup::settings::{RollupSettings, Subject};
use highwater_rollup::{ddl, told};

use super::Site;
use super::databases::within;
use super::report::Report;
use crate::config::KindSettings;

/// What was found of one rollup.
enum Found {
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
        let looked = async { look(settings, &declaration).await.map_err(|fault| (fault.message, String::new())) };
        // A database that does not open or answer is a line of its own.
        let Ok(found) = within(site, looked).await else { continue };
        let name = job.name.as_str();
        match found {
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

async fn look(settings: &RollupSettings, declaration: &Declaration) -> Result<Found, Fault> {
    let address = settings.address().expect("invariant: the configuration was checked");
    if matches!(&address, DatabaseAddress::Sqlite(path) if !path.is_file()) {
        return Ok(Found::NotInstalled);
    }
    let mut session = address.open(settings.busy_timeout.get()).await?;
    if ddl::leftovers(&mut *session, declaration).await?.is_empty() {
        return Ok(Found::NotInstalled);
    }
    let drift = ddl::drift(&mut *session, declaration).await?;
    // Of a declaration that is another, that says it all.
    let outgrown = match drift.iter().any(|drift| drift.way == ddl::Way::Change) {
        true => Vec::new(),
        false => ddl::outgrown(&mut *session, declaration).await?,
    };
    Ok(Found::Installed { drift, outgrown })
}
