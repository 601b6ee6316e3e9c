//! Upkeep at the end of a run: the daily backup and the retention of old rows. Owns when; how is the ledger's.

use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_oai::catalog::Access as CatalogAccess;
use highwater_store::SqliteLedger;

use crate::output::Output;
use crate::site::Site;
use crate::wiring;

/// Rows forgotten in one transaction.
const PRUNE_ROWS: usize = 1000;
/// Batches of them at the end of one run; what is left goes at the end of the next.
const PRUNE_BATCHES_MAX: usize = 20;
/// Days that rows are kept beside a ledger without a configuration.
const KEEP_DAYS: u64 = 400;
const HOURS_A_DAY: i64 = 24;

/// Backs up and forgets. A failure is told and ends nothing: the work of the pass is done and recorded.
pub(crate) async fn upkeep(site: &Site, ledger: &Arc<SqliteLedger>, output: Output) {
    let now = site.clock.now();
    let keep_days = site.config.as_ref().map_or(KEEP_DAYS, |config| config.top.keep_days.get());
    match ledger.backup_if_due(now).await {
        Ok(Some(path)) => tracing::info!(path = %path.display(), "the ledger was backed up"),
        Ok(None) => {}
        Err(error) => output.note(format!("warning: the ledger's backup failed: {}", Diagnosis::from(error).message)),
    }
    if let Some(config) = &site.config {
        for path in wiring::oai::catalogs(config).iter().filter(|path| path.exists()) {
            let keep = config.top.backups_keep.as_usize();
            let taken = match wiring::oai::open_catalog(path, now, CatalogAccess::ReadOnly) {
                Ok(catalog) => catalog.backup_if_due(now, keep).await.map_err(Diagnosis::from),
                Err(error) => Err(error),
            };
            match taken {
                Ok(Some(path)) => tracing::info!(path = %path.display(), "the catalogue was backed up"),
                Ok(None) => {}
                Err(error) => {
                    output.note(format!("warning: the backup of {} failed: {}", path.display(), error.message));
                }
            }
        }
    }
    let hours =
        jiff::SignedDuration::from_hours(HOURS_A_DAY * i64::try_from(keep_days).unwrap_or(i64::MAX / HOURS_A_DAY));
    let Ok(before) = now.checked_sub(hours) else { return };
    for _ in 0..PRUNE_BATCHES_MAX {
        match ledger.prune(before, PRUNE_ROWS).await {
            Ok(0) => return,
            Ok(rows) => tracing::info!(rows, "rows older than {keep_days} days were forgotten"),
            Err(error) => {
                return output
                    .note(format!("warning: old rows could not be forgotten: {}", Diagnosis::from(error).message));
            }
        }
    }
}
