//! What surrounds the file: the process's environment and the flags that every command takes.
//! Passed in, so that loading a configuration depends on nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::top::LogFormat;

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable; an empty one counts as a value.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The value of one of highwater's own variables; an empty one counts as not set.
    pub(crate) fn setting(&self, name: &str) -> Option<&OsStr> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// The flags that stand above the environment and the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    /// `--state-dir`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `--log-file`.
    pub(crate) log_file: Option<PathBuf>,
    /// `--log-format`.
    pub(crate) log_format: Option<LogFormat>,
}
