//! What `run --cron` prints: nothing but what changed to halted, 1 or 2, once. Owns that word in the ledger; the printing is
//! the command's.

use super::change::{GOOD, failure_key, got_on};
use crate::ledger::LedgerResult;
use crate::pass::Engine;
use crate::report::{PassReport, Reason};

/// The change under which the ledger remembers what was printed.
const CRON: &str = "cron";

/// Whether `run --cron` prints this pass's ending: when it changed to halted, 1 or 2 since the last one printed. A pass that
/// got on starts afresh. A ledger that cannot remember prints: rather twice than never.
pub async fn cron_prints(engine: &Engine, report: &PassReport) -> bool {
    match changed(engine, report).await {
        Ok(changed) => changed,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(job = %report.job, error, "what cron was told could not be remembered");
            report.reason == Reason::Halted || failure_key(report).is_some()
        }
    }
}

async fn changed(engine: &Engine, report: &PassReport) -> LedgerResult<bool> {
    let key = if report.reason == Reason::Halted {
        let halt = engine.ledger.job(&report.job).await?.and_then(|record| record.halt);
        halt.map_or_else(|| "halted".to_owned(), |halt| format!("halted {}", halt.at))
    } else if let Some(key) = failure_key(report) {
        key
    } else if got_on(report) {
        GOOD.to_owned()
    } else {
        return Ok(false);
    };
    let changed = engine.ledger.queue_notice(&report.job, CRON, &key, &[], "", engine.clock.now()).await?;
    Ok(changed && key != GOOD)
}
