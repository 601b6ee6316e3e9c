//! `halt`: a person's word that a job stops until `rearm`.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Halt, Ledger};
use highwater_engine::name::JobName;
use highwater_store::Access;
use serde::Serialize;

use super::{call, done, job_with_row, write_markers};
use crate::Done;
use crate::cli::Word;
use crate::site::Site;
use crate::table::{line, moment};

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// Whether this call halted it.
    halted: bool,
    /// What stands.
    halt: Option<&'a Halt>,
}

pub(crate) async fn halt(args: Word, site: Site) -> Done {
    done(halted(&args, &site).await)
}

async fn halted(args: &Word, site: &Site) -> Result<(), Diagnosis> {
    site.refuse_no_job(&args.job)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let job = job_with_row(site, &*ledger, &args.job).await?;
    let halted = ledger.halt(&job, &site.word(&args.why), &args.why).await?;
    write_markers(site, &*ledger, &job).await;
    let halt = ledger.job(&job).await?.and_then(|record| record.halt);
    let text = match &halt {
        Some(first) if !halted => {
            let first = format!("since {} by {}: {}", moment(first.at), first.who.0, line(&first.why));
            format!("{job}: halted already {first}; that stands")
        }
        _ => format!(
            "{job}: halted; a running pass ends before its next item, the next ones end with exit 4, until {}",
            call(site, format_args!("rearm {job} --why …"))
        ),
    };
    site.output.answer(&Answer { job: &job, halted, halt: halt.as_ref() }, text);
    Ok(())
}
