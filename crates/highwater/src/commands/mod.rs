//! The commands, one file a verb. Owns what several of them share: whose row a person's word goes to, how the next step is
//! told, and where commands of items print.

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::output::{Output as ChildOutput, Stream};
use highwater_engine::ledger::{JobRecord, Ledger};
use highwater_engine::marker;
use highwater_engine::name::JobName;
use highwater_engine::report::ExitCode;
use highwater_engine::shell::quoted_path;

use crate::Done;
use crate::bar::Progress;
use crate::config::Config;
use crate::output::Output;
use crate::site::Site;

mod alive;
pub(crate) mod ban;
pub(crate) mod bans;
pub(crate) mod catalog;
mod codes;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod episodes;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod gate;
pub(crate) mod halt;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod install;
pub(crate) mod items;
pub(crate) mod kb;
pub(crate) mod lift;
mod listing;
pub(crate) mod man;
pub(crate) mod migrate;
mod notice;
pub(crate) mod oai;
pub(crate) mod pause;
pub(crate) mod rearm;
pub(crate) mod receive;
pub(crate) mod reindex;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod rollup;
pub(crate) mod run;
pub(crate) mod set;
pub(crate) mod ship;
pub(crate) mod skip;
pub(crate) mod status;
pub(crate) mod systemd;
pub(crate) mod unset;
pub(crate) mod verify;
pub(crate) mod worklist;

pub(crate) use self::listing::unprinted;

/// What a command that drains nothing comes to: done, or its one error.
fn done(result: Result<(), Diagnosis>) -> Done {
    result.map(|()| ExitCode::Drained).map_err(|error| vec![error])
}

/// The refusal of a command that makes no sense beside a bare ledger.
fn needs_config(verb: &str) -> Diagnosis {
    Diagnosis::refusal(
        codes::NEEDS_CONFIG,
        format!("found a ledger without a configuration, which `{verb}` needs to know the job"),
        "call the `highwater exec` that made the ledger again, or leave `--ledger` out and name a configuration",
    )
    .at_field("--ledger")
}

/// The job that a person named, with a row in the ledger for what they say of it.
async fn job_with_row(site: &Site, ledger: &dyn Ledger, name: &str) -> Result<JobName, Diagnosis> {
    let job = site.job(ledger, name).await?;
    let declared = site.config.iter().flat_map(Config::declared_jobs).find(|(name, _)| **name == job);
    if let Some((_, kind)) = declared {
        ledger.register_job(&job, kind).await?;
    }
    Ok(job)
}

/// Writes the markers of a job, where it has any, after a person's word: whoever reads them need not wait for the next pass. One that
/// cannot be written changes nothing of the word.
async fn write_markers(site: &Site, ledger: &dyn Ledger, job: &JobName) {
    let settings = site.config.as_ref().and_then(|config| config.settings(job));
    let Some(markers) = settings.and_then(|settings| settings.markers.as_deref()) else { return };
    if let Err(error) = marker::follow(ledger, job, markers).await {
        site.output.note(format!("warning: the next pass writes the markers: {}", error.told()));
    }
}

/// A command as a person types it at this site.
fn call(site: &Site, words: impl Display) -> String {
    match &site.config {
        Some(_) => format!("`highwater {words}`"),
        None => format!("`highwater --ledger {} {words}`", quoted_path(&site.ledger_path)),
    }
}

/// How a person names a job to a command at this site.
fn handle(site: &Site, job: &JobName) -> String {
    match &site.config {
        Some(_) => job.to_string(),
        None => format!("{job} --ledger {}", quoted_path(&site.ledger_path)),
    }
}

/// What keeps the next pass of a job from draining, and the way out; else how to start it.
fn next_pass(site: &Site, record: Option<&JobRecord>, job: &JobName) -> String {
    match record {
        Some(JobRecord { halt: Some(_), .. }) => {
            format!("it is halted: {} lets passes run", call(site, format_args!("rearm {job} --why …")))
        }
        Some(JobRecord { paused: Some(_), .. }) => {
            format!("it is paused: {} lets passes run", call(site, format_args!("resume {job}")))
        }
        Some(JobRecord { last_pass: Some(pass), .. }) if pass.ended_at.is_none() => {
            format!("pass {} sees it before its next item", pass.id)
        }
        _ if site.config.is_none() => "the next `highwater exec` takes it up".to_owned(),
        _ => format!("the next pass takes it up: `highwater run {job}`"),
    }
}

/// Where the commands of items print to: above the bar while there is one, and never between lines of JSON.
fn child_output(progress: &Progress, output: Output) -> ChildOutput {
    let to_stderr = output.json;
    let print = move |stream, lines: &[u8]| {
        // A reader that went away ends the printing, not the work.
        let _: std::io::Result<()> = match stream {
            Stream::Stdout if !to_stderr => std::io::stdout().write_all(lines),
            _ => std::io::stderr().write_all(lines),
        };
    };
    match progress.bar().cloned() {
        Some(bar) => ChildOutput::Through(Arc::new(move |stream, lines| bar.suspend(|| print(stream, lines)))),
        None if to_stderr => ChildOutput::Through(Arc::new(print)),
        None => ChildOutput::Inherit,
    }
}
