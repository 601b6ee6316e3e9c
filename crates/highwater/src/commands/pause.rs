//! `pause`: a person's word that a job rests until `resume`.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Halt, Ledger};
use highwater_engine::name::JobName;
use highwater_store::Access;
use serde::Serialize;

use super::{call, done, job_with_row};
use crate::Done;
use crate::cli::Pause;
use crate::site::Site;
use crate::table::{line, moment};

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// The pause that stands.
    paused: Option<&'a Halt>,
}

pub(crate) async fn pause(args: Pause, site: Site) -> Done {
    done(paused(&args, &site).await)
}

async fn paused(args: &Pause, site: &Site) -> Result<(), Diagnosis> {
    site.refuse_no_job(&args.job)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let job = job_with_row(site, &*ledger, &args.job).await?;
    let paused_now = ledger.pause(&job, &site.word(&args.why)).await?;
    let paused = ledger.job(&job).await?.and_then(|record| record.paused);
    let text = match &paused {
        Some(first) if !paused_now => {
            let why = if first.why.is_empty() { String::new() } else { format!(": {}", line(&first.why)) };
            format!("{job}: paused already since {} by {}{why}", moment(first.at), first.who.0)
        }
        _ => format!(
            "{job}: paused; a running pass ends before its next item, the next ones end with exit 3, until {}",
            call(site, format_args!("resume {job}"))
        ),
    };
    site.output.answer(&Answer { job: &job, paused: paused.as_ref() }, text);
    Ok(())
}
