//! `kb status`: where a base stands. Owns what is told of it, and that a base of an older version is brought up to date.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::ItemKey;
use highwater_engine::report::ExitCode;
use highwater_engine::shell::{quoted, quoted_path};
use highwater_kb::KbError;
use highwater_kb::status::{Status, status as read};
use indicatif::DecimalBytes;
use serde::Serialize;

use super::pass::ledger_of;
use super::place::Place;
use super::review;
use crate::bar::{counted, grouped};
use crate::cli::{Global, KbWhich};
use crate::output::Output;
use crate::table::{Facts, line, moment};
use crate::{Done, in_runtime};

#[derive(Serialize)]
struct Told<'p> {
    kb: &'p std::path::Path,
    #[serde(flatten)]
    status: Status,
    /// Documents that are still for a person to look at, of what was added by command.
    review: u64,
    /// The jobs that they are of.
    review_jobs: Vec<String>,
    /// The jobs that take in nothing until they are re-armed.
    halted: Vec<Halted>,
}

/// A job that is halted.
#[derive(Serialize)]
struct Halted {
    job: String,
    why: String,
}

pub(super) fn status(which: &KbWhich, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let place = Place::find(which.kb.as_deref()).map_err(one)?;
    in_runtime(async {
        let status = current(&place).await.map_err(one)?;
        let waiting = review::waiting(&place, &status, global).await.map_err(one)?;
        let review_jobs = waiting.jobs.iter().map(ToString::to_string).collect();
        let halted =
            waiting.halted.iter().map(|(job, why)| Halted { job: job.to_string(), why: why.clone() }).collect();
        let told = Told { kb: &place.root, status, review: waiting.count, review_jobs, halted };
        let ledger = ledger_of(&place.root, global);
        output.answer(&told, place.told_here(&text(&told, &place, &ledger, waiting.only.as_ref())));
        Ok(ExitCode::Drained)
    })
}

/// A base that an older version wrote is brought up to date, as by any change.
async fn current(place: &Place) -> Result<Status, Diagnosis> {
    let home = place.home()?;
    match read(&home) {
        Err(KbError::Older) => {
            drop(place.opened().await?);
            read(&home).map_err(|error| place.failed(&error))
        }
        status => status.map_err(|error| place.failed(&error)),
    }
}

fn text(told: &Told<'_>, place: &Place, ledger: &Path, only: Option<&ItemKey>) -> String {
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
        let finish = format!("highwater kb lint --fix --kb {}", quoted_path(&place.root));
        facts.fact(
            "",
            format!("it does not stand in wiki/ and raw/ yet: `{finish}` writes it, as does the next change"),
        );
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
        let ledger = quoted_path(ledger);
        let those = if told.review == 1 { "1 document is" } else { &format!("{} documents are", grouped(told.review)) };
        let list = |job: &String| format!("\nhighwater --ledger {ledger} items {job} --outcome review");
        let lists: String = told.review_jobs.iter().map(list).collect();
        let job = if let [job] = told.review_jobs.as_slice() { job } else { "JOB" };
        let key = only.map_or("KEY".to_owned(), |key| quoted(key.as_str()));
        let ends =
            format!("\nmend it and add it again, or let it be: highwater --ledger {ledger} skip {job} {key} --why …");
        facts.fact("review", format!("{those} for you to look at:{lists}{ends}"));
    }
    for Halted { job, why } in &told.halted {
        let ledger = quoted_path(ledger);
        let why = line(why);
        facts.fact(
            "halted",
            format!("{job}: {why}\nonce that is mended: highwater --ledger {ledger} rearm {job} --why …"),
        );
    }
    facts.to_string()
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}
