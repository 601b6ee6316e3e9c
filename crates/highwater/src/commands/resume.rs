//! `resume`: ends a pause.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{JobState, Ledger};
use highwater_engine::name::JobName;
use serde::Serialize;

use super::{call, codes, done, job_with_row, next_pass};
use crate::Done;
use crate::cli::Pause;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    state: JobState,
}

pub(crate) async fn resume(args: Pause, site: Site) -> Done {
    done(resumed(&args, &site).await)
}

async fn resumed(args: &Pause, site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    if !ledger.resume(&job, &site.word(&args.why)).await? {
        return Err(Diagnosis::refusal(
            codes::NOT_PAUSED,
            format!("{job} is not paused; expected a job that is, and nothing was changed"),
            format!("look with {}", call(site, format_args!("status {job}"))),
        ));
    }
    let record = ledger.job(&job).await?;
    let state = record.as_ref().map_or(JobState::Active, |record| record.state);
    let text = match state {
        JobState::Drained => format!("{job}: resumed; its worklist is drained"),
        _ => format!("{job}: resumed; {}", next_pass(site, record.as_ref(), &job)),
    };
    site.output.answer(&Answer { job: &job, state }, text);
    Ok(())
}
