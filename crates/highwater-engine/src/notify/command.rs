//! A notice by command: the message on stdin, exit 0 for delivered. Owns the process and its group; how long it may take is
//! for its caller to say, who drops it.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
#[cfg(not(shuttle))]
use tokio::process::{Child, ChildStderr, Command};
#[cfg(shuttle)]
use tokio_itself::process::{Child, ChildStderr, Command};

use super::message::shortened;
use super::target::Undelivered;
use crate::settings::CommandLine;

/// Longest line of stderr that is heard, in bytes.
const LINE_BYTES_MAX: usize = 4_096;
/// How much of it is told, in bytes.
const SAID_BYTES_MAX: usize = 200;
/// How much is read from a pipe at a time, in bytes.
const READ_BYTES: usize = 1_024;
/// Most bytes that are read after the command's end: a pipe's worth, so that what it left running cannot keep us.
const LEFT_BYTES_MAX: usize = 64 * 1_024;
/// Shorter arguments are no secrets, and without them a sentence could not be read.
const SECRET_CHARS_MIN: usize = 8;

/// Starts the command in `directory`, hands it `message` and waits for its end. Dropped before that, it is killed with its
/// whole process group.
pub(super) async fn run(line: &CommandLine, directory: &Path, message: String) -> Result<(), Undelivered> {
    let failed = |source| Undelivered::NotStarted { program: line.program.clone(), source };
    let mut running = Running::start(line, directory).map_err(failed)?;
    let status = running.converse(message).await.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Undelivered::Ended { program: line.program.clone(), status, said: running.said.told(line) })
}

/// A started command.
struct Running {
    child: Child,
    said: Said,
}

impl Drop for Running {
    fn drop(&mut self) {
        // There is a number as long as the child was not waited for, so the group cannot be another's.
        let number = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = number.and_then(Pid::from_raw) {
            // A group that is gone needs no signal.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Running {
    fn start(line: &CommandLine, directory: &Path) -> io::Result<Self> {
        let child = Command::new(program(line, directory))
            .args(&line.arguments)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, said: Said::default() })
    }

    /// Feeds and listens until the child's own end: another may hold its pipes open.
    async fn converse(&mut self, message: String) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let mut stderr = self.child.stderr.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command need not read what it is given.
                let _ = stdin.write_all(message.as_bytes()).await;
            }
        };
        let pump = async {
            tokio::join!(feed, self.said.listen(stderr.as_mut()));
            std::future::pending::<Infallible>().await
        };
        let status = tokio::select! {
            biased;
            status = self.child.wait() => status?,
            never = pump => match never {},
        };
        self.said.finish(stderr);
        Ok(status)
    }
}

/// A program named by a path is found from the config file's directory; one named by a bare word on `PATH`.
fn program(line: &CommandLine, directory: &Path) -> PathBuf {
    if line.program.contains('/') { directory.join(&line.program) } else { line.program.clone().into() }
}

/// The last line that a command said on stderr.
#[derive(Debug, Default)]
struct Said {
    last: Vec<u8>,
    /// The line that has no end yet.
    line: Vec<u8>,
}

impl Said {
    async fn listen(&mut self, stderr: Option<&mut ChildStderr>) {
        let Some(stderr) = stderr else { return };
        let mut buffer = [0; READ_BYTES];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            self.take(&buffer[..count]);
        }
    }

    /// Takes what is there, without waiting for more: the pipe does not block.
    fn finish(&mut self, stderr: Option<ChildStderr>) {
        let Some(stderr) = stderr else { return };
        let mut buffer = [0; READ_BYTES];
        let mut left = LEFT_BYTES_MAX;
        while let (1.., Ok(count @ 1..)) = (left, rustix::io::read(&stderr, &mut buffer[..])) {
            self.take(&buffer[..count]);
            left = left.saturating_sub(count);
        }
        self.end_line();
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Blank lines say nothing.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim_ascii().is_empty() {
            self.last = line;
        }
    }

    /// The last line, without the command's arguments, which may hold secrets; half an argument would not be known for one,
    /// so a line that is not whole is not told.
    fn told(&self, line: &CommandLine) -> String {
        if self.last.len() > LINE_BYTES_MAX {
            return "its last line is too long to be told".to_owned();
        }
        let text = String::from_utf8_lossy(self.last.trim_ascii());
        let secrets = line.arguments.iter().filter(|argument| argument.chars().count() >= SECRET_CHARS_MIN);
        let told = secrets.fold(text.into_owned(), |text, secret| text.replace(secret.as_str(), "***"));
        shortened(&told, SAID_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str, size: usize) -> String {
        let line = CommandLine::new(["./page", "--to", "https://hooks.example/T0/secret"]).unwrap();
        let mut heard = Said::default();
        said.as_bytes().chunks(size).for_each(|chunk| heard.take(chunk));
        heard.end_line();
        heard.told(&line)
    }

    #[test]
    fn what_a_command_says_is_its_last_line_without_arguments() {
        let long = format!("{}https://hooks.example/T0/secret", "x".repeat(LINE_BYTES_MAX - 10));
        for size in [1, 7, 100_000] {
            let page = "trying\n cannot page --to https://hooks.example/T0/secret: 404 \n \n";
            assert_eq!(told(page, size), "cannot page --to ***: 404");
            assert_eq!(told("first\nno end", size), "no end");
            assert_eq!(told("", size), "");
            assert_eq!(told(&long, size), "its last line is too long to be told");
            assert_eq!(told(&format!("{long}\n404\n"), size), "404");
        }
    }

    #[test]
    fn a_path_counts_from_the_directory_and_a_bare_word_does_not() {
        let found = |word| program(&CommandLine::new([word]).unwrap(), Path::new("/etc/hw"));
        assert_eq!(found("./page"), Path::new("/etc/hw/./page"));
        assert_eq!(found("/bin/true"), Path::new("/bin/true"));
        assert_eq!(found("true"), Path::new("true"));
    }
}
