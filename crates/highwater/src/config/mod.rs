//! The configuration, `highwater.toml`: where it is found, how it is read, what is effective and why.
//!
//! Owns the file's shape as a whole (the tables, the layers above them, the checks between them), its JSON Schema and
//! its reference. Does not own the fields: those of the engine are in `highwater_engine::settings`, those of a kind in
//! the crate that runs it. Nothing here opens a ledger, takes a lock or starts anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::settings::{DatabaseUrl, JobSettings, LockAddress, ResourceSettings, SecretText};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_rollup::migrate::MigrateSettings;
use indexmap::IndexMap;

mod advise;
mod catalog;
mod check;
mod codes;
mod environment;
mod fields;
mod find;
mod init;
mod interpolate;
mod kind;
mod load;
mod places;
mod read;
#[cfg(test)]
mod reference;
mod schema;
mod show;
mod source;
mod suggest;
mod tables;
mod throttle;
mod top;
mod unset;

#[cfg(test)]
mod tests;

pub(crate) use advise::advise;
pub(crate) use environment::{Environment, Flags};
pub(crate) use find::{CONFIG_VARIABLE, SYSTEM_FILE, find};
pub(crate) use init::init;
pub(crate) use kind::{KindSettings, uploads, works_in_slices};
pub(crate) use load::{load, state_dir_unread};
pub(crate) use schema::schema;
pub(crate) use show::show;
pub(crate) use suggest::suggestion;
pub(crate) use throttle::own_database;
pub(crate) use top::{LogFormat, TopSettings};
pub(crate) use unset::NotifyConfig;

use source::Entries;
use top::Layered;
use unset::{MigrateConfig, ReceiverConfig, Unset};

/// A configuration that passed every check; paths are absolute, names resolve.
#[derive(Clone)]
pub(crate) struct Config {
    /// The file it was read from.
    pub(crate) file: PathBuf,
    /// The file's directory, from which relative paths count.
    pub(crate) directory: PathBuf,
    /// The settings outside every table, the layers above the file applied.
    pub(crate) top: TopSettings,
    /// The resources that can be used here: as declared, in file order, then the jobs' own.
    pub(crate) resources: IndexMap<ResourceName, ResourceConfig>,
    /// The jobs that can run here, in file order.
    pub(crate) jobs: IndexMap<JobName, JobConfig>,
    /// Who is told about changes.
    pub(crate) notify: Vec<NotifyConfig>,
    migrate: Option<MigrateConfig>,
    receiver: Option<ReceiverConfig>,
    unset: Unset,
    entries: Entries,
    layered: Layered,
    /// The variables that `${NAME}` read.
    secrets: BTreeMap<String, SecretText>,
}

/// A job of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobConfig {
    /// Its name.
    pub(crate) name: JobName,
    /// What every kind of job takes; `resources` is never empty here.
    pub(crate) settings: JobSettings,
    /// What its own kind takes.
    pub(crate) kind: KindSettings,
    /// The line of its table.
    pub(crate) line: u64,
}

/// A resource of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResourceConfig {
    /// Its settings.
    pub(crate) settings: ResourceSettings,
    /// Its lock: as given, or its own file in the state directory.
    pub(crate) lock: LockAddress,
    /// The databases that an advisory lock may be meant in: the one that is named, else those of the jobs; one, once checked.
    pub(crate) lock_databases: Vec<DatabaseUrl>,
    /// The line of its table; absent for a job's own.
    pub(crate) line: Option<u64>,
}

/// Shortest secret that [`Config::redact`] looks for; shorter ones would blot out ordinary text.
const SECRET_BYTES_MIN: usize = 4;

impl Config {
    /// The line of a dotted field of a table, or of what holds it there; `None` where the file has neither.
    pub(crate) fn line_of(&self, table: &str, field: &str) -> Option<u64> {
        let mut field = field;
        loop {
            let at = format!("{table}.{field}");
            if let Some(line) = self.entries.line(&at).or_else(|| self.entries.line_within(&at)) {
                return Some(line);
            }
            field = field.rsplit_once('.')?.0;
        }
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.top.state_dir
    }

    /// The job that a person named.
    ///
    /// # Errors
    /// A refusal that suggests the job probably meant, else lists the jobs there are; of one that lacks a variable, which.
    pub(crate) fn job(&self, name: &str) -> Result<&JobConfig, Diagnosis> {
        if let Some((_, unset)) = self.unset.jobs.iter().find(|(known, _)| known.as_str() == name) {
            return Err(unset.refusal());
        }
        let found = self.jobs.values().find(|job| job.name.as_str() == name);
        found.ok_or_else(|| {
            let known = self.declared_jobs();
            self.no_such("job", name, known.iter().map(|(name, _)| name.as_str()))
        })
    }

    /// The migrations.
    ///
    /// # Errors
    /// A refusal where the file has none, or where they lack a variable: which.
    pub(crate) fn migrate(&self) -> Result<&MigrateSettings, Diagnosis> {
        match &self.migrate {
            Some(MigrateConfig::Known(settings)) => Ok(settings),
            Some(MigrateConfig::Unset(faults)) => Err(unset::first(faults)),
            None => Err(Diagnosis::refusal(
                codes::NO_MIGRATE,
                "found no `[migrate]`, which says where the migrations are and of which database",
                "add it: `[migrate]`, `directory = \"migrations\"`, `database = \"sqlite:app.db\"`",
            )
            .in_file(&self.file)),
        }
    }

    /// The receiver.
    ///
    /// # Errors
    /// A refusal where the file has none, or where it lacks a variable: which.
    pub(crate) fn receiver(&self) -> Result<&ReceiverSettings, Diagnosis> {
        match &self.receiver {
            Some(ReceiverConfig::Known(settings)) => Ok(settings),
            Some(ReceiverConfig::Unset(faults)) => Err(unset::first(faults)),
            None => Err(Diagnosis::refusal(
                codes::NO_RECEIVER,
                "found no `[receiver]`, which says where to listen, where to store and who may write",
                "add it: `[receiver]`, `root = \"received\"`, and a `[[receiver.tokens]]` or `[receiver.tls]`",
            )
            .in_file(&self.file)),
        }
    }

    /// Whether the file has a receiver, whether or not it can run here.
    pub(crate) fn has_receiver(&self) -> bool {
        self.receiver.is_some()
    }

    /// What this call gave over the file, as flags: whoever is to work at the same place must give it too.
    pub(crate) fn flags_of_call(&self) -> Vec<(&'static str, PathBuf)> {
        let given = |field| self.layered.origin(field).is_some();
        let mut flags = Vec::new();
        if given("state-dir") {
            flags.push(("--state-dir", self.top.state_dir.to_path_buf()));
        }
        if let Some(file) = self.top.log_file.as_ref().filter(|_| given("log-file")) {
            flags.push(("--log-file", file.to_path_buf()));
        }
        if given("log-format") {
            let word = match self.top.log_format {
                LogFormat::Human => "human",
                LogFormat::Json => "json",
            };
            flags.push(("--log-format", word.into()));
        }
        flags
    }

    /// Whether the file reads variables of the environment.
    pub(crate) fn reads_variables(&self) -> bool {
        !self.secrets.is_empty() || !self.unset().is_empty()
    }

    /// The resource that a person named.
    ///
    /// # Errors
    /// A refusal that suggests the resource probably meant, else lists the resources there are; of one that lacks a variable,
    /// which.
    pub(crate) fn resource(&self, name: &str) -> Result<(&ResourceName, &ResourceConfig), Diagnosis> {
        if let Some((_, faults)) = self.unset.resources.iter().find(|(known, _)| known.as_str() == name) {
            return Err(unset::first(faults));
        }
        let found = self.resources.iter().find(|(known, _)| known.as_str() == name);
        found.ok_or_else(|| self.no_such("resource", name, self.resources.keys().map(ResourceName::as_str)))
    }

    fn no_such<'c>(&self, what: &str, name: &str, known: impl Iterator<Item = &'c str> + Clone) -> Diagnosis {
        let message = format!("found no {what} {name:?}, expected {}", suggest::one_of(known.clone()));
        let next = match suggestion(name, known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("correct the name, or add `[{what}.{name}]`"),
        };
        Diagnosis::refusal(codes::NO_SUCH_NAME, message, next).in_file(&self.file)
    }

    /// The error without the values of secrets.
    fn redacted(&self, mut error: Diagnosis) -> Diagnosis {
        error.message = self.redact(&error.message).into_owned();
        error.next = self.redact(&error.next).into_owned();
        error
    }

    /// The text with every secret that came from `${NAME}` shown as `${NAME}`, for what a command printed.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.secrets.iter().fold(Cow::Borrowed(text), |text, (variable, value)| {
            let value = value.expose();
            if value.len() >= SECRET_BYTES_MIN && text.contains(value) {
                Cow::Owned(text.replace(value, &format!("${{{}}}", variable)))
            } else {
                text
            }
        })
    }
}

/// Names the file and the jobs alone: commands may hold secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs: Vec<_> = self.jobs.keys().collect();
        f.debug_struct("Config").field("file", &self.file).field("jobs", &jobs).finish_non_exhaustive()
    }
}
