//! `rollup change`: what is declared now takes the place of what is installed. Owns what is refused before anything is built, and
//! what is told after; the change is a pass of the job.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::ExitCode;
use highwater_rollup::change::{ChangeRefused, check, installed, take_away};
use highwater_rollup::job::{self, Asked};
use highwater_rollup::told;
use highwater_store::Access;
use serde::Serialize;

use super::super::run::rollup_pass;
use super::Named;
use crate::cli::Change;
use crate::site::Site;

/// Passes of one call: one for what was open yet, one for the change.
const PASSES_MAX: u32 = 2;

#[derive(Serialize)]
struct Changed<'a> {
    job: &'a str,
    /// The fields that were another.
    changed: Vec<&'static str>,
    /// Whether a change that was begun and given up was taken away.
    taken_away: bool,
}

pub(super) async fn change(args: &Change, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup change", &args.job)?;
    let declaration = named.declared("rollup change")?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let mut session = named.open().await?;
    let name = named.job.name.as_str();
    let refused = |error: ChangeRefused| told::of_change(&named.place(), name, &error);
    let Some(before) = installed(&mut *session, declaration).await.map_err(refused)? else {
        let failed = |fault| refused(ChangeRefused::Fault(fault));
        session.begin().await.map_err(failed)?;
        let taken_away = take_away(&mut *session, declaration).await.map_err(refused)?;
        session.commit().await.map_err(failed)?;
        let mut text = format!("{name}: {} is as it is declared, there is nothing to change", declaration.target);
        if taken_away {
            text.push_str("; what an unfinished change had built beside was taken away");
        }
        site.output.answer(&Changed { job: name, changed: Vec::new(), taken_away }, text);
        return Ok(ExitCode::Drained);
    };
    check(&mut *session, &before, declaration, args.drop_frozen).await.map_err(refused)?;
    let changed = before.differing(declaration);
    let mut why = format!("{}: another `{}`", declaration.target, changed.join("`, `"));
    if args.drop_frozen {
        why.push_str(", frozen buckets may go");
    }
    if !args.why.is_empty() {
        why.push_str(&format!(": {}", args.why));
    }
    ledger.register_job(&named.job.name, named.job.kind.name()).await?;
    ledger.add_event("change", Some(&named.job.name), None, &site.word(&why)).await?;
    for _ in 0..PASSES_MAX {
        let asked = Asked { change: Some(job::Change { drop_frozen: args.drop_frozen }), ..Asked::default() };
        let report = rollup_pass(site, std::sync::Arc::clone(&ledger), &named.job.name, asked).await?;
        if report.exit != ExitCode::Drained {
            return Ok(report.exit);
        }
        if installed(&mut *session, declaration).await.map_err(refused)?.is_none() {
            let text =
                format!("{name}: {} is what is declared now: another `{}`", declaration.target, changed.join("`, `"));
            site.output.answer(&Changed { job: name, changed, taken_away: false }, text);
            return Ok(ExitCode::Drained);
        }
    }
    Ok(ExitCode::Checkpoint)
}
