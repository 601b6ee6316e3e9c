//! `completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory;
use highwater_engine::report::ExitCode;

use super::listing;
use crate::Done;
use crate::cli::{Cli, Completions};

/// The name that is completed.
const PROGRAM: &str = "highwater";

pub(crate) fn completions(args: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), PROGRAM, &mut script);
    listing::print(&script).map_err(|error| vec![error])?;
    Ok(ExitCode::Drained)
}
