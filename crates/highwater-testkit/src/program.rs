//! The program under test: started, watched, killed at a chosen moment.
//!
//! Owns processes and waiting for what they do; every wait has a limit, and says what it waited for when that is over.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// What is kept of each output; a program that writes more is not one that a test reads.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Pause between two looks of [`wait_until`].
const LOOK_MILLIS: u64 = 10;
/// How long the outputs of an ended program are waited for; a child that it left behind may hold them open.
const LAST_WORDS_MILLIS: u64 = 1000;

/// What did not happen within its limit.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not happen within {limit:?}{context}")]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub limit: Duration,
    /// What was seen meanwhile.
    pub context: String,
}

/// A program to start, with its arguments and environment.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Program {
    /// The program at `path`, usually `env!("CARGO_BIN_EXE_highwater")`.
    #[must_use]
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        Self { command, input: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts it in `directory`.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Starts it as another user; needs root.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.command.uid(uid).gid(gid);
        self
    }

    /// Hands it `bytes` on standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = Some(bytes.into());
        self
    }

    /// Starts it, as the head of a process group of its own.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut self) -> io::Result<Running> {
        let mut child = self.command.spawn()?;
        let pid = child.id().expect("invariant: a child that was not waited for has a pid");
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A program that ends without reading its input is not this task's concern.
            tokio::spawn(async move { stdin.write_all(&input).await });
        }
        Ok(Running {
            pid: Pid::from_raw(i32::try_from(pid).expect("invariant: a pid fits a pid_t")),
            stdout: Output::read(child.stdout.take()),
            stderr: Output::read(child.stderr.take()),
            child,
            ended: false,
        })
    }

    /// Starts it and waits for its end.
    ///
    /// # Errors
    /// It cannot be started, or has not ended within `limit`; it is killed then.
    pub async fn run(self, limit: Duration) -> io::Result<Ended> {
        self.start()?.wait(limit).await.map_err(io::Error::other)
    }
}

/// A started program. Dropping it kills its process group, if it has not been waited for.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
    stdout: Output,
    stderr: Output,
    ended: bool,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// What it has written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal to the program alone, as `kill` does.
    ///
    /// # Errors
    /// It has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.ended {
            return Err(io::Error::other("the program has ended"));
        }
        Ok(kill(self.pid, signal)?)
    }

    /// Kills the program alone, as `kill -9` does, and waits for its end. Its children live on.
    ///
    /// # Errors
    /// It has ended and was waited for, or the kernel does not end it within `limit`.
    pub async fn kill_9(&mut self, limit: Duration) -> io::Result<Ended> {
        self.signal(Signal::SIGKILL)?;
        self.wait(limit).await.map_err(io::Error::other)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`TimedOut`], with what it has written so far; it runs on.
    pub async fn wait(&mut self, limit: Duration) -> Result<Ended, TimedOut> {
        let late = |running: &Self, why: &str| TimedOut {
            what: format!("the end of process {}{why}", running.pid),
            limit,
            context: format!("\nstdout:\n{}\nstderr:\n{}", running.stdout(), running.stderr()),
        };
        let status = match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(late(self, &format!(" (cannot be waited for: {error})"))),
            Err(_) => return Err(late(self, "")),
        };
        self.ended = true;
        self.stdout.finish().await;
        self.stderr.finish().await;
        Ok(Ended { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// Waits until `predicate` holds of what it has written to standard output.
    ///
    /// # Errors
    /// [`TimedOut`], with what it has written.
    pub async fn wait_for_stdout(&self, limit: Duration, predicate: impl Fn(&str) -> bool) -> Result<(), TimedOut> {
        wait_until(limit, "the expected output", || predicate(&self.stdout())).await.map_err(|late| TimedOut {
            context: format!("\nstdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr()),
            ..late
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // The group may be gone already; the head is reaped by tokio.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

/// A program that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// All it wrote to standard output.
    pub stdout: String,
    /// All it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; `None` if a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Looks again and again until `predicate` holds. `what` completes "… did not happen".
///
/// # Errors
/// [`TimedOut`].
pub async fn wait_until(limit: Duration, what: &str, mut predicate: impl FnMut() -> bool) -> Result<(), TimedOut> {
    let clock = SystemClock::new();
    let looking = async {
        while !predicate() {
            clock.sleep(Duration::from_millis(LOOK_MILLIS)).await;
        }
    };
    tokio::time::timeout(limit, looking).await.map_err(|_| TimedOut {
        what: what.to_owned(),
        limit,
        context: String::new(),
    })
}

/// One output of a program, read as it comes.
#[derive(Debug)]
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn read(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                // Beyond the limit it is read and dropped, so that the program is not held up.
                let room = OUTPUT_BYTES_MAX - kept.len();
                kept.extend_from_slice(&chunk[..read.min(room)]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    async fn finish(&mut self) {
        if !self.reader.is_finished() {
            let _ = tokio::time::timeout(Duration::from_millis(LAST_WORDS_MILLIS), &mut self.reader).await;
        }
    }
}
