//! `retry`: puts items back, to be tried again as if for the first time.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{ItemFilter, Ledger};
use highwater_engine::name::JobName;
use serde::Serialize;

use super::items::{keys, outcome, refused, worklist};
use super::{call, done, job_with_row, next_pass, write_markers};
use crate::Done;
use crate::bar::grouped;
use crate::cli::Retry;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// Items that are open again.
    items: u64,
}

pub(crate) async fn retry(args: Retry, site: Site) -> Done {
    done(put_back(&args, &site).await)
}

async fn put_back(args: &Retry, site: &Site) -> Result<(), Diagnosis> {
    // Every outcome may be taken back, `done` too: it is a person's word, and the audit trail keeps it.
    let filter = match &args.outcome {
        Some(word) => ItemFilter::Outcome(outcome(word, &[])?),
        None => ItemFilter::Keys(keys(&args.keys, "KEY")?),
    };
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    worklist(site, &job, ledger.job(&job).await?)?;
    let items =
        ledger.retry_items(&job, &filter, &site.word(&args.why)).await.map_err(|error| refused(site, &job, error))?;
    write_markers(site, ledger, &job).await;

    let text = if items == 0 {
        format!(
            "{job}: no such item has an outcome to take back; look with {}",
            call(site, format_args!("items {job}"))
        )
    } else {
        let again = if items == 1 { "item is" } else { "items are" };
        let record = ledger.job(&job).await?;
        format!("{job}: {} {again} open again, untried; {}", grouped(items), next_pass(site, record.as_ref(), &job))
    };
    site.output.answer(&Answer { job: &job, items }, text);
    Ok(())
}
