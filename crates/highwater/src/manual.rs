//! The manual pages: one a command, each from the definitions of the command line. Owns the sections that stand beside these, and
//! that every page names the others that one reads with it.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

/// The program.
const PROGRAM: &str = "highwater";
/// What the pages belong to.
const MANUAL: &str = "highwater manual";

/// A page.
pub(crate) struct Page {
    /// The name of its file, such as `highwater-run.1`.
    pub(crate) name: String,
    /// The page, for `man`.
    pub(crate) roff: Vec<u8>,
}

/// What an exit code says.
const EXITS: &[(&str, &str)] = &[
    ("0", "Drained, or nothing to do. Items in review are finished: look at their count."),
    ("3", "A checkpoint: call again. The budget is spent, the lock is held, the far side banned or did not answer."),
    ("4", "Halted: a person must look, and then call highwater rearm."),
    ("2", "Usage, configuration or a refusal; nothing was changed."),
    ("1", "A bug or an environment failure: a full disk, a damaged ledger."),
];

/// The files that every command knows.
const FILES: &[(&str, &str)] = &[
    ("highwater.toml", "The configuration, in the working directory or above it."),
    ("/etc/highwater/highwater.toml", "The configuration of the host, tried last."),
    (
        ".highwater-state/",
        "Beside the configuration, unless state-dir says otherwise: ledger.db, what highwater remembers; backups/; locks/. It belongs to \
         one user, as whom root runs, too.",
    ),
    ("WORKLIST.highwater.db", "The ledger that highwater exec keeps beside its list."),
];

/// The variables that every command reads.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("HIGHWATER_CONFIG", "The configuration, as with --config."),
    ("HIGHWATER_STATE_DIR", "The directory of the ledger, as with --state-dir."),
    ("HIGHWATER_LOG_FILE, HIGHWATER_LOG_FORMAT", "As with --log-file and --log-format."),
    ("HIGHWATER_LOG", "What is logged, such as warn or highwater_episodes=debug; above -v and --quiet."),
    ("NO_COLOR", "Set to anything: no colours."),
    ("TMPDIR", "Where a command that only looks keeps what goes with it."),
];

/// Every page, that of the program first.
pub(crate) fn pages() -> Vec<Page> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages);
    pages
}

fn add(command: &Command, above: Option<&str>, pages: &mut Vec<Page>) {
    let name = name_of(command);
    pages.push(Page { name: format!("{name}.1"), roff: page(command, &name, above) });
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        add(verb, Some(&name), pages);
    }
}

fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command, name: &str, above: Option<&str>) -> Vec<u8> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    let whole = "invariant: a Vec takes every write";
    man.render_name_section(&mut page).expect(whole);
    man.render_synopsis_section(&mut page).expect(whole);
    man.render_description_section(&mut page).expect(whole);
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page).expect(whole);
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page).expect(whole);
    }
    let mut rest = Roff::new();
    if above.is_none() {
        section(&mut rest, "EXIT STATUS", EXITS);
        rest.control("PP", []);
        rest.text([
            roman("Of several jobs the worst wins: 4, then 2, 1, 3, 0. With "),
            bold("run --cron"),
            roman(" it is always 0."),
        ]);
        section(&mut rest, "FILES", FILES);
        section(&mut rest, "ENVIRONMENT", ENVIRONMENT);
        rest.control("PP", []);
        rest.text([
            roman("A "),
            bold("${NAME}"),
            roman(" in the configuration is read from the environment and never printed."),
        ]);
    } else {
        rest.control("SH", ["EXIT STATUS"]);
        rest.text([
            roman("As in "),
            bold(PROGRAM),
            roman("(1): 0 drained or done, 3 call again, 4 a person must look, 2 refused, 1 failed."),
        ]);
    }
    rest.control("SH", ["SEE ALSO"]);
    let below = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(name_of);
    let others: Vec<String> = above.map(str::to_owned).into_iter().chain(below).collect();
    let mut line = Vec::new();
    for (at, other) in others.iter().enumerate() {
        line.extend([roman(if at == 0 { "" } else { ", " }), bold(other.as_str()), roman("(1)")]);
    }
    rest.text(line);
    page.extend(rest.to_roff().into_bytes());
    // No date: the same program makes the same pages.
    let title = format!(
        ".TH \"{}\" \"1\" \"\" \"{PROGRAM} {}\" \"{MANUAL}\"\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let body = in_ascii(&String::from_utf8_lossy(&page));
    // What stands before the first section is the same on every page.
    match body.split_once(".SH ") {
        Some((before, sections)) => format!("{before}{title}.SH {}", without_preambles(before, sections)).into_bytes(),
        None => body.into_bytes(),
    }
}

/// Each section is rendered with the same lines before it.
fn without_preambles(preamble: &str, sections: &str) -> String {
    if preamble.is_empty() { sections.to_owned() } else { sections.replace(preamble, "") }
}

/// As every `man` reads it, whatever the locale.
fn in_ascii(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut ascii, c| {
        if c.is_ascii() {
            ascii.push(c);
        } else if c == '…' {
            ascii.push_str("...");
        } else {
            write!(ascii, "\\[u{:04X}]", u32::from(c)).expect("invariant: a String takes every write");
        }
        ascii
    })
}

fn section(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (what, means) in entries {
        roff.control("TP", []);
        roff.text([bold(*what)]);
        roff.text([roman(*means)]);
    }
}
