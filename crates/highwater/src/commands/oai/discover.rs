//! `oai discover`: crawls, compares, pins and reports; drains nothing. Owns what is said of a difference.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_oai::backfill::PlanFrom;
use highwater_store::Access;
use serde_json::Value;

use super::super::{child_output, codes};
use super::Named;
use crate::bar::{Progress, grouped};
use crate::cli::OaiDiscover;
use crate::site::Site;
use crate::wiring::{self, Wiring};
use crate::{Done, signals};

/// The counts of a difference, beside its lists.
const SUMMARY_FILE: &str = "difference.json";

pub(super) async fn discover(args: OaiDiscover, site: Site) -> Done {
    discovered(&args, &site).await.map_err(|error| vec![error])
}

async fn discovered(args: &OaiDiscover, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "oai discover", &args.job)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let how = match (args.replace, args.extend) {
        (true, _) => PinMode::Replace,
        (_, true) => PinMode::Extend,
        _ => {
            refuse_open(&*ledger, &named, "oai discover").await?;
            PinMode::Replace
        }
    };
    let from = if args.recrawl { PlanFrom::NewCrawl } else { PlanFrom::Newest };
    let report = pin(site, &named, Arc::clone(&ledger) as Arc<dyn Ledger>, how, from).await?;
    Ok(tell(site, &named, &report))
}

/// Refuses to plan anew over a worklist that is open.
pub(super) async fn refuse_open(ledger: &dyn Ledger, named: &Named<'_>, verb: &str) -> Result<(), Diagnosis> {
    let name = &named.job.name;
    let open = ledger.job(name).await?.and_then(|record| record.worklist).map_or(0, |worklist| worklist.tally.open());
    if open == 0 {
        return Ok(());
    }
    Err(Diagnosis::refusal(
        codes::WORKLIST_OPEN,
        format!("{name} has a pinned worklist with {} open items; expected none, or a word about it", grouped(open)),
        format!(
            "`highwater {verb} {name} … --replace` leaves its outcomes behind; `highwater run {name}` drains it first"
        ),
    ))
}

/// A pass that plans and pins.
pub(super) async fn pin(
    site: &Site,
    named: &Named<'_>,
    ledger: Arc<dyn Ledger>,
    how: PinMode,
    from: PlanFrom,
) -> Result<PassReport, Diagnosis> {
    let engine = site.engine(ledger, signals::listen());
    let output = child_output(&Progress::none(), site.output);
    let (backfill, spec) = Wiring::new(site).backfill(named.config, named.job, named.settings, output)?;
    let runner = Arc::new(backfill.planning_from(from));
    wiring::make_dirs(named.config, named.job)?;
    Ok(runner.run(&engine, &spec, Mode::Pin(how)).await)
}

/// Says how a planning pass ended, and what it found.
pub(super) fn tell(site: &Site, named: &Named<'_>, report: &PassReport) -> ExitCode {
    let dir = wiring::oai::reports(named.config, named.job);
    let summary = summary(&dir);
    if site.output.json {
        site.output.json(&serde_json::json!({ "report": report, "difference": summary }));
    } else if let Some(diagnosis) = &report.diagnosis {
        site.output.errors(std::slice::from_ref(diagnosis));
    } else if let (Reason::Pinned, Some(summary)) = (report.reason, &summary) {
        site.output.line(sentence(named, summary, &dir));
    } else {
        site.output.line(format_args!("{}: {}", report.job, report.message));
    }
    for note in &report.notes {
        site.output.note(format_args!("  note: {note}"));
    }
    // Pinned is what was asked for.
    if report.reason == Reason::Pinned { ExitCode::Drained } else { report.exit }
}

fn summary(dir: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(dir.join(SUMMARY_FILE)).ok()?).ok()
}

fn sentence(named: &Named<'_>, summary: &Value, dir: &Path) -> String {
    let count = |field: &str| grouped(summary[field].as_u64().unwrap_or_default());
    let mut text = format!("{}: {} active and {} deleted there", named.job.name, count("active"), count("deleted"));
    let _ = writeln!(text, ", {} here", count("have"));
    let mut row = |what: &str, means: &str| {
        let _ = writeln!(text, "  {what:<8} {:>9}  {means}", count(what));
    };
    row("missing", "live there and not here: the worklist");
    row("stale", "deleted there and still here");
    row("orphans", "here and unknown there");
    if summary["filtered"].as_u64().unwrap_or_default() > 0 {
        row("filtered", "live there, of types that are not wanted");
    }
    let _ = write!(text, "  lists: {}\n  next: `highwater run {}`", dir.display(), named.job.name);
    text
}
