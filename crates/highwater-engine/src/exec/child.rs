//! One command as a child process: started in a process group of its own, fed, listened to, waited for, and ended with its
//! whole group when its time is up. Owns the process; what its exit code means is for the jobs to say.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
#[cfg(not(shuttle))]
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
#[cfg(shuttle)]
use tokio_itself::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::group::{Group, Unkillable};
use super::output::{Output, Relay, Stream, Tail};
use super::program;
use crate::clock::SharedClock;
use crate::contact::{StopSignal, Urgency};

/// How much is read from a pipe at a time, in bytes.
const READ_BYTES: usize = 8 * 1024;
/// Most bytes that are read after the command's end: more than a pipe holds, so that all it printed is there, and a process
/// that it left behind cannot keep us.
const LEFT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long the news of a signal that hit the command may be ahead of the same signal to this process, in milliseconds:
/// service managers signal a whole control group at once.
const SIGNAL_LAG_MS: u64 = 200;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Start<'s> {
    /// The program as it is written, then its arguments.
    pub words: Vec<String>,
    /// Its working directory.
    pub directory: &'s Path,
    /// Variables added to the environment.
    pub env: Vec<(&'s str, String)>,
    /// What it reads; nothing when absent.
    pub stdin: Option<Vec<u8>>,
}

/// How long a command may run, and who may end it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'b> {
    /// Time.
    pub clock: &'b SharedClock,
    /// Whether the pass is to end.
    pub stop: &'b StopSignal,
    /// When the pass's time is spent, by [`crate::clock::Clock::elapsed`].
    pub deadline: Option<Duration>,
    /// How long the command may take.
    pub timeout: Option<Duration>,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// How a command came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Itself(ExitStatus),
    /// It took longer than its timeout.
    Overdue,
    /// The pass's time was spent.
    PassOver,
    /// The pass was to end, or a signal that was meant for all hit the command too.
    Stopped,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// The end of what it said.
    pub stderr: Tail,
}

/// A command that did not run to an end that is known.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It was never started.
    #[error("cannot start {program:?}")]
    CannotStart {
        /// As it is written.
        program: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// Its directory is not there.
    #[error("cannot start {program:?}: its directory {} is not there", directory.display())]
    NoDirectory {
        /// As it is written.
        program: String,
        /// Where it was to run.
        directory: PathBuf,
    },
    /// It is there, and what should run it is not.
    #[error("cannot start {program:?}: the interpreter that its first line names is not there")]
    NoInterpreter {
        /// As it is written.
        program: String,
    },
    /// The kernel does not tell how it ended.
    #[error("cannot tell how process {pid} ended")]
    CannotWait {
        /// Its number.
        pid: u32,
        /// What the kernel says.
        source: io::Error,
    },
    /// It does not die.
    #[error("the command cannot be ended")]
    Unkillable(#[from] Unkillable),
}

/// Runs one command to its end. Dropped before, it kills the command's process group at once.
///
/// # Errors
/// [`ChildError`].
pub async fn run(start: Start<'_>, bounds: Bounds<'_>, output: &Output) -> Result<Ended, ChildError> {
    let (mut running, mut pipes) = Running::start(start, output)?;
    let ending = {
        let mut pumping = pin!(pipes.pump());
        let ending = tokio::select! {
            biased;
            status = running.wait() => Ending::Itself(status?),
            ending = bounds.exceeded() => ending,
            never = &mut pumping => match never {},
        };
        if !matches!(ending, Ending::Itself(_)) {
            tokio::select! {
                biased;
                ended = running.end(&bounds) => ended?,
                never = &mut pumping => match never {},
            }
        }
        ending
    };
    let stderr = pipes.finish();
    Ok(Ended { ending: bounds.hit_by_a_signal_for_all(ending).await, stderr })
}

impl Bounds<'_> {
    /// Ends when the command must.
    async fn exceeded(&self) -> Ending {
        let deadline = self.deadline.map(|deadline| deadline.saturating_sub(self.clock.elapsed()));
        tokio::select! {
            biased;
            () = self.stop.raised(Urgency::Now) => Ending::Stopped,
            () = self.after(deadline) => Ending::PassOver,
            () = self.after(self.timeout) => Ending::Overdue,
        }
    }

    async fn after(&self, span: Option<Duration>) {
        match span {
            Some(span) => self.clock.sleep(span).await,
            None => std::future::pending().await,
        }
    }

    /// A command that died of SIGTERM or SIGINT while the pass is told to end was not judged by its own doing. A shell says
    /// the same of its child with 128 and the signal's number.
    async fn hit_by_a_signal_for_all(&self, ending: Ending) -> Ending {
        let Ending::Itself(status) = ending else { return ending };
        let of_signal = |signal: Signal| {
            let number = signal.as_raw();
            status.signal() == Some(number) || status.code() == Some(128 + number)
        };
        if !of_signal(Signal::TERM) && !of_signal(Signal::INT) {
            return ending;
        }
        tokio::select! {
            biased;
            () = self.stop.raised(Urgency::Soon) => Ending::Stopped,
            () = self.after(Some(Duration::from_millis(SIGNAL_LAG_MS))) => ending,
        }
    }
}

/// A child that was not waited for yet: until then its number, and so its group's, is its own.
struct Running {
    child: Child,
    pid: u32,
    group: Option<Group>,
}

impl Running {
    fn start(start: Start<'_>, output: &Output) -> Result<(Self, Pipes), ChildError> {
        let Start { words, directory, env, stdin } = start;
        let (written, arguments) = words.split_first().expect("invariant: a command line has a program");
        let path = env.iter().find(|(name, _)| *name == "PATH").map(|(_, value)| value.as_str());
        let file = program::find(written, directory, path);
        let mut command = Command::new(&file);
        command.arg0(written).args(arguments).current_dir(directory).envs(env).process_group(0);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(match output {
            Output::Inherit => Stdio::inherit(),
            Output::Through(_) => Stdio::piped(),
        });
        command.stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| {
            let program = written.clone();
            // The same errno would name the program, which is there.
            match source.kind() {
                io::ErrorKind::NotFound if !directory.is_dir() => {
                    ChildError::NoDirectory { program, directory: directory.to_owned() }
                }
                io::ErrorKind::NotFound if file.is_file() => ChildError::NoInterpreter { program },
                _ => ChildError::CannotStart { program, source },
            }
        })?;
        let pipes = Pipes {
            stdin: child.stdin.take().zip(stdin),
            stdout: child.stdout.take().map(|pipe| Listener::new(pipe, Stream::Stdout, output)),
            stderr: child.stderr.take().map(|pipe| Listener::new(pipe, Stream::Stderr, output)),
        };
        let pid = child.id().unwrap_or_default();
        let group = i32::try_from(pid).ok().and_then(Group::new);
        Ok((Self { child, pid, group }, pipes))
    }

    /// Its end; from then on its group is no longer ours to signal.
    async fn wait(&mut self) -> Result<ExitStatus, ChildError> {
        let status = self.child.wait().await;
        self.group = None;
        status.map_err(|source| ChildError::CannotWait { pid: self.pid, source })
    }

    /// Ends the whole group, then waits for the child.
    async fn end(&mut self, bounds: &Bounds<'_>) -> Result<(), ChildError> {
        if let Some(group) = self.group {
            group.end(&**bounds.clock, bounds.grace).await?;
        }
        self.wait().await.map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            group.signal(Signal::KILL);
        }
    }
}

/// Our ends of a child's pipes.
struct Pipes {
    stdin: Option<(ChildStdin, Vec<u8>)>,
    stdout: Option<Listener<ChildStdout>>,
    stderr: Option<Listener<ChildStderr>>,
}

impl Pipes {
    /// Feeds and listens until it is dropped: only the child's own end is its end, for another may hold its pipes open.
    async fn pump(&mut self) -> Infallible {
        let feed = async {
            if let Some((mut stdin, bytes)) = self.stdin.take() {
                // A command need not read what it is given.
                let _: io::Result<()> = stdin.write_all(&bytes).await;
            }
        };
        tokio::join!(feed, listen(self.stdout.as_mut()), listen(self.stderr.as_mut()));
        std::future::pending().await
    }

    /// Takes what is there, without waiting for more, and gives the end of stderr.
    fn finish(self) -> Tail {
        if let Some(stdout) = self.stdout {
            stdout.finish();
        }
        self.stderr.map(Listener::finish).unwrap_or_default()
    }
}

/// Our end of a pipe that a child prints to.
struct Listener<P> {
    pipe: P,
    relay: Relay,
    tail: Tail,
}

async fn listen<P: AsyncRead + Unpin>(listener: Option<&mut Listener<P>>) {
    let Some(Listener { pipe, relay, tail }) = listener else { return };
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        relay.take(&buffer[..count]);
        tail.take(&buffer[..count]);
    }
}

impl<P: AsFd> Listener<P> {
    fn new(pipe: P, stream: Stream, output: &Output) -> Self {
        Self { pipe, relay: Relay::new(stream, output), tail: Tail::default() }
    }

    /// The pipe does not block, and the kernel knows better than the runtime what has arrived in it.
    fn finish(mut self) -> Tail {
        let mut buffer = vec![0; READ_BYTES];
        let mut left = LEFT_BYTES_MAX;
        while left > 0 {
            match rustix::io::read(&self.pipe, &mut buffer[..]) {
                Ok(count @ 1..) => {
                    self.relay.take(&buffer[..count]);
                    self.tail.take(&buffer[..count]);
                    left = left.saturating_sub(count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.relay.end();
        self.tail
    }
}

#[cfg(test)]
mod tests;
