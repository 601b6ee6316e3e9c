//! A notice by command: the message on stdin, exit 0 for delivered. Owns the process and its group; the time-out is its
//! caller's, who drops it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};

use super::message::shortened;
use super::target::Undelivered;
use crate::clock::Clock;
use crate::settings::CommandLine;

/// How much of the end of stderr is kept while the command runs, in bytes.
const STDERR_BYTES_MAX: usize = 4_096;
/// How much of its last line is told, in bytes.
const SAID_BYTES_MAX: usize = 200;
/// How long stderr may stay open after the command's end, in milliseconds: what it left running may hold it for ever.
const STDERR_WAIT_MS: u64 = 200;
/// Shorter arguments are no secrets, and taking them out would make a message unreadable.
const SECRET_CHARS_MIN: usize = 8;

/// A started command. Dropped before its end, it is killed with its whole group.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // There is a number as long as it was not waited for, so the group cannot be another's.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = pid {
            // One that ended just now needs no signal.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// Starts the command in `directory`, hands it `message` and waits for its end. Dropped before that, everything it started
/// is killed.
pub(super) async fn run(
    clock: &dyn Clock,
    line: &CommandLine,
    directory: &Path,
    message: String,
) -> Result<(), Undelivered> {
    let failed = |source| Undelivered::NotStarted { program: line.program.clone(), source };
    let child = Command::new(program(line, directory))
        .args(&line.arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut running = Running(child);
    let stdin = running.0.stdin.take();
    let stderr = running.0.stderr.take();
    let mut said = Vec::new();
    let status = {
        let ended = async {
            if let Some(mut stdin) = stdin {
                // A command may end without having read it: its exit code is what counts.
                let _ = stdin.write_all(message.as_bytes()).await;
            }
            running.0.wait().await
        };
        let heard = hear(stderr, &mut said);
        tokio::pin!(ended, heard);
        tokio::select! {
            status = &mut ended => {
                tokio::select! {
                    () = heard => {}
                    () = clock.sleep(Duration::from_millis(STDERR_WAIT_MS)) => {}
                }
                status
            }
            () = &mut heard => ended.await,
        }
    };
    let status = status.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Undelivered::Ended { program: line.program.clone(), status, said: last_line(&said, line) })
}

/// A program named by a path is found from the config file's directory; one named by a bare word on `PATH`.
fn program(line: &CommandLine, directory: &Path) -> std::path::PathBuf {
    if line.program.contains('/') { directory.join(&line.program) } else { line.program.clone().into() }
}

/// Keeps the end of what the command says, and reads on so that it never waits for us.
async fn hear(stderr: Option<ChildStderr>, said: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut chunk = [0; 1024];
    // What cannot be read any more is as good as its end.
    while let Ok(bytes @ 1..) = stderr.read(&mut chunk).await {
        said.extend_from_slice(&chunk[..bytes]);
        let over = said.len().saturating_sub(STDERR_BYTES_MAX);
        if over > 0 {
            // Whole lines only: half an argument would not be known as one.
            let line = said[over - 1..].iter().position(|byte| *byte == b'\n').map_or(said.len(), |at| over + at);
            said.drain(..line);
        }
    }
}

/// The last line, without the arguments, which may hold secrets.
fn last_line(said: &[u8], line: &CommandLine) -> String {
    let text = String::from_utf8_lossy(said);
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let secrets = line.arguments.iter().filter(|argument| argument.chars().count() >= SECRET_CHARS_MIN);
    let told = secrets.fold(last.to_owned(), |text, secret| text.replace(secret.as_str(), "***"));
    shortened(&told, SAID_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_says_is_its_last_line_without_arguments() {
        let line = CommandLine::new(["./page", "--to", "https://hooks.example/T0/secret"]).unwrap();
        let said = b"trying\n cannot page --to https://hooks.example/T0/secret: 404 \n\n";
        assert_eq!(last_line(said, &line), "cannot page --to ***: 404");
        assert_eq!(last_line(b"", &line), "");
    }

    #[test]
    fn a_path_counts_from_the_directory_and_a_bare_word_does_not() {
        let found = |word| program(&CommandLine::new([word]).unwrap(), Path::new("/etc/hw"));
        assert_eq!(found("./page"), Path::new("/etc/hw/./page"));
        assert_eq!(found("/bin/true"), Path::new("/bin/true"));
        assert_eq!(found("true"), Path::new("true"));
    }
}
