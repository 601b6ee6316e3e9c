//! What surrounds the file: the process's environment and the flags that every command takes.
//! Passed in, so that loading a configuration depends on nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::top::LogFormat;

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The same as services have it, which systemd gives the variables of a file; as far as this user may read it.
    pub(crate) fn of_services(mut self, file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        self.0.extend(variables(&text).map(|(name, value)| (name.into(), value.into())));
        self
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

/// The variables of a file of lines `NAME=VALUE`, as `EnvironmentFile=` takes it; values may stand in quotes.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        Some((name.trim_end(), quoted.unwrap_or(value)))
    })
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

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn a_file_of_variables_is_read_as_systemd_reads_it() {
        let text = "# a token\nTOKEN=a=b c \n; more\n\nQUOTED=\"d e\"\nSINGLE='f'\nnothing\n";
        let read: Vec<_> = variables(text).collect();
        assert_eq!(read, [("TOKEN", "a=b c"), ("QUOTED", "d e"), ("SINGLE", "f")]);
    }
}
