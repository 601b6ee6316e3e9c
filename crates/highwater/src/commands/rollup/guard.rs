//! `rollup guard`: whether what the rollup replaces may be taken away.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_rollup::guard::{Answer, guard as ask};
use highwater_rollup::told;
use serde::Serialize;

use super::Named;
use super::install::subject;
use crate::cli::RollupGuard;
use crate::site::Site;

#[derive(Serialize)]
struct Guarded<'a> {
    job: &'a str,
    complete: bool,
    /// In words, with the figures.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<&'a str>,
}

pub(super) async fn guard(args: &RollupGuard, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "rollup guard", &args.job)?;
    let mut session = named.open().await?;
    let threshold = args.threshold.unwrap_or(named.settings.threshold);
    let answer = ask(&mut *session, subject(&named), threshold.get()).await;
    let answer = answer.map_err(|error| told::of_read(&named.place(), "how far it is", &error))?;
    let name = named.job.name.as_str();
    let mut text = format!("{name}: {answer}");
    let mend = match &answer {
        Answer::StateMissing { mend, .. } => Some(mend.as_str()),
        _ => None,
    };
    if let Some(next) = next(name, &answer) {
        text.push_str(&format!("\n  next: {next}"));
    }
    let complete = answer.is_complete();
    site.output.answer(&Guarded { job: name, complete, why: answer.to_string(), mend }, text);
    Ok(if complete { ExitCode::Drained } else { ExitCode::Halted })
}

/// What brings it further.
fn next(name: &str, answer: &Answer) -> Option<String> {
    Some(match answer {
        Answer::StateMissing { mend, .. } => format!("if no bucket is to be trusted: {mend}"),
        Answer::Partial { .. } => format!("`highwater run {name}` seeds the rest"),
        Answer::Unsettled { .. } => {
            format!("`highwater run {name}` settles it, or halts with the cells that are wrong")
        }
        Answer::NotStamped { .. } => format!("`highwater run {name}` takes what waits and stamps one"),
        Answer::Ahead(_) => format!("`highwater verify {name} --repair` moves it back to what can be known"),
        answer if answer.is_complete() => return None,
        _ => format!("`highwater run {name}`"),
    })
}
