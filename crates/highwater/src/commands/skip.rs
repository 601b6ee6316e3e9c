//! `skip`: a person's word that items are not to be drained.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::JobName;
use serde::Serialize;

use super::items::{keys, refused, worklist};
use super::{call, done, job_with_row};
use crate::Done;
use crate::bar::grouped;
use crate::cli::Skip;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// Items that are skipped now.
    items: u64,
    /// Items whose outcome stands: the effect is there.
    stand: u64,
}

pub(crate) async fn skip(args: Skip, site: Site) -> Done {
    done(skipped(&args, &site).await)
}

async fn skipped(args: &Skip, site: &Site) -> Result<(), Diagnosis> {
    let keys = keys(&args.keys, "KEY")?;
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    worklist(site, &job, ledger.job(&job).await?)?;
    let items =
        ledger.skip_items(&job, &keys, &site.word(&args.why)).await.map_err(|error| refused(site, &job, error))?;

    let stand = u64::try_from(keys.len()).unwrap_or(u64::MAX).saturating_sub(items);
    let mut text =
        format!("{job}: {} skipped; {} puts one back", grouped(items), call(site, format_args!("retry {job} KEY")));
    if stand > 0 {
        text.push_str(&format!("; {} had succeeded or were skipped before, which stands", grouped(stand)));
    }
    site.output.answer(&Answer { job: &job, items, stand }, text);
    Ok(())
}
