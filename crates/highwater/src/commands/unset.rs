//! `unset`: what a person set of a job is as the configuration has it again.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, Override};
use highwater_engine::name::JobName;
use highwater_engine::steering::SteeringKey;
use serde::Serialize;

use super::set::named;
use super::{call, codes, done, job_with_row, next_pass};
use crate::Done;
use crate::cli::Unset;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// What was unset.
    unset: &'a [String],
    /// Everything that is still set of the job.
    overrides: &'a [Override],
}

pub(crate) async fn unset(args: Unset, site: Site) -> Done {
    done(unsetting(&args, &site).await)
}

async fn unsetting(args: &Unset, site: &Site) -> Result<(), Diagnosis> {
    let keys = args.keys.iter().map(|key| named(key).map(SteeringKey::word)).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    let unset = ledger.unset_overrides(&job, &keys, &site.word(&args.why)).await?;
    if unset.is_empty() {
        let what = if keys.is_empty() { "nothing is".to_owned() } else { format!("{} is not", keys.join(", ")) };
        return Err(Diagnosis::refusal(
            codes::NOTHING_SET,
            format!("{what} set of {job}; expected something that is, and nothing was changed"),
            format!("look with {}", call(site, format_args!("status {job}"))),
        ));
    }
    let record = ledger.job(&job).await?;
    let overrides = record.as_ref().map(|record| record.overrides.as_slice()).unwrap_or_default();
    let text = format!("{job}: unset {}; {}", unset.join(", "), next_pass(site, record.as_ref(), &job));
    site.output.answer(&Answer { job: &job, unset: &unset, overrides }, text);
    Ok(())
}
