//! A process group: whether anything of it still runs, and how it is ended. Owns signals and /proc; whose group it is and when
//! it must end is for others to say.

use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::clock::Clock;

/// The first and the longest pause between two looks at a group that is to end, in milliseconds.
const LOOK_AFTER_MS: std::ops::RangeInclusive<u64> = 2..=100;
/// How long a group may live on after SIGKILL, in seconds: what sleeps in the kernel dies when it wakes.
pub(super) const KILLED_WAIT_SECS: u64 = 60;

/// A process group. Its number is its first process's, which the kernel gives to no other while a member is left, or while
/// that first process was not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Group(Pid);

/// What is left of a group after SIGKILL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("process group {group} is still there {KILLED_WAIT_SECS} s after SIGKILL")]
pub struct Unkillable {
    /// Its number.
    group: i32,
}

impl Group {
    /// The group with this number; none has 0 or 1.
    pub(super) fn new(number: i32) -> Option<Self> {
        if number > 1 { Pid::from_raw(number).map(Self) } else { None }
    }

    /// The group that this process is in.
    #[cfg(target_os = "linux")]
    pub(super) fn own() -> Self {
        Self(rustix::process::getpgrp())
    }

    /// Sends a signal to every member; one that may not be sent or has nobody left to get it changes nothing.
    pub(super) fn signal(self, signal: Signal) {
        let _ = rustix::process::kill_process_group(self.0, signal);
    }

    /// SIGTERM, `grace`, SIGKILL; ends once no member runs.
    pub(super) async fn end(self, clock: &dyn Clock, grace: Duration) -> Result<(), Unkillable> {
        self.signal(Signal::TERM);
        // One that is stopped would not hear of it.
        self.signal(Signal::CONT);
        if self.gone_within(clock, grace).await {
            return Ok(());
        }
        self.signal(Signal::KILL);
        if self.gone_within(clock, Duration::from_secs(KILLED_WAIT_SECS)).await {
            return Ok(());
        }
        Err(Unkillable { group: self.0.as_raw_pid() })
    }

    async fn gone_within(self, clock: &dyn Clock, span: Duration) -> bool {
        let until = clock.elapsed() + span;
        let mut pause = Duration::from_millis(*LOOK_AFTER_MS.start());
        while self.runs() {
            let left = until.saturating_sub(clock.elapsed());
            if left.is_zero() {
                return false;
            }
            clock.sleep(pause.min(left)).await;
            pause = (pause * 2).min(Duration::from_millis(*LOOK_AFTER_MS.end()));
        }
        true
    }

    /// Whether a member is there that is not dead already: a zombie that nobody waited for yet does nothing any more.
    #[cfg(target_os = "linux")]
    fn runs(self) -> bool {
        // The cheap question first: nobody at all is there.
        rustix::process::test_kill_process_group(self.0).is_ok()
            && processes().any(|pid| Stat::of(pid).is_some_and(|stat| stat.group == Some(self) && !stat.dead))
    }

    /// Without /proc: a group of zombies answers EPERM on macOS.
    #[cfg(not(target_os = "linux"))]
    fn runs(self) -> bool {
        rustix::process::test_kill_process_group(self.0).is_ok()
    }
}

/// What /proc says of a process.
#[cfg(target_os = "linux")]
pub(super) struct Stat {
    pub(super) group: Option<Group>,
    pub(super) dead: bool,
}

#[cfg(target_os = "linux")]
impl Stat {
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name may hold anything, brackets too: what follows begins after its last one.
        let mut words = stat[stat.rfind(')')? + 1..].split_whitespace();
        let state = words.next()?;
        let group = words.nth(1)?.parse().ok()?;
        Some(Self { group: Group::new(group), dead: matches!(state, "Z" | "X") })
    }
}

/// The number of every process.
#[cfg(target_os = "linux")]
pub(super) fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_of_this_process_is_true() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(processes().any(|other| other == pid));
        let stat = Stat::of(pid).expect("we run");
        assert_eq!(stat.group, Some(Group::own()));
        assert!(!stat.dead && Group::own().runs());
    }

    #[test]
    fn there_is_no_group_of_everyone() {
        // kill(2) takes 0 as one's own group, -1 as everyone.
        assert!([-1, 0, 1].into_iter().all(|number| Group::new(number).is_none()));
    }
}
