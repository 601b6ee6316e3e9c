//! `rearm`: clears a halt.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{JobState, Ledger};
use highwater_engine::name::JobName;
use serde::Serialize;

use super::{call, codes, done, job_with_row, next_pass, write_markers};
use crate::Done;
use crate::cli::Word;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    state: JobState,
}

pub(crate) async fn rearm(args: Word, site: Site) -> Done {
    done(rearmed(&args, &site).await)
}

async fn rearmed(args: &Word, site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    if !ledger.rearm(&job, &site.word(&args.why)).await? {
        return Err(Diagnosis::refusal(
            codes::NOT_HALTED,
            format!("{job} is not halted; expected a job that is, and nothing was changed"),
            format!("look with {}", call(site, format_args!("status {job}"))),
        ));
    }
    write_markers(site, ledger, &job).await;
    let record = ledger.job(&job).await?;
    let state = record.as_ref().map_or(JobState::Active, |record| record.state);
    let is_recurring =
        site.config.as_ref().and_then(|config| config.settings(&job)).is_some_and(|settings| settings.recurring);
    let text = match state {
        // A recurring job is drained until its next round.
        JobState::Drained if !is_recurring => {
            format!("{job}: re-armed; its worklist is drained, so there is nothing to do")
        }
        _ => format!("{job}: re-armed, the breaker counts afresh; {}", next_pass(site, record.as_ref(), &job)),
    };
    site.output.answer(&Answer { job: &job, state }, text);
    Ok(())
}
