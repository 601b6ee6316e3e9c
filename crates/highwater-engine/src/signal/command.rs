//! The number that a command prints: exit 0 and one number on standard output. It runs in a process group of its own, which is
//! ended with it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{NUMBER_BYTES_MAX, Reading, Signal, SignalError, Watched, number};
use crate::clock::SharedClock;
use crate::contact::StopSignal;
use crate::exec::child::{self, Bounds, Ending, Start};
use crate::exec::described;
use crate::exec::output::{Output, Stream};
use crate::settings::CommandLine;

/// The time between SIGTERM and SIGKILL for a command that took too long, in seconds.
const GRACE_SECS: u64 = 1;
/// How much of the end of its stderr is told, in bytes.
const SAID_BYTES_MAX: usize = 200;

/// The number that a command prints.
#[derive(Debug)]
pub struct CommandSignal {
    /// What people call it, its limit, and how long it is waited for.
    pub watched: Watched,
    /// The command.
    pub command: CommandLine,
    /// Where it runs.
    pub directory: PathBuf,
    /// Time.
    pub clock: SharedClock,
}

#[async_trait]
impl Signal for CommandSignal {
    fn name(&self) -> &str {
        &self.watched.name
    }

    fn limit(&self) -> f64 {
        self.watched.limit
    }

    /// Longer than the command may take: it ends its own command, and says so.
    fn timeout(&self) -> Duration {
        self.watched.timeout + Duration::from_secs(GRACE_SECS + 1)
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let listener = Arc::clone(&heard);
        let output = Output::Through(Arc::new(move |stream, lines: &[u8]| {
            if stream == Stream::Stdout {
                let mut heard = listener.lock().unwrap_or_else(PoisonError::into_inner);
                let room = NUMBER_BYTES_MAX.saturating_sub(heard.len());
                heard.extend_from_slice(&lines[..lines.len().min(room)]);
            }
        }));
        let start = Start {
            words: self.command.words().map(str::to_owned).collect(),
            directory: &self.directory,
            env: Vec::new(),
            stdin: None,
        };
        let stop = StopSignal::default();
        let bounds = Bounds {
            clock: &self.clock,
            stop: &stop,
            deadline: None,
            timeout: Some(self.watched.timeout),
            grace: Duration::from_secs(GRACE_SECS),
        };
        let doing = || format!("cannot run {:?}", self.command.program);
        let ended = child::run(start, bounds, &output)
            .await
            .map_err(|source| SignalError::Failed { doing: doing(), source: source.into() })?;
        match ended.ending {
            Ending::Itself(status) if status.success() => {
                let text = heard.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Reading::now(number(&text)?))
            }
            Ending::Itself(status) => {
                let said = ended.stderr.text(SAID_BYTES_MAX);
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                Err(SignalError::Refused { said: format!("the command ended with {}{said}", described(status)) })
            }
            Ending::Overdue | Ending::PassOver | Ending::Stopped => {
                Err(SignalError::Late { after: self.watched.timeout })
            }
        }
    }
}
