//! What a host can be made. Owns each role's configuration, what a configuration needs to be one of it, and which directories its
//! services work in.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;

use super::OTHER_ROLE;
use crate::cli::Role;
use crate::config::{Config, KindSettings};
use crate::units::Units;

const RECEIVER: &str = include_str!("../../../../../examples/receiver/highwater.toml");
const LAB_HOST: &str = include_str!("../../../../../examples/lab-host/highwater.toml");

/// The state is its owner's alone: an item's key or error may be private.
const MODE_OF_STATE: u32 = 0o700;
/// What else a service keeps: its group may look.
const MODE_OF_WORK: u32 = 0o750;
/// Where others record: what they make is the group's, so that it can be moved away.
const MODE_OF_EPISODES: u32 = 0o2770;

/// The configuration of a role.
pub(super) fn template(role: Role) -> &'static str {
    match role {
        Role::Receiver => RECEIVER,
        Role::LabHost => LAB_HOST,
    }
}

/// Refuses a configuration with nothing for the role.
///
/// # Errors
/// That refusal.
pub(super) fn fits(role: Role, config: &Config, file: &Path) -> Result<(), Diagnosis> {
    let (fits, what, word) = match role {
        Role::Receiver => (config.has_receiver(), "`[receiver]`", "receiver"),
        Role::LabHost => {
            (config.declared_jobs().iter().any(|(_, kind)| *kind == "ship"), "job of kind `ship`", "lab-host")
        }
    };
    if fits {
        return Ok(());
    }
    Err(Diagnosis::refusal(
        OTHER_ROLE,
        format!("found a configuration without a {what}, and one that is there is never overwritten"),
        format!("append what `highwater install {word} --print-config | grep -v ^state-dir` prints, and call again"),
    )
    .in_file(file))
}

/// The directories that the services of a configuration work in, with the mode that each gets where it is made.
pub(super) fn directories(config: &Config, units: &Units) -> Vec<(PathBuf, u32)> {
    let mut directories = vec![(config.state_dir().to_owned(), MODE_OF_STATE)];
    if let Ok(receiver) = config.receiver() {
        directories.push((receiver.root.to_path_buf(), MODE_OF_WORK));
    }
    for job in config.jobs.values() {
        if let KindSettings::Ship(ship) = &job.kind {
            directories.push((ship.episodes.to_path_buf(), MODE_OF_EPISODES));
            directories.extend([&ship.outbox, &ship.shipped].map(|path| (path.to_path_buf(), MODE_OF_WORK)));
        }
    }
    let known: Vec<_> = directories.iter().map(|(path, _)| path.clone()).collect();
    let holds_known = |path: &PathBuf| known.iter().any(|known| known.starts_with(path));
    directories
        .extend(units.directories.iter().filter(|path| !holds_known(path)).map(|path| (path.clone(), MODE_OF_WORK)));
    let mut seen = Vec::new();
    directories.retain(|(path, _)| {
        !seen.contains(path) && {
            seen.push(path.clone());
            true
        }
    });
    directories
}
