//! A consumer: a command that takes one thing on stdin and says by its exit code what became of it, with the codes of an item
//! command. For jobs that hand what they fetched to a system of their users'. Owns nothing but the call.

use std::path::Path;

use super::child::{Ended, Ending};
use super::item_command::{because, judged};
use super::launch::{self, Launcher, Occasion};
use super::output::Output;
use super::settings::ExecSettings;
use crate::job::{CommitCx, ReadCx, Stop};
use crate::name::ItemKey;
use crate::outcome::{Outcome, OutcomeKind};

/// A command that is handed one thing at a time.
#[derive(Debug)]
pub struct Consumer {
    words: Vec<String>,
    launcher: Launcher,
}

impl Consumer {
    /// The command of `settings`, of which the worklist and what goes with it are not used; its output goes to `output`. Relative
    /// paths count from `base`; `ledger_id` tells this ledger's processes from those of any other.
    #[must_use]
    pub fn new(settings: &ExecSettings, base: &Path, ledger_id: &str, output: Output) -> Self {
        let mut settings = settings.clone();
        settings.resolve(base);
        let command = &settings.command;
        let words = std::iter::once(&command.program).chain(&command.arguments).cloned().collect();
        // What it contacts is not ours to permit: the job did that for the contact that brought the thing.
        Self { words, launcher: Launcher::new(&settings, Vec::new(), ledger_id, output) }
    }

    /// Hands `bytes` over and says what the exit code makes of `key`.
    ///
    /// # Errors
    /// [`Stop::Halt`] for exit 4 and for a command that cannot be started; a checkpoint when the pass must end meanwhile.
    pub async fn hand(&self, cx: &ReadCx, key: &ItemKey, bytes: Vec<u8>) -> Result<Outcome, Stop> {
        let ran = self.launcher.run(Occasion::from(cx), key, self.words.clone(), Some(bytes)).await;
        let Ended { ending, stderr } = ran.map_err(|e| launch::not_run(e, key))?;
        match ending {
            Ending::Itself(status) => judged(status, key, &stderr),
            Ending::Overdue => Ok(because(OutcomeKind::Failed, "not done in its time, killed", &stderr)),
            Ending::PassOver => Err(launch::pass_over()),
            Ending::Stopped => Err(launch::stopped()),
        }
    }

    /// Ends what commands of killed passes still do.
    ///
    /// # Errors
    /// [`Stop::Fail`] when one does not die.
    pub async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.launcher.recover(cx).await
    }
}
