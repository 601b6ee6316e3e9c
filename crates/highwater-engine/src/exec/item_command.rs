//! An item is the command. Owns what its exit code makes of the item; the list is [`super::source`]'s and the process
//! [`super::child`]'s.

use std::convert::Infallible;
use std::process::ExitStatus;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinError;

use super::child::{Ended, Ending};
use super::item::CommandItem;
use super::launch::{self, Launcher, Occasion};
use super::output::Tail;
use super::settings::{self, ExecSettings, StdinShape};
use super::source::{Listed, WorklistFile};
use super::template::{Template, TemplateError};
use super::{HALT_CODE, RETRY_CODE, described};
use crate::diagnosis::Diagnosis;
use crate::job::{Attempt, CommitCx, Effects, Job, OnUnknown, ReadCx, Stop, WorkItem};
use crate::name::ItemKey;
use crate::outcome::{DETAIL_BYTES_MAX, Outcome, OutcomeKind};
use crate::settings::DurationText;
use crate::worklist::Input;

/// The source no longer has the item.
pub const GONE_CODE: i32 = 10;
/// A person must look at the item.
pub const REVIEW_CODE: i32 = 11;
/// The target had the item.
pub const PRESENT_CODE: i32 = 12;
/// A shell could not execute the command.
const NOT_EXECUTABLE_CODE: i32 = 126;
/// A shell did not find the command.
const NOT_FOUND_CODE: i32 = 127;

/// Items that are read ahead of pinning, in batches.
const BATCH_ITEMS_MAX: usize = 256;
/// A batch is full with this many bytes, too.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Batches that wait to be pinned.
const BATCHES_AHEAD: usize = 2;

/// A job whose items are each one run of a command.
#[derive(Debug)]
pub struct ItemCommand {
    list: WorklistFile,
    template: Template,
    stdin: StdinShape,
    on_unknown: OnUnknown,
    timeout: Option<DurationText>,
    launcher: Launcher,
}

impl ItemCommand {
    pub(super) fn new(list: WorklistFile, settings: &ExecSettings, launcher: Launcher) -> Self {
        Self {
            list,
            // A command that reads the item need not be told its key.
            template: Template::new(&settings.command, settings.stdin == StdinShape::None),
            stdin: settings.stdin,
            on_unknown: match settings.on_unknown {
                settings::OnUnknown::Rerun => OnUnknown::Rerun,
                settings::OnUnknown::Review => OnUnknown::Review,
            },
            timeout: settings.timeout,
            launcher,
        }
    }

    /// One run of the command, permits aside.
    pub(super) async fn attempt(&self, occasion: Occasion<'_>, item: &CommandItem) -> Result<Outcome, Stop> {
        let key = item.key();
        let words = self.template.fill(item).map_err(|e| unfit(&e, &format!("item {key}: ")))?;
        let stdin = (self.stdin == StdinShape::Json).then(|| item.json_line());
        let Ended { ending, stderr } =
            self.launcher.run(occasion, &key, words, stdin).await.map_err(|e| launch::not_run(e, &key))?;
        match ending {
            Ending::Itself(status) => judged(status, &key, &stderr),
            Ending::Overdue => {
                let limit = self.timeout.unwrap_or_default();
                Ok(because(OutcomeKind::Failed, &format!("not done after {limit}, killed"), &stderr))
            }
            Ending::PassOver => self.unknown("the pass's time was spent", &stderr).ok_or_else(launch::pass_over),
            Ending::Stopped => self.unknown("the pass was stopped", &stderr).ok_or_else(launch::stopped),
        }
    }

    /// The items of the list, read on a thread of their own.
    fn listed(&self) -> impl Stream<Item = Result<CommandItem, Stop>> + Send + use<> {
        let (batches, read) = mpsc::channel(BATCHES_AHEAD);
        let (list, template) = (self.list.clone(), self.template.clone());
        let reading = tokio::task::spawn_blocking(move || read_list(&list, &template, &batches));
        let batches = stream::unfold((read, Some(reading)), async |(mut read, mut reading)| {
            if let Some(batch) = read.recv().await {
                return Some((batch, (read, reading)));
            }
            // A reader that broke off must not look like the end of the list.
            let error = reading.take()?.await.err()?;
            Some((vec![Err(broke_off(&error))], (read, None)))
        });
        // Who reads in batches asks once more after the end.
        batches.flat_map(stream::iter).fuse()
    }

    /// The outcome of an item whose command we killed, or that died beside us, if it may not simply run again.
    fn unknown(&self, why: &str, stderr: &Tail) -> Option<Outcome> {
        (self.on_unknown == OnUnknown::Review).then(|| {
            let how = format!("{why} while the command ran, and it was killed: whether its effect happened is unknown");
            because(OutcomeKind::Review, &how, stderr)
        })
    }
}

impl Job for ItemCommand {
    type Item = CommandItem;
    type Prepared = Infallible;

    fn effects(&self) -> Effects {
        Effects::InPrepare
    }

    fn on_unknown(&self) -> OnUnknown {
        self.on_unknown
    }

    async fn input(&self, cx: &ReadCx, known: Option<&Input>) -> Result<Option<Input>, Stop> {
        let (list, known, now) = (self.list.clone(), known.cloned(), cx.clock.now());
        let input = tokio::task::spawn_blocking(move || list.input(known.as_ref(), now)).await;
        Ok(Some(input.map_err(|e| broke_off(&e))??))
    }

    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.launcher.recover(cx).await
    }

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<CommandItem, Stop>> + Send {
        self.listed()
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<CommandItem>) -> Result<Attempt<Infallible>, Stop> {
        self.launcher.permit(&cx).await?;
        self.attempt(Occasion::from(&cx), &item).await.map(Attempt::Outcome)
    }

    async fn commit(&self, _: &mut CommitCx, _: &CommandItem, ready: Infallible) -> Result<Outcome, Stop> {
        match ready {}
    }
}

/// What an exit code makes of the item.
pub(super) fn judged(status: ExitStatus, key: &ItemKey, stderr: &Tail) -> Result<Outcome, Stop> {
    let halt = |why: &str| {
        Err(Stop::Halt {
            why: why.to_owned(),
            evidence: launch::evidence(key, &described(status), stderr),
            until: None,
        })
    };
    let plain = |kind| Ok(Outcome::plain(kind));
    match status.code() {
        Some(0) => plain(OutcomeKind::Done),
        Some(RETRY_CODE) => Ok(because(OutcomeKind::Deferred, &described(status), stderr)),
        Some(HALT_CODE) => halt("the command asked for it (exit 4)"),
        Some(GONE_CODE) => plain(OutcomeKind::Gone),
        Some(REVIEW_CODE) => Ok(because(OutcomeKind::Review, &described(status), stderr)),
        Some(PRESENT_CODE) => plain(OutcomeKind::Present),
        Some(NOT_EXECUTABLE_CODE) => halt("the command cannot be executed (exit 126)"),
        Some(NOT_FOUND_CODE) => halt("the command was not found (exit 127)"),
        _ => Ok(because(OutcomeKind::Failed, &described(status), stderr)),
    }
}

/// An outcome with how the command ended and the end of its stderr.
pub(super) fn because(kind: OutcomeKind, how: &str, stderr: &Tail) -> Outcome {
    let separator = ": ";
    let said = stderr.text(DETAIL_BYTES_MAX.saturating_sub(how.len() + separator.len()));
    Outcome::because(kind, if said.is_empty() { how.to_owned() } else { format!("{how}{separator}{said}") })
}

/// An item that the command line cannot take.
fn unfit(error: &TemplateError, at: &str) -> Diagnosis {
    let (code, next) = match error {
        TemplateError::Unknown { .. } => ("HW-EXE-001", "correct `command`, or the list"),
        _ => ("HW-EXE-002", "correct the item, or hand it over whole with `stdin = \"json\"`"),
    };
    Diagnosis::refusal(code, format!("{at}{error}"), next).at_field("command")
}

fn broke_off(error: &JoinError) -> Stop {
    Stop::Fail(Diagnosis::failure(
        "HW-BUG-003",
        format!("reading the worklist broke off: {error}"),
        "report it with this message; nothing is changed",
    ))
}

/// Reads the list, checking that each item fills the command; ends at the first that does not, or once nobody listens.
fn read_list(list: &WorklistFile, template: &Template, batches: &mpsc::Sender<Vec<Result<CommandItem, Stop>>>) {
    let checked = |listed: Result<Listed, Diagnosis>| {
        let Listed { item, line } = listed?;
        template.fill(&item).map_err(|e| unfit(&e, "").in_file(list.path()).at_line(line))?;
        Ok(item)
    };
    let mut items = match list.items() {
        Ok(items) => items.map(checked),
        Err(diagnosis) => return drop(batches.blocking_send(vec![Err(Stop::Fail(diagnosis))])),
    };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut go_on = true;
    while go_on {
        match items.next() {
            Some(Ok(item)) => {
                bytes += item.bytes();
                batch.push(Ok(item));
            }
            Some(Err(diagnosis)) => {
                batch.push(Err(Stop::Fail(diagnosis)));
                go_on = false;
            }
            None => go_on = false,
        }
        if !go_on || batch.len() >= BATCH_ITEMS_MAX || bytes >= BATCH_BYTES_MAX {
            bytes = 0;
            go_on &= batches.blocking_send(std::mem::take(&mut batch)).is_ok();
        }
    }
}

#[cfg(test)]
mod tests;
