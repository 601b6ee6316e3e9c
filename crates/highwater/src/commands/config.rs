//! `config check|show|schema`: looks at the configuration, opens no ledger and makes nothing.

use std::fmt::Write;
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use serde::Serialize;

use crate::cli::{ConfigVerb, Global};
use crate::config::{self, Environment};
use crate::output::Output;
use crate::{Done, site};

#[derive(Serialize)]
struct Checked<'a> {
    file: &'a Path,
    jobs: usize,
    resources: usize,
    warnings: Vec<Diagnosis>,
}

pub(crate) fn config(verb: &ConfigVerb, global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    match verb {
        ConfigVerb::Check => check(global, output)?,
        ConfigVerb::Show => {
            let show = config::show(&site::configuration(global)?);
            output.answer(&show, show.to_string().trim_end());
        }
        ConfigVerb::Schema => output.line(format_args!("{:#}", config::schema())),
    }
    Ok(ExitCode::Drained)
}

/// Says `ok`, and what will probably disappoint.
fn check(global: &Global, output: Output) -> Result<(), Vec<Diagnosis>> {
    let config = site::configuration(global)?;
    let unset = config.unset();
    if !unset.is_empty() {
        return Err(unset);
    }
    let advice = config::advise(&config, &Environment::of_process());
    let mut text = format!("ok: {}: {}", config.file.display(), counted(config.jobs.len(), "job"));
    for advice in &advice {
        write!(text, "\n{advice}").expect("invariant: a String takes every write");
    }
    let checked = Checked {
        file: &config.file,
        jobs: config.jobs.len(),
        resources: config.resources.len(),
        warnings: advice.into_iter().map(|advice| advice.0).collect(),
    };
    output.answer(&checked, text);
    Ok(())
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
