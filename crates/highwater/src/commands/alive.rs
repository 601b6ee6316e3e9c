//! Whether a process that the ledger names still runs. Owns the question alone; what follows from it is for a pass to say,
//! under the lock.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Whether process `pid` of `host` is gone, as far as `here` can tell: another host's may always run. A number that another
/// process was given since counts as running.
pub(super) fn gone(here: &str, host: &str, pid: u32) -> bool {
    host == here && !runs(pid)
}

fn runs(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    match test_kill_process(pid) {
        Ok(()) => !is_zombie(pid),
        Err(error) => error == Errno::PERM,
    }
}

/// A process that was killed and not waited for yet does nothing any more.
#[cfg(target_os = "linux")]
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The name before it may hold spaces and brackets: the state is the word after its last one.
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next()) == Some("Z")
}

#[cfg(not(target_os = "linux"))]
fn is_zombie(_: Pid) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_killed_process_is_gone_also_before_it_is_waited_for() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id();
        assert!(!gone("here", "here", pid));
        child.kill().unwrap();
        // Ends once it is dead, and leaves it to be waited for.
        let id = Pid::from_child(&child);
        waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        #[cfg(target_os = "linux")]
        assert!(gone("here", "here", pid));
        child.wait().unwrap();
        assert!(gone("here", "here", pid));
        assert!(!gone("here", "there", pid));
        assert!(gone("here", "here", 0));
    }
}
