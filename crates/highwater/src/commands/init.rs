//! `init`: a configuration that runs as it is. Owns what is said of it; what is written is `config/init.rs`'s.

use std::borrow::Cow;
use std::fmt::Write;

use highwater_engine::report::ExitCode;
use serde::Serialize;

use crate::cli::{Global, Init};
use crate::output::Output;
use crate::{Done, config, owner};

#[derive(Serialize)]
struct Answer<'a> {
    config: Cow<'a, str>,
    created: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended: Option<Cow<'a, str>>,
}

pub(crate) fn init(args: &Init, global: &Global) -> Done {
    // What root leaves in someone's directory would be in the way of their passes.
    owner::become_owner_of_new(&args.dir).map_err(|error| vec![error])?;
    let made = config::init(&args.dir).map_err(|error| vec![error])?;
    let mut text = String::new();
    for path in &made.created {
        writeln!(text, "made {}", path.display()).expect("invariant: a String takes every write");
    }
    if let Some(path) = &made.extended {
        writeln!(text, "added to {}", path.display()).expect("invariant: a String takes every write");
    }
    // Found without being named when the caller already stands there.
    let named =
        if args.dir.as_os_str() == "." { String::new() } else { format!(" --config {}", made.config.display()) };
    write!(
        text,
        "next: `highwater run --all{named}`, then `highwater status{named}`; edit {} for your own work",
        made.config.display()
    )
    .expect("invariant: a String takes every write");
    let answer = Answer {
        config: made.config.to_string_lossy(),
        created: made.created.iter().map(|path| path.to_string_lossy()).collect(),
        extended: made.extended.as_ref().map(|path| path.to_string_lossy()),
    };
    Output { json: global.json, quiet: global.quiet }.answer(&answer, text);
    Ok(ExitCode::Drained)
}
