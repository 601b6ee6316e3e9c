//! The host: its clock, its disks, the log.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use highwater_engine::shell::quoted_path;
use nix::unistd::geteuid;
use rustix::fs::{Access, access, statvfs};
use tokio::process::Command;

use super::Site;
use super::report::Report;
use crate::owner;

/// Least space that is left to be well, in bytes.
pub(super) const FREE_BYTES_MIN: u64 = 512 << 20;
/// Fewest files that may still be made to be well.
const FREE_FILES_MIN: u64 = 1_000;
/// How long `timedatectl` may take to answer, in seconds.
const TIMEDATECTL_SECS_MAX: u64 = 5;
const BYTES_A_MIB: u64 = 1 << 20;

/// What is to be left on a disk, and what to do where it is not.
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) fix: &'static str,
}

/// For what a pass writes.
const ROOM: Room = Room { bytes: FREE_BYTES_MIN, fix: "free space there, or move the directory" };

pub(super) async fn check(site: &Site, state: &Path, report: &mut Report) {
    synchronised(site, report).await;
    space(state, &ROOM, report);
    let log = site.config.as_ref().and_then(|config| config.top.log_file.as_deref());
    if let Some(log) = log {
        writable_log(log, report);
        space(log, &ROOM, report);
    }
}

/// Whether something keeps the clock right; told only where systemd can be asked.
async fn synchronised(site: &Site, report: &mut Report) {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = tokio::select! {
        answer = asked => answer.ok().filter(|answer| answer.status.success()),
        () = site.clock.sleep(Duration::from_secs(TIMEDATECTL_SECS_MAX)) => None,
    };
    match answer.as_ref().map(|answer| answer.stdout.trim_ascii()) {
        Some(b"yes") => report.ok("clock", "synchronised, as timedatectl says"),
        Some(b"no") => report.fix(
            "clock",
            "not synchronised, as timedatectl says: bans and times in the ledger are as wrong as it is",
            "turn it on: `sudo timedatectl set-ntp true`",
        ),
        _ => report.ok("clock", "whether it is synchronised cannot be told here (no answer from timedatectl)"),
    }
}

/// What is left for this user on the disk of a directory, or of the nearest one above it that is there.
pub(super) fn space(directory: &Path, room: &Room, report: &mut Report) {
    let Some((there, disk)) = directory.ancestors().find_map(|path| Some((path, statvfs(path).ok()?))) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} MiB free on the disk of {}", free / BYTES_A_MIB, there.display());
    // Some file systems have no fixed number of files, and say 0 of 0.
    let few_files = disk.f_files > 0 && disk.f_favail < FREE_FILES_MIN;
    if free < room.bytes {
        report.fix("disk", format_args!("{found}, less than {} MiB", room.bytes.div_ceil(BYTES_A_MIB)), room.fix);
    } else if few_files {
        let found = format!("only {} more files can be made on the disk of {}", disk.f_favail, there.display());
        report.fix("disk", found, "remove files there, or move the directory");
    } else {
        report.ok("disk", found);
    }
}

/// Whether today's log can be written, and those of the days before removed.
fn writable_log(log: &Path, report: &mut Report) {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else { return };
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        let fix = format!("let the user of the passes write {}, or name another `log-file`", directory.display());
        return report.fix("log", format_args!("{} cannot be written: {error}", directory.display()), fix);
    }
    let name = name.as_encoded_bytes();
    let days = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_log = |path: &Path| path.file_name().is_some_and(|file| file.as_encoded_bytes().starts_with(name));
    match days.filter(|path| of_log(path)).find_map(|path| Some((access(&path, Access::WRITE_OK).err()?, path))) {
        Some((error, path)) => {
            let me = owner::name_of(geteuid());
            report.fix(
                "log",
                format_args!("{} cannot be written by {me}: {error}", path.display()),
                format!("sudo chown {me} {}", quoted_path(&path)),
            );
        }
        None => report.ok("log", format_args!("{} is writable", log.display())),
    }
}
