//! Where a command works: the configuration or a bare ledger, as whose user, with which ledger. Owns how these are found and
//! opened; only here and in `wiring` do store, configuration and engine meet.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::{SharedClock, SystemClock};
use highwater_engine::contact::StopSignal;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, LedgerError, LedgerFault, Who, Word};
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::pass::Engine;
use highwater_store::{Access, SqliteLedger};
use tempfile::TempDir;

use crate::cli::Global;
use crate::config::{self, Config, Environment, Flags};
use crate::output::Output;
use crate::{logging, owner};

/// The ledger's file in the state directory.
pub(crate) const LEDGER_FILE: &str = "ledger.db";
/// The file of a service's variables has the configuration's name with this ending.
pub(crate) const VARIABLES_EXTENSION: &str = "env";
/// The state is its owner's alone: an item's key or error may be private.
const STATE_DIR_MODE: u32 = 0o700;

/// Where a command works.
pub(crate) struct Site {
    /// The configuration; none beside a bare ledger.
    pub(crate) config: Option<Config>,
    /// The ledger's file.
    pub(crate) ledger_path: PathBuf,
    /// Time.
    pub(crate) clock: SharedClock,
    /// Who called.
    pub(crate) who: Who,
    /// This host.
    pub(crate) host: String,
    /// Where it prints.
    pub(crate) output: Output,
}

/// A ledger for what is there already.
pub(crate) struct Glance {
    pub(crate) ledger: Arc<SqliteLedger>,
    _scratch: Option<TempDir>,
}

/// Reads the configuration that a command is to use.
///
/// # Errors
/// Every mistake in it, or that there is none.
pub(crate) fn configuration(global: &Global) -> Result<Config, Vec<Diagnosis>> {
    read_configuration(global, |environment, _| environment)
}

/// The same as services read it, with the variables of the file beside it that systemd gives them.
///
/// # Errors
/// As [`configuration`].
pub(crate) fn configuration_of_services(global: &Global) -> Result<Config, Vec<Diagnosis>> {
    read_configuration(global, |environment, file| environment.of_services(&file.with_extension(VARIABLES_EXTENSION)))
}

fn read_configuration(
    global: &Global,
    surroundings: impl FnOnce(Environment, &Path) -> Environment,
) -> Result<Config, Vec<Diagnosis>> {
    let environment = Environment::of_process();
    let flags =
        Flags { state_dir: global.state_dir.clone(), log_file: global.log_file.clone(), log_format: global.log_format };
    let working = std::env::current_dir().map_err(|e| {
        vec![Diagnosis::failure(
            "HW-ENV-001",
            format!("the working directory cannot be read: {e}"),
            "change to a directory that exists, or name `--config`",
        )]
    })?;
    let path = config::find(global.config.as_deref(), &environment, &working, Path::new(config::SYSTEM_FILE))
        .map_err(|e| vec![e])?;
    config::load(&path, &surroundings(environment, &path), &flags)
}

/// The state directory that flags, the environment, the file or the default name, where the configuration does not read;
/// `None` where it is not there.
pub(crate) fn state_dir_unread(global: &Global) -> Option<PathBuf> {
    if let Some(ledger) = &global.ledger {
        return ledger.parent().filter(|state| state.join(LEDGER_FILE) == *ledger).map(Path::to_owned);
    }
    let environment = Environment::of_process();
    let working = std::env::current_dir().ok()?;
    let file = config::find(global.config.as_deref(), &environment, &working, Path::new(config::SYSTEM_FILE)).ok()?;
    let state = config::state_dir_unread(&file, &environment, global.state_dir.clone());
    state.is_dir().then_some(state)
}

impl Site {
    /// Finds the configuration or the bare ledger, becomes its owner and starts the log. Before any thread is started.
    ///
    /// # Errors
    /// Every mistake in the configuration; a refusal for another user than the owner.
    pub(crate) fn open(global: &Global) -> Result<Self, Vec<Diagnosis>> {
        let one = |e| vec![e];
        if let Some(ledger) = &global.ledger {
            if !ledger.is_file() {
                return Err(one(Diagnosis::refusal(
                    "HW-SIT-001",
                    "there is no ledger; expected a file that `highwater exec` made",
                    "correct the path: beside a worklist it is `WORKLIST.highwater.db`",
                )
                .in_file(ledger)
                .at_field("--ledger")));
            }
            return Self::beside(global, ledger.clone()).map_err(one);
        }
        let config = configuration(global)?;
        let state = config.state_dir().to_owned();
        let ledger_path = state.join(LEDGER_FILE);
        let who = owner::person();
        owner::become_owner(&[&ledger_path, &state, &config.directory]).map_err(one)?;
        owner::become_owner_of_new(&ledger_path).map_err(one)?;
        logging::start(config.top.log_file.as_deref(), config.top.log_format, global).map_err(one)?;
        Ok(Self::new(global, Some(config), ledger_path, &who))
    }

    /// A site without a configuration, at a ledger that may not be there yet.
    ///
    /// # Errors
    /// A refusal for another user than the ledger's owner.
    pub(crate) fn beside(global: &Global, ledger_path: PathBuf) -> Result<Self, Diagnosis> {
        let who = owner::person();
        owner::become_owner(&[&ledger_path])?;
        owner::become_owner_of_new(&ledger_path)?;
        logging::start(global.log_file.as_deref(), global.log_format.unwrap_or_default(), global)?;
        Ok(Self::new(global, None, ledger_path, &who))
    }

    fn new(global: &Global, config: Option<Config>, ledger_path: PathBuf, who: &str) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            config,
            ledger_path,
            clock: SystemClock::shared(),
            who: Who(format!("{who}@{host}")),
            host,
            output: Output { json: global.json, quiet: global.quiet },
        }
    }

    /// Opens the ledger.
    ///
    /// # Errors
    /// As the ledger says: damaged, newer, of something else, a full disk, permissions.
    pub(crate) fn ledger(&self, access: Access) -> Result<Arc<SqliteLedger>, Diagnosis> {
        if access == Access::ReadWrite {
            self.make_state_dir()?;
        }
        let opened = SqliteLedger::open(&self.ledger_path, self.clock.now(), access);
        let ledger = opened.map_err(|error| self.with_way_out(error))?;
        Ok(Arc::new(match &self.config {
            Some(config) => ledger.keeping_backups(config.top.backups_keep.as_usize()),
            None => ledger,
        }))
    }

    /// What keeps it from being opened, with the way out here: of a damaged one the backup that takes its place (R14).
    fn with_way_out(&self, error: LedgerError) -> Diagnosis {
        let path = std::path::absolute(&self.ledger_path).unwrap_or_else(|_| self.ledger_path.clone());
        let fault = error.fault;
        let mut told = Diagnosis::from(error);
        if let Some(rest) = told.message.strip_prefix(&format!("ledger {}: ", path.display())) {
            told.message = rest.to_owned();
        }
        match fault {
            LedgerFault::Damaged => told.next = match SqliteLedger::newest_good_backup(&path) {
                Ok(Some(backup)) => format!(
                    "stop all passes, move the file away and copy the newest backup that is whole to its place: {}",
                    backup.display()
                ),
                _ => "check that this is the ledger; it has no backup that is whole: without it every item is untried"
                    .to_owned(),
            },
            LedgerFault::NotThere => told.next = "make its directory, or correct the path".to_owned(),
            _ => {}
        }
        told.in_file(path)
    }

    /// The ledger to look at: where none is there yet, an empty one that goes with the command.
    ///
    /// # Errors
    /// As [`Site::ledger`].
    pub(crate) fn ledger_to_read(&self) -> Result<Glance, Diagnosis> {
        self.ledger_there(Access::ReadOnly)
    }

    /// The ledger to take something back in, such as a halt; where none is there yet, an empty one that goes with the command,
    /// so that a refusal leaves nothing behind.
    ///
    /// # Errors
    /// As [`Site::ledger`].
    pub(crate) fn ledger_to_mend(&self) -> Result<Glance, Diagnosis> {
        self.ledger_there(Access::ReadWrite)
    }

    fn ledger_there(&self, access: Access) -> Result<Glance, Diagnosis> {
        if self.ledger_path.exists() {
            return Ok(Glance { ledger: self.ledger(access)?, _scratch: None });
        }
        let scratch = tempfile::tempdir().map_err(|e| {
            Diagnosis::failure(
                "HW-SIT-004",
                format!("no temporary directory can be made: {e}"),
                "free space there, or set `TMPDIR`",
            )
        })?;
        let ledger = SqliteLedger::open(scratch.path().join(LEDGER_FILE), self.clock.now(), Access::ReadWrite)?;
        Ok(Glance { ledger: Arc::new(ledger), _scratch: Some(scratch) })
    }

    fn make_state_dir(&self) -> Result<(), Diagnosis> {
        let Some(config) = &self.config else { return Ok(()) };
        let state = config.state_dir();
        std::fs::DirBuilder::new().mode(STATE_DIR_MODE).recursive(true).create(state).map_err(|e| {
            let message = match e.kind() {
                ErrorKind::AlreadyExists => "found a file, expected the state directory".to_owned(),
                _ => format!("the state directory cannot be made: {e}"),
            };
            Diagnosis::failure("HW-SIT-002", message, "let this user write there, or name another `state-dir`")
                .in_file(state)
                .at_field("state-dir")
        })
    }

    /// The engine of this process on a ledger.
    pub(crate) fn engine(&self, ledger: Arc<dyn Ledger>, stop: StopSignal) -> Engine {
        Engine {
            ledger,
            clock: Arc::clone(&self.clock),
            host: self.host.clone(),
            pid: std::process::id(),
            who: self.who.clone(),
            stop,
        }
    }

    /// A word of the caller's.
    pub(crate) fn word(&self, why: &str) -> Word {
        Word { at: self.clock.now(), who: self.who.clone(), why: why.to_owned() }
    }

    /// Refuses a name of no job before a ledger is made for it.
    ///
    /// # Errors
    /// A refusal that says which jobs there are.
    pub(crate) fn refuse_no_job(&self, name: &str) -> Result<(), Diagnosis> {
        match &self.config {
            Some(config) if !self.ledger_path.exists() => config.declared_job(name).map(drop),
            _ => Ok(()),
        }
    }

    /// The same of a resource.
    ///
    /// # Errors
    /// A refusal that says which resources there are.
    pub(crate) fn refuse_no_resource(&self, name: &str) -> Result<(), Diagnosis> {
        match &self.config {
            Some(config) if !self.ledger_path.exists() => config.declared_resource(name).map(drop),
            _ => Ok(()),
        }
    }

    /// The job that a person named: one of the configuration, or one that the ledger knows.
    ///
    /// # Errors
    /// A refusal that says which jobs there are.
    pub(crate) async fn job(&self, ledger: &dyn Ledger, name: &str) -> Result<JobName, Diagnosis> {
        if let Some(config) = &self.config
            && let Ok(job) = config.declared_job(name)
        {
            return Ok(job.clone());
        }
        let known = ledger.jobs().await?;
        if let Some(job) = known.iter().find(|job| job.name.as_str() == name) {
            return Ok(job.name.clone());
        }
        match &self.config {
            Some(config) => config.declared_job(name).cloned(),
            None => {
                let names: Vec<_> = known.iter().map(|job| job.name.as_str()).collect();
                Err(Diagnosis::refusal(
                    "HW-SIT-003",
                    format!("found no job {name:?} in this ledger, expected {}", names.join(" or ")),
                    "correct the name",
                )
                .in_file(&self.ledger_path))
            }
        }
    }

    /// The resource that a person named.
    ///
    /// # Errors
    /// A refusal that says which resources there are.
    pub(crate) async fn resource(&self, ledger: &dyn Ledger, name: &str) -> Result<ResourceName, Diagnosis> {
        if let Some(config) = &self.config {
            return config.declared_resource(name).cloned();
        }
        let known = ledger.resources().await?;
        let found = known.iter().find(|resource| resource.name.as_str() == name);
        found.map(|resource| resource.name.clone()).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|r| r.name.as_str()).collect();
            Diagnosis::refusal(
                "HW-SIT-003",
                format!("found no resource {name:?} in this ledger, expected {}", names.join(" or ")),
                "correct the name",
            )
            .in_file(&self.ledger_path)
        })
    }
}
