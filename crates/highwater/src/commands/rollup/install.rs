//! `rollup ddl`, `install`, `uninstall`, `diff`: from a declaration to what is in the database, and back.

use highwater_db::session::{Fault, FaultKind, Session};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::ExitCode;
use highwater_rollup::declare::Declaration;
use highwater_rollup::guard::{self, block};
use highwater_rollup::precheck::{self, Before};
use highwater_rollup::settings::Subject;
use highwater_rollup::{change, ddl as sql, told};
use highwater_store::Access;
use serde::Serialize;

use super::super::codes;
use super::Named;
use super::put_back::put_back;
use crate::bar::{counted, grouped};
use crate::cli::{Ddl, OfRollup, Uninstall};
use crate::site::Site;

#[derive(Serialize)]
struct Statements<'a> {
    job: &'a str,
    sql: String,
}

pub(super) fn ddl(args: &Ddl, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup ddl", &args.job)?;
    let text = if args.guard {
        block(named.dialect(), subject(&named), named.job.name.as_str(), named.settings.threshold.get())
    } else {
        sql::printed(named.dialect(), named.declared("rollup ddl")?)
    };
    site.output.answer(&Statements { job: named.job.name.as_str(), sql: text.clone() }, text.trim_end());
    Ok(ExitCode::Drained)
}

pub(in crate::commands) fn subject<'n>(named: &'n Named<'_>) -> guard::Subject<'n> {
    match &named.subject {
        Subject::Declared(declaration) => guard::Subject::Declared(declaration),
        Subject::Window(window, _) => guard::Subject::Window(window),
    }
}

#[derive(Serialize)]
struct Installed<'a> {
    job: &'a str,
    database: String,
    target: String,
    objects: Vec<String>,
    /// What works, and would work better otherwise.
    advice: Vec<String>,
}

/// Looks first, and says everything that is wrong at once.
pub(super) async fn install(args: &OfRollup, site: &Site) -> Result<ExitCode, Vec<Diagnosis>> {
    let one = |error| vec![error];
    let named = Named::of(site, "rollup install", &args.job).map_err(one)?;
    let declaration = named.declared("rollup install").map_err(one)?;
    let mut session = named.open().await.map_err(one)?;
    let checked = precheck::check(&mut *session, declaration, Before::Install).await;
    let checked = checked
        .map_err(|fault| one(told::of_fault(&named.place(), "what is to be rolled up", &fault).at_field("database")))?;
    if !checked.refused.is_empty() {
        return Err(checked.refused.into_iter().map(|error| named.placed(error)).collect());
    }
    if let Some(exit) = put_back(&named, declaration, &mut *session, site).await.map_err(one)? {
        return Ok(exit);
    }
    installed(&named, declaration, &mut *session, checked.advice, site).await.map_err(one)
}

async fn installed(
    named: &Named<'_>,
    declaration: &Declaration,
    session: &mut dyn Session,
    advice: Vec<String>,
    site: &Site,
) -> Result<ExitCode, Diagnosis> {
    let ledger = site.ledger(Access::ReadWrite)?;
    let note = |note: &str| site.output.note(format_args!("{}: {note}", named.job.name));
    let installed = sql::apply_noting(session, declaration, &note).await;
    installed.map_err(|error| told::of_install(&named.place(), named.job.name.as_str(), &error))?;
    let why = format!("{} in {}", declaration.target, named.place());
    ledger.register_job(&named.job.name, named.job.kind.name()).await?;
    ledger.add_event("install", Some(&named.job.name), None, &site.word(&why)).await?;
    let objects = sql::installed(session, declaration).await;
    let objects = objects.map_err(|fault| told::of_fault(&named.place(), "what is installed", &fault))?;
    let kinds = ["table", "index", "function", "trigger"].map(|kind| {
        let count = objects.iter().filter(|object| object.starts_with(kind)).count() as u64;
        (count > 0).then(|| counted(count, kind).replace("indexs", "indexes"))
    });
    let kinds: Vec<String> = kinds.into_iter().flatten().collect();
    let mut text = format!(
        "{}: installed in {}: {} for {declaration_target}\n  next: `highwater run {}` seeds it",
        named.job.name,
        named.place(),
        kinds.join(", "),
        named.job.name,
        declaration_target = declaration.target
    );
    advice.iter().for_each(|advice| text.push_str(&format!("\n  note: {advice}")));
    let (job, target) = (named.job.name.as_str(), declaration.target.to_string());
    site.output.answer(&Installed { job, database: named.place(), target, objects, advice }, text);
    Ok(ExitCode::Drained)
}

#[derive(Serialize)]
struct Uninstalled<'a> {
    job: &'a str,
    database: String,
    rows: i64,
}

pub(super) async fn uninstall(args: &Uninstall, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup uninstall", &args.job)?;
    let declaration = named.declared("rollup uninstall")?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let mut session = named.open().await?;
    let failed = |fault| told::of_fault(&named.place(), "taking it away", &fault);
    if precheck::is_of_others(&mut *session, declaration).await.map_err(failed)? {
        return Err(named.placed(
            Diagnosis::refusal(
                "HW-ROL-048",
                format!(
                    "found {} and nothing else of this rollup: it is somebody else's, and stays",
                    declaration.target
                ),
                "drop it yourself, if it may go",
            )
            .at_field("target"),
        ));
    }
    let rows = match rows(&mut *session, &declaration.target.quoted()).await {
        Ok(rows) => rows,
        Err(fault) if fault.kind == FaultKind::Undefined => 0,
        Err(fault) => return Err(failed(fault)),
    };
    if rows > 0 && !args.drop_rows {
        return Err(Diagnosis::refusal(
            codes::ROWS_GO,
            format!("{} has {} rows, which would go with it", declaration.target, grouped(rows.unsigned_abs())),
            "add `--drop-rows` if they may go; rows whose raw rows were deleted cannot be computed again",
        ));
    }
    session.begin().await.map_err(failed)?;
    if let Err(fault) = sql::wait_briefly(&mut *session).await {
        session.rollback().await.ok();
        return Err(failed(fault));
    }
    // And what a change has built beside.
    if let Err(error) = change::take_away(&mut *session, declaration).await {
        session.rollback().await.ok();
        return Err(told::of_change(&named.place(), named.job.name.as_str(), &error));
    }
    // What is there was declared so, whatever is declared now.
    let found = change::found(&mut *session, declaration).await.map_err(failed)?;
    let statements = sql::uninstall(named.dialect(), found.as_ref().unwrap_or(declaration));
    if let Err(fault) = taken_away(&mut *session, found.as_ref().unwrap_or(declaration), &statements).await {
        session.rollback().await.ok();
        return Err(failed(fault));
    }
    session.commit().await.map_err(failed)?;
    let why = format!("{} and its {rows} rows, in {}", declaration.target, named.place());
    ledger.register_job(&named.job.name, named.job.kind.name()).await?;
    ledger.add_event("uninstall", Some(&named.job.name), None, &site.word(&why)).await?;
    let text =
        format!("{}: taken away from {}, with {}", named.job.name, named.place(), counted(rows.unsigned_abs(), "row"));
    site.output.answer(&Uninstalled { job: named.job.name.as_str(), database: named.place(), rows }, text);
    Ok(ExitCode::Drained)
}

async fn taken_away(session: &mut dyn Session, declaration: &Declaration, statements: &str) -> Result<(), Fault> {
    session.batch(statements).await?;
    for stray in sql::strays(session, declaration).await? {
        session.batch(&stray).await?;
    }
    Ok(())
}

async fn rows(session: &mut dyn Session, table: &str) -> Result<i64, Fault> {
    let row = session.first(&format!("SELECT count(*) FROM {table}"), &[]).await?;
    Ok(row.and_then(|row| row[0].int()).unwrap_or(0))
}

#[derive(Serialize)]
struct Drift<'a> {
    job: &'a str,
    database: String,
    /// A sentence each.
    drift: Vec<String>,
    /// What ends no pass.
    notes: Vec<String>,
}

pub(super) async fn diff(args: &OfRollup, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup diff", &args.job)?;
    let declaration = named.declared("rollup diff")?;
    let mut session = named.open().await?;
    let failed = |fault| told::of_fault(&named.place(), "what is installed", &fault);
    let found = sql::drift(&mut *session, declaration).await.map_err(failed)?;
    let notes = match found.is_empty() {
        true => sql::outgrown(&mut *session, declaration).await.map_err(failed)?,
        false => Vec::new(),
    };
    let is_there = found.is_empty();
    let mut next: Vec<String> = Vec::new();
    // Of what is not there at all, it is the same for each.
    let is_new = sql::leftovers(&mut *session, declaration).await.map_err(failed)?.is_empty();
    for drift in found.iter().filter(|_| !is_new) {
        let way = told::way_back(named.job.name.as_str(), drift.way);
        if !next.contains(&way) {
            next.push(way);
        }
    }
    if is_new {
        next.push(format!("`highwater rollup install {}`", named.job.name));
    }
    let drift: Vec<String> = found.into_iter().map(|drift| drift.what).collect();
    let mut text = if is_there {
        format!("{}: what is installed in {} is what is declared", named.job.name, named.place())
    } else {
        let mut text = format!("{}: what is installed in {} is not what is declared", named.job.name, named.place());
        drift.iter().for_each(|sentence| text.push_str(&format!("\n  {sentence}")));
        next.iter().for_each(|next| text.push_str(&format!("\n  next: {next}")));
        text
    };
    notes.iter().for_each(|note| text.push_str(&format!("\n  note: {note}")));
    site.output.answer(&Drift { job: named.job.name.as_str(), database: named.place(), drift, notes }, text);
    Ok(if is_there { ExitCode::Drained } else { ExitCode::Halted })
}
