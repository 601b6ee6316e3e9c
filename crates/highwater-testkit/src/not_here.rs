//! What this machine cannot show, named instead of passed over.

use std::fmt;
use std::fs::File;
use std::io::Write as _;

/// Names the file to which what is not run is appended, a line each; `make test` shows it at its end.
pub const NOT_RUN_VARIABLE: &str = "HIGHWATER_NOT_RUN";

/// Why something cannot be set up here: not root, no loop devices, a tool that is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotHere(pub String);

impl NotHere {
    /// Names a test that is not run: on standard error, and in the file that [`NOT_RUN_VARIABLE`] names.
    ///
    /// # Panics
    /// That file cannot be written: what is not run would go unnoticed.
    pub fn say(&self, test: &str) {
        eprintln!("not run here: {test}: {self}");
        let Some(path) = std::env::var_os(NOT_RUN_VARIABLE) else { return };
        // In one write, for tests run beside each other.
        let line = format!("{test}: {self}\n");
        let written =
            File::options().append(true).create(true).open(&path).and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            panic!("{NOT_RUN_VARIABLE}={} cannot be written: {error}", path.display());
        }
    }
}

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}
