//! Commands on mounts, which may be busy for a moment.
//!
//! A child that another thread is just starting holds copies of our files until it becomes its program, those of the test
//! beside this one among them; a mount with such a file on it is busy until then.

use std::ffi::OsStr;
use std::io;
use std::process::Command;

/// How often a busy mount is tried, with `PAUSE_SECS` in between.
const TRIES_MAX: &str = "20";
const PAUSE_SECS: &str = "0.05";

/// `$1` is the number of tries, `$2` the pause, the rest is the command.
const SCRIPT: &str = r#"
left=$1 pause=$2
shift 2
until complaint=$("$@" 2>&1); do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "$complaint" >&2; exit 1; }
    sleep "$pause"
done
"#;

/// Runs `mount` or `umount` until it succeeds, a limited number of times.
///
/// # Errors
/// What the last try said.
pub(crate) fn patiently(command: &str, arguments: &[&OsStr]) -> io::Result<()> {
    let output =
        Command::new("sh").args(["-c", SCRIPT, "mount", TRIES_MAX, PAUSE_SECS, command]).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
