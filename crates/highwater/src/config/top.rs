//! The settings outside every table: where the state is, where the log goes, what is kept.
//! Owns the fields and the layers above the file (flag > environment > file > default).

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::{FilePath, Whole};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes;
use super::environment::{Environment, Flags};
use super::source::Origin;

/// Most days that rows or backups are kept: a hundred years.
pub(crate) const KEEP_DAYS_MAX: u64 = 36_525;
/// Most backups that are kept of one database.
pub(crate) const BACKUPS_MAX: u64 = 1_000;

/// The settings of the whole file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TopSettings {
    /// The directory of the ledger, its backups and the locks. Also `--state-dir`, `HIGHWATER_STATE_DIR`.
    pub(crate) state_dir: FilePath,
    /// A log file, rotated daily; its directory must exist. Absent: stderr alone. Also `--log-file`,
    /// `HIGHWATER_LOG_FILE`.
    pub(crate) log_file: Option<FilePath>,
    /// The shape of a log line. Also `--log-format`, `HIGHWATER_LOG_FORMAT`.
    pub(crate) log_format: LogFormat,
    /// How many daily backups of each database are kept.
    pub(crate) backups_keep: Whole<1, BACKUPS_MAX>,
    /// How many days the rows of passes and items are kept; open worklists and events are kept always.
    pub(crate) keep_days: Whole<1, KEEP_DAYS_MAX>,
}

impl Default for TopSettings {
    fn default() -> Self {
        let kept = "invariant: a default is within its bounds";
        Self {
            state_dir: FilePath::new(".highwater-state"),
            log_file: None,
            log_format: LogFormat::default(),
            backups_keep: Whole::new(7).expect(kept),
            keep_days: Whole::new(400).expect(kept),
        }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum LogFormat {
    /// A sentence for people.
    #[default]
    Human,
    /// One JSON object.
    Json,
}

/// What stands above the file, and where it came from.
#[derive(Clone, Default)]
pub(super) struct Layered {
    pub(super) state_dir: Option<(PathBuf, Origin)>,
    pub(super) log_file: Option<(PathBuf, Origin)>,
    pub(super) log_format: Option<(LogFormat, Origin)>,
}

impl Layered {
    /// Takes each value from its flag, else from its variable.
    pub(super) fn of(flags: &Flags, environment: &Environment, errors: &mut Vec<Diagnosis>) -> Self {
        let path = |flag: &Option<PathBuf>, variable: &'static str| {
            let from_flag = flag.clone().map(|path| (path, Origin::Flag));
            let from_variable =
                || environment.setting(variable).map(|path| (path.into(), Origin::Environment(variable)));
            from_flag.or_else(from_variable)
        };
        const LOG_FORMAT: &str = "HIGHWATER_LOG_FORMAT";
        let mut log_format = flags.log_format.map(|format| (format, Origin::Flag));
        if let (None, Some(text)) = (log_format, environment.setting(LOG_FORMAT)) {
            match text.to_str().and_then(|text| <LogFormat as clap::ValueEnum>::from_str(text, false).ok()) {
                Some(format) => log_format = Some((format, Origin::Environment(LOG_FORMAT))),
                None => errors.push(
                    Diagnosis::refusal(
                        codes::WRONG_VALUE,
                        format!("found {text:?}, expected one of `human`, `json`"),
                        "set the variable to one of them, or unset it",
                    )
                    .at_field(LOG_FORMAT),
                ),
            }
        }
        Self {
            state_dir: path(&flags.state_dir, "HIGHWATER_STATE_DIR"),
            log_file: path(&flags.log_file, "HIGHWATER_LOG_FILE"),
            log_format,
        }
    }

    /// Lays these values over the file's.
    pub(super) fn lay_over(&self, top: &mut TopSettings) {
        if let Some((path, _)) = &self.state_dir {
            top.state_dir = FilePath::new(path);
        }
        if let Some((path, _)) = &self.log_file {
            top.log_file = Some(FilePath::new(path));
        }
        if let Some((format, _)) = self.log_format {
            top.log_format = format;
        }
    }

    /// Where the value of a field came from, if from here.
    pub(super) fn origin(&self, field: &str) -> Option<Origin> {
        match field {
            "state-dir" => self.state_dir.as_ref().map(|(_, origin)| *origin),
            "log-file" => self.log_file.as_ref().map(|(_, origin)| *origin),
            "log-format" => self.log_format.map(|(_, origin)| origin),
            _ => None,
        }
    }
}

impl TopSettings {
    /// Makes relative paths absolute, counted from the config file's directory, whatever layer they came from: cron's
    /// working directory is another, and a second state directory would be a second ledger with its own bans.
    pub(super) fn resolve(&mut self, base: &Path) {
        self.state_dir.resolve(base);
        if let Some(log_file) = &mut self.log_file {
            log_file.resolve(base);
        }
    }
}
