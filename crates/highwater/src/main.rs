//! The binary: reads the command line, opens the site, does one command, ends with its exit code. Owns the order of these
//! steps; each command is in `commands/<verb>.rs`.

mod bar;
mod cli;
mod commands;
mod config;
mod cron;
mod logging;
mod manual;
mod output;
mod owner;
mod put;
#[cfg(test)]
mod reference;
mod signals;
mod site;
mod table;
mod units;
mod upkeep;
mod wiring;

use std::os::unix::net::UnixStream;
use std::process::ExitCode as ProcessExit;

use clap::Parser;
use cli::{Cli, Verb};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use output::Output;
use site::Site;

/// What a command comes to: its exit code, or the errors that say one.
type Done = Result<ExitCode, Vec<Diagnosis>>;

/// How many pairs of descriptors a runtime takes at its beginning, for its polling and its signals.
const RUNTIME_DESCRIPTOR_PAIRS: usize = 3;

fn main() -> ProcessExit {
    // Before anything else: a server takes SIGHUP as a word to read its files, and it may come at once.
    signals::hold_hangups();
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) if said.use_stderr() => said.exit(),
        // What was asked for is help, or the version.
        Err(said) => {
            let output = Output { json: false, quiet: false };
            output.line(said.render().ansi().to_string().trim_end_matches('\n'));
            return ended(output, ExitCode::Drained);
        }
    };
    let is_server = match &cli.verb {
        Verb::Receive(_) => true,
        Verb::Ship(ship) => ship.daemon,
        _ => false,
    };
    if !is_server {
        signals::let_hangups_come();
    }
    // `run --cron` is for those whose cron mails whatever is printed, and on any exit but 0.
    let for_cron = matches!(&cli.verb, Verb::Run(run) if run.cron);
    cli.global.quiet |= for_cron;
    let output = Output { json: cli.global.json, quiet: cli.global.quiet };
    let global = for_cron.then(|| cli.global.clone());
    let dispatched = dispatch(cli);
    match global {
        None => {
            let exit = dispatched.unwrap_or_else(|errors| output.errors(&errors));
            ended(output, exit)
        }
        Some(global) => {
            if let Err(errors) = dispatched {
                cron::tell(&errors, &global, output);
            }
            ProcessExit::SUCCESS
        }
    }
}

/// How a call ends: an answer that could not be printed is no exit 0.
fn ended(output: Output, exit: ExitCode) -> ProcessExit {
    let unprinted = output::unprinted().map(commands::unprinted);
    let worst = unprinted.map_or(exit, |error| exit.worst(output.errors(&[error])));
    ProcessExit::from(worst.number())
}

fn dispatch(cli: Cli) -> Done {
    let Cli { global, verb } = cli;
    match verb {
        Verb::Init(args) => commands::init::init(&args, &global),
        Verb::Completions(args) => commands::completions::completions(&args),
        Verb::Man(args) => commands::man::man(&args, &global),
        Verb::Systemd(args) => commands::systemd::systemd(&args, &global),
        Verb::Install(args) => commands::install::install(&args, &global),
        Verb::Config(verb) => commands::config::config(&verb, &global),
        Verb::Exec(args) => commands::exec::exec(&args, &global),
        Verb::Doctor => commands::doctor::doctor(&global),
        Verb::Run(args) => at(&global, |site| commands::run::run(args, site)),
        Verb::Worklist(args) => at(&global, |site| commands::worklist::worklist(args, site)),
        Verb::Status(args) => at(&global, |site| commands::status::status(args, site)),
        Verb::Items(args) => at(&global, |site| commands::items::items(args, site)),
        Verb::Retry(args) => at(&global, |site| commands::retry::retry(args, site)),
        Verb::Skip(args) => at(&global, |site| commands::skip::skip(args, site)),
        Verb::Halt(args) => at(&global, |site| commands::halt::halt(args, site)),
        Verb::Rearm(args) => at(&global, |site| commands::rearm::rearm(args, site)),
        Verb::Pause(args) => at(&global, |site| commands::pause::pause(args, site)),
        Verb::Resume(args) => at(&global, |site| commands::resume::resume(args, site)),
        Verb::Set(args) => at(&global, |site| commands::set::set(args, site)),
        Verb::Unset(args) => at(&global, |site| commands::unset::unset(args, site)),
        Verb::Ban(args) => at(&global, |site| commands::ban::ban(args, site)),
        Verb::Bans => at(&global, commands::bans::bans),
        Verb::Lift(args) => at(&global, |site| commands::lift::lift(args, site)),
        Verb::Events(args) => at(&global, |site| commands::events::events(args, site)),
        Verb::Import(cli::Import::Markers(args)) => at(&global, |site| commands::import::markers(args, site)),
        Verb::Import(cli::Import::BackfillState(args)) => {
            at(&global, |site| commands::oai::take_over::backfill_state(args, site))
        }
        Verb::Oai(verb) => commands::oai::oai(verb, &global),
        Verb::Catalog(args) => commands::catalog::catalog(args, &global),
        Verb::Kb(verb) => commands::kb::kb(verb, &global),
        Verb::Rollup(verb) => at(&global, |site| commands::rollup::rollup(verb, site)),
        Verb::Migrate(verb) => at(&global, |site| commands::migrate::migrate(verb, site)),
        Verb::Receive(args) => {
            let flags = global.clone();
            at(&global, |site| commands::receive::receive(args, site, flags))
        }
        Verb::Reindex(args) => commands::reindex::reindex(args, &global),
        Verb::Episodes(verb) => commands::episodes::episodes(verb, &global),
        Verb::Ship(args) => {
            let flags = global.clone();
            at(&global, |site| commands::ship::ship(args, site, flags))
        }
        Verb::Gate(verb) => at(&global, |site| commands::gate::gate(verb, site)),
        Verb::Verify(args) => at(&global, |site| commands::verify::verify(args, site)),
    }
}

/// Opens the site, as its owner, and only then starts threads.
pub(crate) fn at<F: Future<Output = Done>>(global: &cli::Global, command: impl FnOnce(Site) -> F) -> Done {
    let site = Site::open(global)?;
    in_runtime(command(site))
}

/// Whether a runtime finds the descriptors that it begins with: its signals would end the process without a diagnosis where there are none.
fn has_descriptors() -> std::io::Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..RUNTIME_DESCRIPTOR_PAIRS {
        pairs.push(UnixStream::pair()?);
    }
    Ok(())
}

/// Runs a command to its end.
pub(crate) fn in_runtime<F: Future<Output = Done>>(command: F) -> Done {
    let built = has_descriptors().and_then(|()| tokio::runtime::Builder::new_multi_thread().enable_all().build());
    let runtime = built.map_err(|e| {
        vec![Diagnosis::failure(
            "HW-ENV-002",
            format!("no thread can be started: {e}"),
            "raise the limits of this user (`ulimit -u`, `ulimit -n`)",
        )]
    })?;
    runtime.block_on(async {
        signals::outlive_file_limit();
        command.await
    })
}
