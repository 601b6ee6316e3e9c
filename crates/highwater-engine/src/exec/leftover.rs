//! Commands that outlived their pass: after `kill -9` of highwater its children live on. Owns how they are found, by the mark
//! in their environment, and that they are gone before the next pass does anything.

use std::collections::BTreeMap;
use std::time::Duration;

use super::group::Unkillable;
use crate::clock::SharedClock;
use crate::name::PassId;

/// How often processes are looked for again, because those that were ended started others.
#[cfg(target_os = "linux")]
const SEARCHES_MAX: usize = 8;
/// Most bytes of a process's environment that are read: Linux lets arguments and environment have three quarters of 8 MiB.
#[cfg(target_os = "linux")]
const ENVIRONMENT_BYTES_MAX: u64 = 6 * 1024 * 1024;

/// SIGTERM, `grace`, SIGKILL to every process group with a member that carries one of the marks. Returns how many groups of
/// each pass were ended.
#[cfg(target_os = "linux")]
pub(super) async fn end(
    marks: Vec<(PassId, String)>,
    clock: &SharedClock,
    grace: Duration,
) -> Result<BTreeMap<PassId, usize>, Unkillable> {
    let mut ended = BTreeMap::new();
    if marks.is_empty() {
        return Ok(ended);
    }
    for _ in 0..SEARCHES_MAX {
        let groups = search::marked(&marks);
        if groups.is_empty() {
            break;
        }
        futures::future::try_join_all(groups.keys().map(|group| group.end(&**clock, grace))).await?;
        for pass in groups.into_values() {
            *ended.entry(pass).or_default() += 1;
        }
    }
    Ok(ended)
}

/// Without /proc the environment of a process cannot be read: its effects must be idempotent.
#[cfg(not(target_os = "linux"))]
pub(super) async fn end(
    _marks: Vec<(PassId, String)>,
    _clock: &SharedClock,
    _grace: Duration,
) -> Result<BTreeMap<PassId, usize>, Unkillable> {
    Ok(BTreeMap::new())
}

#[cfg(target_os = "linux")]
mod search {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::Read;

    use super::super::group::{Group, Stat, processes};
    use super::super::launch::RUN_VARIABLE;
    use super::ENVIRONMENT_BYTES_MAX;
    use crate::name::PassId;

    /// The groups of the processes that carry a mark, but never our own: whoever started this process is not left over.
    pub(super) fn marked(marks: &[(PassId, String)]) -> HashMap<Group, PassId> {
        let marks: Vec<_> =
            marks.iter().map(|(pass, mark)| (*pass, format!("{RUN_VARIABLE}={mark}").into_bytes())).collect();
        let own = Group::own();
        let found = processes().filter_map(|pid| {
            let environment = environment(pid)?;
            let (pass, _) =
                marks.iter().find(|(_, mark)| environment.split(|byte| *byte == 0).any(|entry| entry == mark))?;
            let stat = Stat::of(pid).filter(|stat| !stat.dead)?;
            Some((stat.group?, *pass))
        });
        found.filter(|(group, _)| *group != own).collect()
    }

    /// As it was when the process began. That of another user is not ours to read, nor to end.
    fn environment(pid: i32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{pid}/environ")).ok()?.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
