//! A shell that holds something of the machine's (a mount, a server) and lets go of it when we do, however we end.
//!
//! The script sets up, prints one line, and reads its standard input to the end. That end comes when the [`Keeper`] is
//! dropped, and the kernel brings it when the test process is killed; then the script cleans up. No signal reaches it: it is
//! in a process group of its own.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Bytes of a script's complaint that an error carries.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// A running script, its set-up done.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    /// `None` once let go.
    held: Option<ChildStdin>,
    ready: String,
}

impl Keeper {
    /// Starts `sh -c script` with `arguments` as `$1`, `$2` …, as `user` (uid, gid) if given, and waits for its line.
    ///
    /// # Errors
    /// There is no shell, or the script ended without its line; the error then carries what it wrote to standard error.
    pub(crate) fn start(script: &str, arguments: &[&str], user: Option<(u32, u32)>) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "keeper"])
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        let mut shell = command.spawn()?;
        let held = shell.stdin.take();
        let stdout = shell.stdout.take().expect("invariant: standard output is piped");
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready)?;
        if ready.ends_with('\n') {
            ready.pop();
            return Ok(Self { shell, held, ready });
        }
        drop(held);
        let stderr = shell.stderr.take().expect("invariant: standard error is piped");
        let mut complaint = Vec::new();
        stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint)?;
        shell.wait()?;
        Err(io::Error::other(String::from_utf8_lossy(&complaint).trim().to_owned()))
    }

    /// The line that the script printed when it was set up.
    pub(crate) fn ready(&self) -> &str {
        &self.ready
    }

    /// Lets go, and waits until the script has cleaned up.
    pub(crate) fn let_go(&mut self) {
        drop(self.held.take());
        // Nothing is left to do for a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.let_go();
    }
}
