//! `systemd`: the units of a configuration, printed or written. Owns what is said of them, and what a person does next; what
//! stands in them is in `units`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use serde::Serialize;

use super::listing;
use crate::Done;
use crate::cli::{Global, Systemd};
use crate::config::Config;
use crate::output::Output;
use crate::put::Put;
use crate::site::{LEDGER_FILE, configuration_of_services};
use crate::units::{self, Shelf, Units, User, Wanted, When, Wishes};

/// What became of a unit, for programs.
#[derive(Serialize)]
struct Told<'a> {
    unit: &'a str,
    put: Put,
}

pub(crate) fn systemd(args: &Systemd, global: &Global) -> Done {
    let one = |error: Diagnosis| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    if global.ledger.is_some() {
        return Err(one(super::needs_config("systemd")));
    }
    units::check_prefix(&args.prefix).map_err(one)?;
    let when = When::of(&args.times).map_err(one)?;
    let user = args.user.as_deref().map(User::named).transpose().map_err(one)?;
    let config = configuration_of_services(global)?;
    let program = program(args.program.as_deref()).map_err(one)?;
    let owner = units::user_of(&config, &config.state_dir().join(LEDGER_FILE));
    let wishes = Wishes {
        prefix: &args.prefix,
        user: user.unwrap_or_else(|| owner.clone()),
        program,
        when: when.clone(),
        root: None,
    };
    let wanted = Wanted { jobs: &args.job, receiver: args.receiver };
    let made = units::of_config(&config, &wanted, &wishes).map_err(one)?;
    match &args.write {
        None => printed(&made, output).map_err(one)?,
        Some(directory) => written(&made, directory, &when, wanted.is_all(), output).map_err(one)?,
    }
    for note in notes(&made, &config, &wishes.user, &owner) {
        output.note(format_args!("note: {note}"));
    }
    // The units of the others are there; of these there are none.
    if made.faults.is_empty() { Ok(ExitCode::Drained) } else { Err(made.faults) }
}

/// The program that units start.
fn program(named: Option<&Path>) -> Result<PathBuf, Diagnosis> {
    let refuse = |message: String| {
        Diagnosis::refusal(
            units::WRONG_OPTION,
            message,
            "name the installed program: `--program /usr/local/bin/highwater`",
        )
        .at_field("--program")
    };
    let path = match named {
        Some(named) => {
            std::path::absolute(named).map_err(|error| refuse(format!("found no path of a file: {error}")))?
        }
        None => {
            std::env::current_exe().map_err(|error| refuse(format!("this program cannot tell where it is: {error}")))?
        }
    };
    if path.is_file() { Ok(path) } else { Err(refuse(format!("found no program at {}", path.display()))) }
}

fn printed(made: &Units, output: Output) -> Result<(), Diagnosis> {
    if output.json {
        output.json(&serde_json::json!({ "units": made.units }));
        return Ok(());
    }
    let mut page = String::new();
    for (at, unit) in made.units.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        write!(page, "{gap}# {}\n{}", unit.name, unit.text).expect("invariant: a String takes every write");
    }
    listing::print(page.as_bytes()).map(drop)
}

fn written(made: &Units, directory: &Path, when: &When, all: bool, output: Output) -> Result<(), Diagnosis> {
    let shelf = Shelf::at(directory)?;
    let stood = shelf.put(made, when, false)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<_> = stood.iter().map(|stood| name(&stood.path)).collect();
    let told: Vec<_> = names.iter().zip(&stood).map(|(unit, stood)| Told { unit, put: stood.put }).collect();
    let left_over = if all { shelf.left_over(made) } else { Vec::new() };
    let mut text = String::new();
    for (name, stood) in names.iter().zip(&stood) {
        writeln!(text, "{} {name}", stood.put.word(false)).expect("invariant: a String takes every write");
    }
    let changed = stood.iter().any(|stood| stood.put != Put::AsItWas);
    let next = if changed {
        format!("next: `systemctl daemon-reload`, then `systemctl enable --now {}`", made.to_enable().join(" "))
    } else {
        "nothing changed".to_owned()
    };
    output.answer(
        &serde_json::json!({ "directory": directory.to_string_lossy(), "units": told, "left_over": left_over }),
        format_args!("{text}{next}"),
    );
    if !left_over.is_empty() {
        let names = left_over.join(" ");
        output.note(format_args!(
            "note: the configuration no longer has {names}; `systemctl disable --now {names}`, then remove the files"
        ));
    }
    Ok(())
}

/// What keeps the services from starting, and what a person should know.
fn notes(made: &Units, config: &Config, user: &User, owner: &User) -> Vec<String> {
    let mut notes = made.without.clone();
    notes.extend(made.notes.iter().cloned());
    if !user.is_here() {
        notes.push(format!("this machine has no user {}; make it, or name another with `--user`", user.name));
    } else if user != owner && config.state_dir().exists() {
        notes.push(format!(
            "{} belongs to {}, and the units run as {}, whom highwater refuses there; name its owner with `--user`",
            config.state_dir().display(),
            owner.name,
            user.name
        ));
    }
    if user.name == "root" {
        notes.push("the units run as root; name a user of their own with `--user`".to_owned());
    }
    let missing: Vec<_> = made.directories.iter().filter(|path| !path.is_dir()).collect();
    let make = |paths: &[&PathBuf]| {
        let words: Vec<_> = paths.iter().map(|path| highwater_engine::shell::quoted_path(path)).collect();
        format!("`install -d -o {} -m 0750 {}`", user.name, words.join(" "))
    };
    if !missing.is_empty() {
        notes.push(format!("systemd starts none of them before these directories are there: {}", make(&missing)));
    }
    let episodes: Vec<_> = made.episodes.iter().filter(|path| !path.is_dir() && !missing.contains(path)).collect();
    if !episodes.is_empty() {
        notes.push(format!(
            "nothing is shipped before the directory of episodes is there: {}; let whoever records write there",
            make(&episodes)
        ));
    }
    notes
}
