//! `exec`: any command as a bounded, locked, remembered pass. Two shapes: an item is the command ([`ItemCommand`]), or a pass
//! is ([`PassCommand`]). Owns both jobs, the worklist file and the child processes; lock, ban, pace, breaker and ledger are the
//! engine's.

use std::path::Path;
use std::process::ExitStatus;

use crate::name::ResourceName;

pub mod child;
pub mod consumer;
mod group;
pub mod item;
pub mod item_command;
pub mod launch;
mod leftover;
pub mod output;
pub mod pass_command;
mod program;
pub mod settings;
pub mod source;
pub mod template;

use item_command::ItemCommand;
use launch::Launcher;
use output::Output;
use pass_command::PassCommand;
use settings::ExecSettings;
use source::WorklistFile;

/// Call again: the item is to be tried again and did not fail, or the pass is a checkpoint.
pub const RETRY_CODE: i32 = 3;
/// A person must look.
pub const HALT_CODE: i32 = 4;

/// A job of kind `exec`, in the shape its settings give it.
#[derive(Debug)]
pub enum ExecJob {
    /// It has a worklist: an item is the command.
    Item(ItemCommand),
    /// It has none: a pass is the command.
    Pass(PassCommand),
}

impl ExecJob {
    /// The job that the settings describe. Relative paths count from `base`; every run takes a permit of each of `resources`;
    /// `recurring` lets a worklist be empty; `ledger_id` tells this ledger's processes from those of any other.
    #[must_use]
    pub fn from_settings(
        settings: &ExecSettings,
        base: &Path,
        resources: Vec<ResourceName>,
        recurring: bool,
        ledger_id: &str,
        output: Output,
    ) -> Self {
        let mut settings = settings.clone();
        settings.resolve(base);
        let launcher = Launcher::new(&settings, resources, ledger_id, output);
        match (&settings.worklist, settings.effective_format()) {
            (Some(path), Some(format)) => {
                let list = WorklistFile::new(path.to_path_buf(), format, settings.key.clone(), recurring);
                Self::Item(ItemCommand::new(list, &settings, launcher))
            }
            _ => Self::Pass(PassCommand::new(&settings, launcher)),
        }
    }
}

/// How a command ended, in words: `exit 5`, `signal 9 (SIGKILL)`.
#[must_use]
pub fn described(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit {code}"),
        None => status.to_string().replacen("signal: ", "signal ", 1),
    }
}
