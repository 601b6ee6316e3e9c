//! What this machine cannot show, named instead of passed over.

use std::fmt;

/// Why something cannot be set up here: not root, no loop devices, a tool that is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotHere(pub String);

impl NotHere {
    /// Names a test that is not run, on standard error.
    pub fn say(&self, test: &str) {
        eprintln!("not run here: {test}: {self}");
    }
}

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}
