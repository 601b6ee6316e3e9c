//! One conversion as a process of its own, in a group of its own, within limits. Owns how it is started and what its end means;
//! the limits on its memory and its processor's time it sets itself, before it opens the document.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::SharedClock;
use highwater_engine::contact::StopSignal;
use highwater_engine::exec::child::{self, Bounds, Ended, Ending, Start};
use highwater_engine::exec::described;
use highwater_engine::exec::output::Output;
use highwater_engine::report::ExitCode;
use rustix::process::Signal;

use super::error::{ConvertError, Refusal, sentence};
use super::limits::Limits;
use super::stage::{BESIDE, Staged};
use super::{Converted, Format, answer};

/// The command of our own binary that is a conversion.
const COMMAND: [&str; 2] = ["kb", "convert"];
/// The directory, beside the copy, that it leaves its answer in.
const ANSWER: &str = "answer";
/// The time between SIGTERM and SIGKILL, in milliseconds: it has nothing to tidy up.
const GRACE_MS: u64 = 200;
/// How much of the end of what it says is read, in bytes.
const SAID_BYTES_MAX: usize = 4096;

/// Converts documents, each in a process of its own.
#[derive(Debug, Clone)]
pub struct Subprocess {
    program: String,
    limits: Limits,
    clock: SharedClock,
}

impl Subprocess {
    /// Conversions by the binary at `program`, which is highwater itself.
    #[must_use]
    pub fn new(program: &Path, limits: Limits, clock: SharedClock) -> Self {
        Self { program: program.to_string_lossy().into_owned(), limits, clock }
    }

    /// What each may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Converts a document. Dropped before its end, it kills the process.
    ///
    /// # Errors
    /// [`ConvertError`], whose [`ConvertError::verdict`] says whether it is about this document.
    pub async fn convert(&self, staged: &Staged, stop: &StopSignal) -> Result<(Converted, Format), ConvertError> {
        let limits = serde_json::to_string(&self.limits).expect("invariant: limits are numbers");
        let mut words = vec![self.program.clone()];
        words.extend(COMMAND.map(str::to_owned));
        words.extend([staged.name(), "--to", ANSWER, "--beside", BESIDE, "--inside", &limits].map(str::to_owned));
        let start = Start { words, directory: staged.directory(), env: Vec::new(), stdin: None };
        let wall_secs = self.limits.wall_secs_of(staged.bytes);
        let bounds = Bounds {
            clock: &self.clock,
            stop,
            deadline: None,
            timeout: Some(Duration::from_secs(wall_secs)),
            grace: Duration::from_millis(GRACE_MS),
        };
        // What it prints is nobody's; the end of what it says is kept all the same.
        let output = Output::Through(Arc::new(|_, _| {}));
        let Ended { ending, stderr } = child::run(start, bounds, &output).await.map_err(ConvertError::Process)?;
        match ending {
            Ending::Overdue => Err(ConvertError::Slow { secs: wall_secs }),
            Ending::Stopped | Ending::PassOver => Err(ConvertError::Stopped),
            Ending::Itself(status) if status.success() => self.answer(staged).await,
            Ending::Itself(status) => Err(self.failure(status, &stderr.text(SAID_BYTES_MAX), staged)),
        }
    }

    async fn answer(&self, staged: &Staged) -> Result<(Converted, Format), ConvertError> {
        let (directory, limits) = (staged.directory().to_owned(), self.limits);
        let read = tokio::task::spawn_blocking(move || answer::read(&directory, ANSWER, &limits)).await;
        match read {
            Ok(answer) => answer.map_err(ConvertError::Answer),
            Err(_) => Err(ConvertError::Stopped),
        }
    }

    /// What an end without an answer means.
    fn failure(&self, status: ExitStatus, said: &str, staged: &Staged) -> ConvertError {
        let bytes = staged.bytes;
        // Its own directory goes with it.
        let place = staged.directory().parent().unwrap_or(staged.directory());
        let by = |signal: Signal| status.signal() == Some(signal.as_raw());
        if status.code() == Some(ExitCode::Refused.number().into()) {
            return ConvertError::Refused(sentence(said));
        }
        if status.code() == Some(ExitCode::Checkpoint.number().into()) {
            return ConvertError::Disk { path: place.to_owned(), source: of_disk(said) };
        }
        if by(Signal::XCPU) || by(Signal::KILL) {
            return ConvertError::Slow { secs: self.limits.cpu_secs_of(bytes) };
        }
        if by(Signal::XFSZ) {
            return ConvertError::Refused(Refusal::LongText { limit: self.limits.text_bytes }.to_string());
        }
        if said.contains("memory allocation of") || said.contains("out of memory") {
            return ConvertError::Memory { limit: self.limits.memory_bytes };
        }
        if said.contains("overflowed its stack") {
            return ConvertError::Refused(Refusal::Deep.to_string());
        }
        let how = described(status);
        ConvertError::Crashed(if said.is_empty() { how } else { format!("{how}, {}", sentence(said)) })
    }
}

/// What the disk said in another process, by the system's own number where it told that.
fn of_disk(said: &str) -> io::Error {
    let number = said.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
    match number.and_then(|(number, _)| number.parse().ok()) {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(sentence(said)),
    }
}
