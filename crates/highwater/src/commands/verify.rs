//! `verify`: a job proves its result against its source. Owns what is told of a proof; the proof is the domain's.

mod window;

use highwater_db::session::{Dialect, Session, Value};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::ExitCode;
use highwater_rollup::bound::{self, Bound};
use highwater_rollup::declare::Declaration;
use highwater_rollup::job::Asked;
use highwater_rollup::settings::Subject;
use highwater_rollup::verify::{Finding, Gone, Repaired, Scope, Verified, Wrong, repair, sample, verify as prove};
use highwater_rollup::{change, told};
use highwater_store::Access;
use jiff::Timestamp;
use serde::Serialize;

use super::rollup::Named;
use super::run::rollup_pass;
use crate::Done;
use crate::bar::grouped;
use crate::cli::Verify;
use crate::site::Site;
use crate::table::line;

/// Wrong cells that are shown; `--json` has up to a hundred.
const SHOWN_CELLS_MAX: usize = 10;

#[derive(Serialize)]
struct Proof<'a> {
    job: &'a str,
    clean: bool,
    cells: u64,
    frozen: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
    wrong: u64,
    pending: u64,
    stranded: u64,
    ahead: Option<Timestamp>,
    /// Whether the row that holds the watermark is missing.
    stateless: bool,
    findings: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<u64>,
}

/// Buckets that were drawn, and the seed that draws them again.
#[derive(Debug, Clone, Copy, Serialize)]
struct Sample {
    buckets: usize,
    seed: u64,
}

#[derive(Serialize)]
struct Told {
    wrong: &'static str,
    cell: Vec<Option<String>>,
    stored: Vec<Option<String>>,
    fresh: Vec<Option<String>>,
}

pub(crate) async fn verify(args: Verify, site: Site) -> Done {
    verified(&args, &site).await.map_err(|error| vec![error])
}

async fn verified(args: &Verify, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "verify", &args.job)?;
    if let Subject::Window(window, _) = &named.subject {
        return window::verified(args, &named, window, site).await;
    }
    let declaration = named.declared("verify")?;
    let failed = |fault| told::of_fault(&named.place(), "verifying", &fault);
    let mut session = named.open().await?;
    if let Some(found) = change::found(&mut *session, declaration).await.map_err(failed)? {
        refuse_another(&named, &found.differing(declaration))?;
    }
    let (scope, sample) = scope(&mut *session, declaration, args).await.map_err(failed)?;
    let bound = latest(&mut *session, &named).await?;
    let before = proof(&mut *session, declaration, bound, &scope).await.map_err(failed)?;
    let mut repaired = None;
    if args.repair && !before.is_clean() {
        let done = mended(&mut *session, &named, declaration, (bound, &scope), args, site).await?;
        let bound = latest(&mut *session, &named).await?;
        let after = proof(&mut *session, declaration, bound, &scope).await.map_err(failed)?;
        repaired = Some((done, after));
    }
    let text = text(&named, declaration, &before, sample, repaired.as_ref());
    let verified = repaired.as_ref().map_or(&before, |(_, after)| after);
    let answer = Proof {
        job: named.job.name.as_str(),
        clean: verified.is_clean(),
        cells: verified.cells,
        frozen: verified.frozen,
        frozen_before: verified.frozen_before,
        since: scope.since.filter(|_| args.since.is_some()),
        sample,
        wrong: verified.wrong,
        pending: verified.pending,
        stranded: verified.stranded,
        ahead: verified.ahead,
        stateless: verified.stateless,
        findings: before.findings.iter().map(told_of).collect(),
        repaired: repaired.as_ref().map(|(done, _)| done.cells),
    };
    site.output.answer(&answer, text);
    Ok(match &repaired {
        // What is queued is not mended yet.
        Some((done, after)) if after.is_clean() && after.pending > 0 => done.pass.worst(ExitCode::Checkpoint),
        _ if verified.is_clean() => ExitCode::Drained,
        _ => ExitCode::Halted,
    })
}

/// What is installed is not wrong for being something else.
fn refuse_another(named: &Named<'_>, fields: &[&str]) -> Result<(), Diagnosis> {
    if fields.is_empty() {
        return Ok(());
    }
    let name = &named.job.name;
    let fields = fields.join("`, `");
    Err(Diagnosis::refusal(
        "HW-ROL-034",
        format!("{}: the rollup was installed with another `{fields}` than is declared now", named.place()),
        format!("`highwater rollup change {name}` sees to it; or put the declaration back, and verify then"),
    )
    .in_file(&named.config.file)
    .at_line(named.job.line))
}

/// Which buckets a person asked for.
async fn scope(
    session: &mut dyn Session,
    declaration: &Declaration,
    args: &Verify,
) -> Result<(Scope, Option<Sample>), highwater_db::session::Fault> {
    let scope = args.since.map_or_else(Scope::all, |since| Scope::since(declaration, since));
    let Some(buckets_max) = args.sample else { return Ok((scope, None)) };
    let (drawn, seed) = sample(session, declaration, &scope, buckets_max, args.seed).await?;
    let buckets = drawn.buckets.as_ref().map_or(0, Vec::len);
    Ok((drawn, Some(Sample { buckets, seed })))
}

/// What a repair came to.
struct Mended {
    /// Cells that were queued.
    cells: u64,
    /// How the tick ended that takes them.
    pass: ExitCode,
    /// Whether the job is halted, so that no tick took them.
    is_halted: bool,
}

/// Queues what is wrong, tells the ledger, and has a tick take it.
async fn mended(
    session: &mut dyn Session,
    named: &Named<'_>,
    declaration: &Declaration,
    (bound, scope): (Option<Timestamp>, &Scope),
    args: &Verify,
    site: &Site,
) -> Result<Mended, Diagnosis> {
    let ledger = site.ledger(Access::ReadWrite)?;
    let gone = if args.remove { Gone::Remove } else { Gone::Keep };
    let queued = queued(session, declaration, bound, gone, scope).await;
    let Repaired { cells, pulled_back } =
        queued.map_err(|fault| told::of_fault(&named.place(), "queueing what is wrong", &fault))?;
    let mut why =
        format!("{cells} cells{}", if pulled_back { ", and the watermark moved back to the bound" } else { "" });
    if !args.why.is_empty() {
        why.push_str(&format!(": {}", args.why));
    }
    ledger.register_job(&named.job.name, named.job.kind.name()).await?;
    ledger.add_event("repair", Some(&named.job.name), None, &site.word(&why)).await?;
    if ledger.job(&named.job.name).await?.is_some_and(|job| job.halt.is_some()) {
        return Ok(Mended { cells, pass: ExitCode::Halted, is_halted: true });
    }
    let report = rollup_pass(site, ledger, &named.job.name, Asked { tick: true, ..Asked::default() }).await?;
    Ok(Mended { cells, pass: report.exit, is_halted: false })
}

/// The latest time that a watermark may be at, where it can be told.
async fn latest(session: &mut dyn Session, named: &Named<'_>) -> Result<Option<Timestamp>, Diagnosis> {
    let failed = |fault| told::of_fault(&named.place(), "the bound", &fault);
    let is_sqlite = session.dialect() == Dialect::Sqlite;
    if is_sqlite {
        session.begin().await.map_err(failed)?;
    }
    // The watermark was stamped with the lag of then; later than the clock it never is.
    let read = bound::read(session, named.settings.lag.get(), &named.settings.bound_ignores).await;
    if is_sqlite {
        session.rollback().await.map_err(failed)?;
    }
    match read.map_err(failed)? {
        Bound::Until { at, .. } => Ok(Some(at)),
        _ => Ok(None),
    }
}

async fn proof(
    session: &mut dyn Session,
    declaration: &Declaration,
    bound: Option<Timestamp>,
    scope: &Scope,
) -> Result<Verified, highwater_db::session::Fault> {
    session.begin_reading().await?;
    let verified = prove(session, declaration, bound, scope).await;
    session.rollback().await?;
    verified
}

async fn queued(
    session: &mut dyn Session,
    declaration: &Declaration,
    bound: Option<Timestamp>,
    gone: Gone,
    scope: &Scope,
) -> Result<Repaired, highwater_db::session::Fault> {
    session.begin().await?;
    match repair(session, declaration, bound, gone, scope).await {
        Ok(repaired) => session.commit().await.map(|()| repaired),
        Err(fault) => {
            session.rollback().await.ok();
            Err(fault)
        }
    }
}

fn text(
    named: &Named<'_>,
    declaration: &Declaration,
    before: &Verified,
    sample: Option<Sample>,
    repaired: Option<&(Mended, Verified)>,
) -> String {
    let name = &named.job.name;
    let columns = declaration.value_columns();
    let mut text = format!("{name}: {}", figures(before));
    if let Some(Sample { buckets, seed }) = sample {
        text.push_str(&format!(", in {buckets} buckets drawn by `--seed {seed}`"));
    }
    for finding in before.findings.iter().take(SHOWN_CELLS_MAX) {
        text.push_str(&format!("\n  {}", sentence(&columns, finding)));
    }
    let more = before.wrong.saturating_sub(before.findings.len().min(SHOWN_CELLS_MAX) as u64);
    if more > 0 {
        text.push_str(&format!("\n  and {} more", grouped(more)));
    }
    match repaired {
        Some((done, after)) if done.is_halted || after.pending > 0 => {
            text.push_str(&format!("\n  queued: {} cells; now {}\n  next: ", grouped(done.cells), figures(after)));
            if done.is_halted {
                text.push_str(&format!("`highwater rearm {name} --why …`, then "));
            }
            text.push_str(&format!("`highwater run {name} --tick` mends them"));
        }
        Some((done, after)) => {
            text.push_str(&format!(
                "\n  repaired: {} cells computed anew; now {}",
                grouped(done.cells),
                figures(after)
            ));
        }
        None if before.stateless => {
            text.push_str(&format!("\n  next: `highwater rollup guard {name}` tells the statement that puts it back"));
        }
        None if !before.is_clean() => {
            text.push_str(&format!("\n  next: `highwater verify {name} --repair` mends exactly these"));
            if before.findings.iter().any(|finding| finding.wrong == Wrong::Extra) {
                text.push_str("; what no raw row yields stays, unless `--remove`");
            }
        }
        None => {}
    }
    if repaired.is_some_and(|(_, after)| after.wrong > 0) {
        text.push_str(&format!(
            "\n  next: cells whose raw rows are all gone stay; `highwater verify {name} --repair --remove` removes them"
        ));
    }
    text
}

fn figures(verified: &Verified) -> String {
    let mut text = format!("{} cells, {} wrong", grouped(verified.cells), grouped(verified.wrong));
    if let Some(limit) = verified.frozen_before {
        text.push_str(&format!(", {} frozen before {limit:.0} and not compared", grouped(verified.frozen)));
    }
    if verified.pending > 0 {
        text.push_str(&format!(", {} out of date and queued: the next tick mends them", grouped(verified.pending)));
    }
    if verified.stranded > 0 {
        text.push_str(&format!(", {} queued changes stranded below the watermark", grouped(verified.stranded)));
    }
    if let Some(ahead) = verified.ahead {
        text.push_str(&format!(", the watermark is ahead of what can be known, at {ahead:.0}"));
    }
    if verified.stateless {
        text.push_str(", and the state row is missing: nobody knows how far it is");
    }
    text
}

fn sentence(columns: &[String], finding: &Finding) -> String {
    let cell: Vec<String> = finding.cell.iter().map(|value| line(&value.to_string())).collect();
    let cell = cell.join(" · ");
    match finding.wrong {
        Wrong::Missing => format!("missing    {cell}"),
        Wrong::Extra => format!("extra      {cell}: no raw row yields it"),
        Wrong::Different => {
            let differ = columns.iter().zip(&finding.values).filter(|(_, (stored, fresh))| stored != fresh);
            let differ: Vec<String> =
                differ.map(|(column, (stored, fresh))| format!("{column} is {stored}, expected {fresh}")).collect();
            match finding.times {
                0 | 1 => format!("different  {cell}: {}", differ.join(", ")),
                times => format!("different  {cell}: it is there {times} times"),
            }
        }
    }
}

fn told_of(finding: &Finding) -> Told {
    let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
    Told {
        wrong: match finding.wrong {
            Wrong::Missing => "missing",
            Wrong::Extra => "extra",
            Wrong::Different => "different",
        },
        cell: finding.cell.iter().map(text).collect(),
        stored: finding.values.iter().map(|(stored, _)| text(stored)).collect(),
        fresh: finding.values.iter().map(|(_, fresh)| text(fresh)).collect(),
    }
}
