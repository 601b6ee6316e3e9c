//! The fence: a pass whose lock was taken over by a newer one writes nothing more (R16).

use highwater_engine::ledger::{Fence, LedgerError, LedgerFault};
use highwater_engine::name::LockEpoch;
use rusqlite::{Connection, OptionalExtension as _};

use super::column::{Name, Number};
use super::fault::{Failure, Step};

/// Refuses unless every epoch is the ledger's own.
pub(super) fn check(db: &Connection, fence: &Fence) -> Step<()> {
    let mut epoch = db.prepare_cached(include_str!("resource/epoch.sql"))?;
    for (resource, ours) in &fence.epochs {
        let theirs = epoch.query_row([Name(resource)], |row| row.get::<_, Number<LockEpoch>>(0)).optional()?;
        let theirs = theirs.map_or(LockEpoch(0), |epoch| epoch.0);
        if theirs != *ours {
            return Err(Failure::Refused(LedgerError::new(
                LedgerFault::Fenced,
                format!(
                    "pass {} lost the lock of {resource}: it holds epoch {ours}, and the ledger is at {theirs}; nothing was written",
                    fence.pass
                ),
            )));
        }
    }
    Ok(())
}
