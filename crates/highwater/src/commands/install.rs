//! `install`: readies a host for a role. Owns the order of the steps, that each is told as done or as done before, and that what
//! is half done is finished by the next call.

mod account;
mod checks;
mod roles;
mod stage;
mod steps;

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;

use self::account::Account;
use self::stage::{Owner, Stage};
use super::listing;
use crate::Done;
use crate::cli::{Cli, Global, Install};
use crate::config::{self, Config, Environment, Flags};
use crate::manual;
use crate::output::Output;
use crate::put;
use crate::site::VARIABLES_EXTENSION;
use crate::units::{self, Shelf, Units, User, Wanted, When, Wishes};

/// Only root may install on the machine itself.
const NOT_ROOT: &str = "HW-INS-001";
/// A step cannot be done.
const CANNOT: &str = "HW-INS-002";
/// The configuration that is there has nothing for the role.
const OTHER_ROLE: &str = "HW-INS-003";
/// A path that cannot be one of an installation.
const WRONG_PATH: &str = "HW-INS-004";

/// Where units of the machine's own are.
const UNIT_DIRECTORY: &str = "/etc/systemd/system";
/// Where the program is put, unless it lies in a directory of programs already.
const PROGRAM: &str = "/usr/local/bin/highwater";
/// Below these a program is where it belongs.
const PROGRAM_DIRECTORIES: &[&str] = &["/usr", "/opt"];
/// Is there while systemd runs.
const SYSTEMD_RUNS: &str = "/run/systemd/system";
/// Certificates and their keys: root's to write, the service's to read.
const TLS_DIRECTORY: &str = "/etc/highwater/tls";

const MODE_OF_SECRETS: u32 = 0o750;
const MODE_OF_CONFIG: u32 = 0o640;
const MODE_OF_HOME: u32 = 0o755;
const MODE_OF_ALL: u32 = 0o644;
const MODE_OF_PROGRAM: u32 = 0o755;

pub(crate) fn install(args: &Install, global: &Global) -> Done {
    let one = |error: Diagnosis| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    if args.print_config {
        return listing::print(roles::template(args.role).as_bytes()).map(|_| ExitCode::Drained).map_err(one);
    }
    if global.ledger.is_some() {
        return Err(one(super::needs_config("install")));
    }
    let user = User::named(&args.user).map_err(one)?;
    if user.is_root() {
        return Err(one(as_root(&args.user)));
    }
    let when = When::of(&args.times).map_err(one)?;
    let mut stage = Stage::open(args.root.as_deref(), args.dry_run, output).map_err(one)?;
    let ended = Installer { args, global, user, when }.all(&mut stage);
    // What was done is told before what kept the rest from being done.
    stage.tell(args.role, ended.as_ref().ok().map(String::as_str));
    ended.map(|_| ExitCode::Drained)
}

/// Refuses root as the user of services, by whatever name.
fn as_root(name: &str) -> Diagnosis {
    Diagnosis::refusal(
        units::WRONG_OPTION,
        format!(
            "found {name}, which is root; expected a user of the services' own: whoever breaks into one is that user"
        ),
        "name another, which is made where it is not there, or leave the flag out: `highwater` is made",
    )
    .at_field("--user")
}

/// What one call is asked for.
struct Installer<'a> {
    args: &'a Install,
    global: &'a Global,
    user: User,
    when: When,
}

impl Installer<'_> {
    /// Every step; what a person does next.
    fn all(&self, stage: &mut Stage) -> Result<String, Vec<Diagnosis>> {
        let one = |error: Diagnosis| vec![error];
        let account = Account::ready(stage, &self.args.user).map_err(one)?;
        if account.ids.is_some_and(|(uid, _)| uid == 0) {
            return Err(one(as_root(&self.args.user)));
        }
        stage.serves(account);
        let file = self.config_file().map_err(one)?;
        let home = file.parent().unwrap_or(Path::new("/"));
        let program = self.program(stage).map_err(one)?;
        stage.directory(home, MODE_OF_SECRETS, Owner::RootAndGroup).map_err(one)?;
        stage.directory(Path::new(TLS_DIRECTORY), MODE_OF_SECRETS, Owner::RootAndGroup).map_err(one)?;
        stage.directory(Path::new(account::HOME), MODE_OF_HOME, Owner::Service).map_err(one)?;
        stage.config(&file, roles::template(self.args.role)).map_err(one)?;
        stage.sweep(home);
        // A rehearsal reads what it would have written.
        let scratch = stage.scratch(&file, roles::template(self.args.role)).map_err(one)?;
        let root = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let root = root.map(|root| root.canonicalize().unwrap_or(root)).or_else(|| stage.root().map(Path::to_owned));
        let config = self.read(root.as_deref(), &file)?;
        roles::fits(self.args.role, &config, &stage.at(&file)).map_err(one)?;
        let wishes = Wishes {
            prefix: "highwater",
            user: self.user.clone(),
            program: program.clone(),
            when: self.when.clone(),
            root: root.as_deref(),
        };
        let units = units::of_config(&config, &Wanted::default(), &wishes).map_err(one)?;
        for (path, mode) in roles::directories(&config, &units) {
            stage.directory(&units::seen_from(&path, root.as_deref()), mode, Owner::Service).map_err(one)?;
        }
        let changed = self.units(stage, &units).map_err(one)?;
        self.pages(stage, &program).map_err(one)?;
        checks::check(stage, &config, root.as_deref(), self.args.role);
        for fault in &units.faults {
            let variables = file.with_extension(VARIABLES_EXTENSION);
            let next =
                format!("add a line NAME=VALUE to {}, for root alone to read, and call again", variables.display());
            stage.left("variable", fault.told(), &next);
        }
        self.reload(stage, changed);
        Ok(self.next(stage, &units, &file))
    }

    /// The configuration as it is called on the machine.
    fn config_file(&self) -> Result<PathBuf, Diagnosis> {
        let variable = std::env::var_os(config::CONFIG_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = self.global.config.clone().or_else(|| variable.filter(|_| self.args.root.is_none()));
        let Some(named) = named else { return Ok(PathBuf::from(config::SYSTEM_FILE)) };
        if self.args.root.is_some() && named.is_relative() {
            return Err(Diagnosis::refusal(
                WRONG_PATH,
                format!("found {}, expected the path that it has below `--root`, from `/` on", named.display()),
                "begin it with `/`",
            )
            .at_field("--config"));
        }
        let file = std::path::absolute(&named).unwrap_or(named);
        if file.file_name().is_none() || file.is_dir() {
            let message = format!("found {}, expected the path of a file", file.display());
            return Err(Diagnosis::refusal(WRONG_PATH, message, "name the file").at_field("--config"));
        }
        Ok(file)
    }

    /// The program that units start, put in its place.
    fn program(&self, stage: &mut Stage) -> Result<PathBuf, Diagnosis> {
        if let Some(named) = &self.args.program {
            if named.is_relative() {
                let message =
                    format!("found {}, expected the path that it has on the machine, from `/` on", named.display());
                return Err(Diagnosis::refusal(WRONG_PATH, message, "begin it with `/`").at_field("--program"));
            }
            if !stage.at(named).is_file() {
                stage.left("program", format!("{} is not there", named.display()), "put it there");
            }
            return Ok(named.clone());
        }
        let here = std::env::current_exe().map_err(|error| {
            Diagnosis::failure(
                CANNOT,
                format!("this program cannot tell where it is: {error}"),
                "name it: `--program /usr/local/bin/highwater`",
            )
        })?;
        if PROGRAM_DIRECTORIES.iter().any(|directory| here.starts_with(directory)) && stage.at(&here).is_file() {
            stage.as_it_was("program", here.display().to_string());
            return Ok(here);
        }
        let program = PathBuf::from(PROGRAM);
        match fs::read_link(stage.at(&program)) {
            Ok(to) => Self::linked(stage, &here, &to),
            // A file, or nothing.
            Err(_) => stage.copy("program", &here, &program, MODE_OF_PROGRAM)?,
        }
        Ok(program)
    }

    /// A symlink in the program's place is a person's: it stays, whatever it leads to.
    fn linked(stage: &mut Stage, here: &Path, to: &Path) {
        let leads = Path::new(PROGRAM).parent().unwrap_or(Path::new("/")).join(to);
        let is_this = put::is_same(here, &stage.at(&leads)).unwrap_or(false);
        let found = format!("{PROGRAM} is a symlink to {}", to.display());
        if is_this {
            stage.as_it_was("program", format!("{found}, which is this program"));
        } else {
            let found =
                format!("{found}, which is not this program; it stays as it is, and units start what it leads to");
            let next = "remove it and call again, or let it lead to this program; `--program FILE` names another that units start";
            stage.left("program", found, next);
        }
    }

    fn read(&self, root: Option<&Path>, file: &Path) -> Result<Config, Vec<Diagnosis>> {
        let global = self.global;
        let flags = Flags {
            state_dir: global.state_dir.clone(),
            log_file: global.log_file.clone(),
            log_format: global.log_format,
        };
        let file = stage::below(root, file);
        let environment = Environment::of_process().of_services(&file.with_extension(VARIABLES_EXTENSION));
        config::load(&file, &environment, &flags)
    }

    /// Puts the units in their directory; whether any is another now.
    fn units(&self, stage: &mut Stage, units: &Units) -> Result<bool, Diagnosis> {
        stage.plain_directory(Path::new(UNIT_DIRECTORY))?;
        let directory = stage.at(Path::new(UNIT_DIRECTORY));
        let shelf = if stage.rehearses() { Shelf::that_may_be(&directory) } else { Shelf::at(&directory)? };
        let mut changed = false;
        for stood in shelf.put(units, &self.when, stage.rehearses())? {
            let name = stood.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            changed |= stage.stood("unit", name, stood.put);
        }
        stage.sweep(Path::new(UNIT_DIRECTORY));
        for name in shelf.left_over(units) {
            stage.left(
                "unit",
                format!("{name} is there, and the configuration no longer has it"),
                &format!("`systemctl disable --now {name}`, then remove the file"),
            );
        }
        for note in units.without.iter().chain(&units.notes) {
            stage.note(note);
        }
        Ok(changed)
    }

    /// Manual pages and completions, beside the program.
    fn pages(&self, stage: &mut Stage, program: &Path) -> Result<(), Diagnosis> {
        let bin = program.parent().filter(|bin| bin.ends_with("bin"));
        let share = bin.and_then(Path::parent).unwrap_or(Path::new("/usr/local")).join("share");
        let pages = manual::pages().into_iter().map(|page| (page.name, page.roff));
        stage.files("man pages", &share.join("man/man1"), pages, MODE_OF_ALL)?;
        for (shell, place, name) in [
            (Shell::Bash, "bash-completion/completions", "highwater"),
            (Shell::Zsh, "zsh/site-functions", "_highwater"),
            (Shell::Fish, "fish/vendor_completions.d", "highwater.fish"),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "highwater", &mut script);
            stage.files("completions", &share.join(place), [(name.to_owned(), script)], MODE_OF_ALL)?;
        }
        Ok(())
    }

    fn reload(&self, stage: &mut Stage, changed: bool) {
        if !changed || stage.root().is_some() || stage.rehearses() || !Path::new(SYSTEMD_RUNS).is_dir() {
            return;
        }
        match std::process::Command::new("systemctl").arg("daemon-reload").status() {
            Ok(status) if status.success() => stage.done("systemd", "read its units again".to_owned()),
            _ => stage.left("systemd", "it did not read its units again".to_owned(), "`systemctl daemon-reload`"),
        }
    }

    fn next(&self, stage: &Stage, units: &Units, file: &Path) -> String {
        let enable = format!("systemctl enable --now {}", units.to_enable().join(" "));
        let call = match self.args.role {
            crate::cli::Role::Receiver => "receive".to_owned(),
            crate::cli::Role::LabHost => "ship --daemon".to_owned(),
        };
        match stage.root() {
            Some(_) => format!("on the machine: `systemctl daemon-reload`, then `{enable}`"),
            None if Path::new(SYSTEMD_RUNS).is_dir() => format!("`{enable}`"),
            None => format!(
                "systemd does not run here; the units wait for it. Until then: `highwater {call} --config {}`",
                highwater_engine::shell::quoted_path(file)
            ),
        }
    }
}
