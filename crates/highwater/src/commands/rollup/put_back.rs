//! `rollup install` of a rollup that is installed: what went missing is put back. Owns what is told of it, and that a job whose
//! database has no place for what was lost meanwhile is halted before.

use highwater_db::session::{Dialect, Session};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::ExitCode;
use highwater_rollup::declare::Declaration;
use highwater_rollup::{ddl, told};
use highwater_store::Access;
use serde::Serialize;

use super::super::{call, write_markers};
use super::Named;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a str,
    database: String,
    target: String,
    /// What had been wrong, a sentence each.
    put_back: &'a [String],
    /// Whether changes may have been lost meanwhile, so that nothing proves the target until it is verified.
    lost: bool,
}

/// Puts it back; `None` where nothing is installed yet.
pub(super) async fn put_back(
    named: &Named<'_>,
    declaration: &Declaration,
    session: &mut dyn Session,
    site: &Site,
) -> Result<Option<ExitCode>, Diagnosis> {
    let (job, name) = (&named.job.name, named.job.name.as_str());
    let refused = |error: ddl::InstallError| told::of_install(&named.place(), name, &error);
    if !ddl::is_installed(session, declaration).await.map_err(refused)? {
        return Ok(None);
    }
    let failed = |fault| told::of_fault(&named.place(), "what is installed", &fault);
    let drift = ddl::drift(session, declaration).await.map_err(failed)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    ledger.register_job(job, named.job.kind.name()).await?;
    if session.dialect() == Dialect::Sqlite
        && let Some(first) = drift.iter().find(|drift| drift.loses)
    {
        // Before it looks whole again: who is killed in between is not told that anything was lost.
        let why = format!("changes may have been lost: {}", first.what);
        ledger.halt(job, &site.word(&why), &way(site, name)).await?;
        write_markers(site, &*ledger, job).await;
    }
    let note = |note: &str| site.output.note(format_args!("{name}: {note}"));
    let done = ddl::put_back(session, declaration, &note).await.map_err(refused)?;
    let Some(done) = done else { return Ok(None) };
    let mut text = format!("{name}: installed already in {}, nothing to do", named.place());
    if !done.was.is_empty() {
        let why = format!("put back in {}: {}", named.place(), done.was.join("; "));
        ledger.add_event("install", Some(job), None, &site.word(&why)).await?;
        text = format!("{name}: installed already in {}; put back:", named.place());
        done.was.iter().for_each(|what| text.push_str(&format!("\n  {what}")));
    }
    let is_halted = ledger.job(job).await?.is_some_and(|record| record.halt.is_some());
    if done.lost {
        let next = if is_halted { way(site, name) } else { call(site, format_args!("verify {name} --repair")) };
        text.push_str(&format!(
            "\n  changes may have been lost meanwhile: nothing proves {} until it is verified\n  next: {next}",
            declaration.target
        ));
    } else if is_halted && !done.was.is_empty() {
        text.push_str(&format!("\n  next: {}", call(site, format_args!("rearm {name} --why …"))));
    }
    let (database, target, lost) = (named.place(), declaration.target.to_string(), done.lost);
    site.output.answer(&Answer { job: name, database, target, put_back: &done.was, lost }, text);
    Ok(Some(if lost { ExitCode::Halted } else { ExitCode::Drained }))
}

fn way(site: &Site, name: &str) -> String {
    let (verify, rearm) =
        (call(site, format_args!("verify {name} --repair")), call(site, format_args!("rearm {name} --why …")));
    format!("{verify}, then {rearm}")
}
