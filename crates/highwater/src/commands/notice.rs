//! A notice that is not delivered, as `status` and `doctor` say it.

use highwater_engine::ledger::Notice;
use highwater_engine::report::counted;

use crate::table::line;

/// `drained to [[notify]] entry 1, not delivered after 2 attempts: https://example.org/… answered 500`.
pub(super) fn undelivered(notice: &Notice) -> String {
    let to = format!("{} to [[notify]] entry {}", notice.change, notice.target + 1);
    match &notice.last_error {
        Some(error) => {
            format!("{to}, not delivered after {}: {}", counted(u64::from(notice.attempts), "attempt"), line(error))
        }
        None => format!("{to}, not tried yet"),
    }
}
