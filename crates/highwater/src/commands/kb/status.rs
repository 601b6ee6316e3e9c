//! `kb status`: where a base stands. Owns what is told of it, and that a base of an older version is brought up to date.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger as _;
use highwater_engine::report::ExitCode;
use highwater_kb::KbError;
use highwater_kb::status::{Status, status as read};
use indicatif::DecimalBytes;
use serde::Serialize;

use super::pass::ledger_of;
use super::place::Place;
use crate::bar::{counted, grouped};
use crate::cli::{Global, KbWhich};
use crate::output::Output;
use crate::site::Site;
use crate::table::{Facts, line, moment};
use crate::{Done, in_runtime};

#[derive(Serialize)]
struct Told<'p> {
    kb: &'p std::path::Path,
    #[serde(flatten)]
    status: Status,
    /// Documents for a person to look at, of what was added by command.
    review: u64,
    /// The jobs that they are of.
    review_jobs: Vec<String>,
}

pub(super) fn status(which: &KbWhich, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let place = Place::find(which.kb.as_deref()).map_err(one)?;
    in_runtime(async {
        let status = current(&place).await.map_err(one)?;
        let (review, review_jobs) = for_review(&place, global).await.map_err(one)?;
        let told = Told { kb: &place.root, status, review, review_jobs };
        output.answer(&told, text(&told, &place));
        Ok(ExitCode::Drained)
    })
}

/// A base that an older version wrote is brought up to date, as by any change.
async fn current(place: &Place) -> Result<Status, Diagnosis> {
    let home = place.home()?;
    match read(&home) {
        Err(KbError::Older) => {
            drop(place.locked().await?);
            read(&home).map_err(|error| place.failed(&error))
        }
        status => status.map_err(|error| place.failed(&error)),
    }
}

/// Documents for a person to look at, and their jobs, of the ledger that `kb add` keeps beside the base.
async fn for_review(place: &Place, global: &Global) -> Result<(u64, Vec<String>), Diagnosis> {
    let ledger = ledger_of(&place.root, global);
    if !ledger.is_file() {
        return Ok((0, Vec::new()));
    }
    let site = Site::beside(global, ledger)?;
    let glance = site.ledger_to_read()?;
    let (mut review, mut jobs) = (0, Vec::new());
    for job in glance.ledger.jobs().await? {
        let of_job = job.worklist.map_or(0, |worklist| worklist.tally.review);
        if of_job > 0 {
            review += of_job;
            jobs.push(job.name.to_string());
        }
    }
    Ok((review, jobs))
}

fn text(told: &Told<'_>, place: &Place) -> String {
    let mut facts = Facts::default();
    let status = &told.status;
    facts.heading(place.root.display());
    match &status.generation {
        Some(it) => {
            let text = format!("{}, {}: {} {}", it.number, moment(it.at), it.op, line(&it.text));
            facts.fact("generation", text);
        }
        None => facts.fact("generation", "none"),
    }
    if !status.applied {
        facts.fact("", "it does not stand in wiki/ and raw/ yet: the next change finishes it");
    }
    let size = DecimalBytes(status.raw_bytes);
    facts.fact("documents", format!("{}, {size} as they were given", grouped(status.documents)));
    let mut pages = vec![counted(status.concepts, "concept"), plural(status.entities, "entity", "entities")];
    for (count, noun) in [(status.explorations, "exploration"), (status.reports, "report")] {
        if count > 0 {
            pages.push(counted(count, noun));
        }
    }
    facts.fact("pages", pages.join(", "));
    if status.conflicts > 0 {
        let conflicts = counted(status.conflicts, "conflict");
        facts.fact(
            "conflicts",
            format!("{conflicts} to be settled: `highwater kb lint` names them, `kb resolve` ends them"),
        );
    }
    if status.edited + status.deleted > 0 {
        let (edited, deleted) = (grouped(status.edited), grouped(status.deleted));
        facts.fact("by hand", format!("{edited} edited, {deleted} deleted, as changes met them"));
    }
    if told.review > 0 {
        let ledger = place.root.join(".highwater-state/ledger.db");
        let those = if told.review == 1 { "1 document is" } else { &format!("{} documents are", grouped(told.review)) };
        let list = |job: &String| format!("\nhighwater --ledger {} items {job} --outcome review", ledger.display());
        let lists: String = told.review_jobs.iter().map(list).collect();
        facts.fact("review", format!("{those} for you to look at:{lists}"));
    }
    facts.to_string()
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}
