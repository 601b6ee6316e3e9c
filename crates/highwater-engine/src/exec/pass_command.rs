//! A pass is the command. Owns what its exit code makes of the pass; the process is [`super::child`]'s.

use std::process::ExitStatus;
use std::sync::Arc;

use futures::stream::{self, Stream};

use super::child::{Ended, Ending};
use super::item::CommandItem;
use super::launch::{self, Launcher, Occasion};
use super::output::Tail;
use super::settings::ExecSettings;
use super::{HALT_CODE, RETRY_CODE, described};
use crate::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use crate::name::ItemKey;
use crate::outcome::Outcome;
use crate::report::Reason;
use crate::settings::{CommandLine, DurationText};

/// The key of the one item that the command is.
pub const COMMAND_KEY: &str = "command";

/// A job whose pass is one run of a command.
#[derive(Debug)]
pub struct PassCommand {
    command: CommandLine,
    timeout: Option<DurationText>,
    launcher: Launcher,
}

impl PassCommand {
    pub(super) fn new(settings: &ExecSettings, launcher: Launcher) -> Self {
        Self { command: settings.command.clone(), timeout: settings.timeout, launcher }
    }

    /// One run of the command, permits aside.
    pub(super) async fn attempt(&self, occasion: Occasion<'_>, item: &CommandItem) -> Result<Outcome, Stop> {
        let key = item.key();
        let words = self.command.words().map(str::to_owned).collect();
        let Ended { ending, stderr } =
            self.launcher.run(occasion, &key, words, None).await.map_err(|e| launch::not_run(e, &key))?;
        match ending {
            Ending::Itself(status) => verdict(status, &key, &stderr),
            Ending::Overdue => {
                let limit = self.timeout.unwrap_or_default();
                Err(Stop::checkpoint(
                    Reason::BudgetTime,
                    format!("the command was not done after {limit} and was killed"),
                ))
            }
            Ending::PassOver => Err(launch::pass_over()),
            Ending::Stopped => Err(launch::stopped()),
        }
    }
}

impl Job for PassCommand {
    type Item = CommandItem;
    type Prepared = ();

    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.launcher.recover(cx).await
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<CommandItem, Stop>> + Send {
        let key = ItemKey::new(COMMAND_KEY).expect("invariant: a short word is a key");
        stream::iter([Ok(CommandItem::of_key(key))])
    }

    async fn prepare(&self, _: ReadCx, _: Arc<CommandItem>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, cx: &mut CommitCx, item: &CommandItem, (): ()) -> Result<Outcome, Stop> {
        self.launcher.permit(&cx.read).await?;
        self.attempt(Occasion::from(&cx.read), item).await
    }
}

/// What an exit code makes of the pass.
fn verdict(status: ExitStatus, key: &ItemKey, stderr: &Tail) -> Result<Outcome, Stop> {
    let how = described(status);
    match status.code() {
        Some(0) => Ok(Outcome::done()),
        Some(RETRY_CODE) => Err(Stop::checkpoint(Reason::Checkpoint, "the command asks to be called again (exit 3)")),
        Some(HALT_CODE) => Err(Stop::Halt {
            why: "the command asked for it (exit 4)".to_owned(),
            evidence: launch::evidence(key, &how, stderr),
            until: None,
        }),
        _ => Err(Stop::Halt {
            why: format!("the command failed ({how})"),
            evidence: launch::evidence(key, &how, stderr),
            until: None,
        }),
    }
}

#[cfg(test)]
mod tests;
