//! What must be there and no installer can make: certificates, repositories, space. Owns what is looked at, and that what is
//! missing is told with what to do, and keeps nothing from being installed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use highwater_engine::settings::ByteSize;

use super::stage::Stage;
use crate::cli::Role;
use crate::config::{Config, KindSettings};
use crate::units::seen_from;

/// The receiver's name in the configuration that is written for a lab host: nobody's.
const NOBODY: &str = "receiver.example.org";
/// Below this a lab host has no room for what it packs.
const LAB_HOST_FREE_MIB: u64 = 1_024;

/// Looks at everything that the role needs.
pub(super) fn check(stage: &mut Stage, config: &Config, root: Option<&Path>, role: Role) {
    match role {
        Role::Receiver => receiver(stage, config, root),
        Role::LabHost => lab_host(stage, config, root),
    }
}

fn receiver(stage: &mut Stage, config: &Config, root: Option<&Path>) {
    // One that lacks a variable is told of with the units.
    let Ok(receiver) = config.receiver() else { return };
    if let Some(tls) = &receiver.tls {
        let optional = [&tls.client_ca, &tls.crl].into_iter().flatten();
        for path in [&tls.cert, &tls.key].into_iter().chain(optional) {
            readable(
                stage,
                "certificate",
                &seen_from(path, root),
                "put it there, for its group to read; the receiver does not start without",
            );
        }
    }
    if let Some(gate) = receiver.gate.as_ref().filter(|gate| gate.enabled)
        && let Some(repository) = &gate.repository
    {
        let path = seen_from(repository, root);
        let here = stage.at(&path);
        if here.join(".git").exists() || here.join("objects").is_dir() {
            stage.as_it_was("repository", path.display().to_string());
        } else {
            let found = format!("{} is no git repository", path.display());
            stage.left("repository", found, "clone it there; until then uploads are put off");
        }
        if std::process::Command::new("git").arg("--version").output().is_ok_and(|said| said.status.success()) {
            stage.as_it_was("git", "is there, to keep the repository fresh".to_owned());
        } else {
            stage.left(
                "git",
                "there is none, and the repository is kept fresh by it".to_owned(),
                "install the package `git`",
            );
        }
    }
    space(stage, &seen_from(&receiver.root, root), receiver.limits.free);
}

fn lab_host(stage: &mut Stage, config: &Config, root: Option<&Path>) {
    for job in config.jobs.values() {
        let KindSettings::Ship(ship) = &job.kind else { continue };
        let of = |key: &str| format!("{key} of job.{}", job.name);
        if ship.receiver.expose().host_str() == Some(NOBODY) {
            let found = format!("{} is still the example's, {NOBODY}", of("receiver"));
            stage.left(
                "receiver",
                found,
                &format!("name yours in the configuration; `highwater ship {} --ping` tries it", job.name),
            );
        }
        for path in [&ship.tls.ca, &ship.tls.certificate, &ship.tls.key].into_iter().flatten() {
            readable(stage, "certificate", &seen_from(path, root), "put it there, for its group to read");
        }
        if let Some(code) = ship.code_commit.as_ref().and_then(|code| code.path()) {
            readable(stage, "code", &seen_from(code, root), "put the repository, or the file with the commit, there");
        }
        space(stage, &seen_from(&ship.outbox, root), ByteSize::mib(LAB_HOST_FREE_MIB));
    }
}

/// A file that the service opens and only reads.
fn readable(stage: &mut Stage, what: &'static str, path: &Path, next: &str) {
    match stage.at(path).metadata() {
        Err(_) => stage.left(what, format!("{} is not there", path.display()), next),
        Ok(meta) if !stage.may_read(&meta) => {
            let user = stage.user().to_owned();
            let quoted = highwater_engine::shell::quoted_path(path);
            let next = format!("`chgrp {user} {quoted} && chmod g+r {quoted}`");
            stage.left(what, format!("{} cannot be read by {user}", path.display()), &next);
        }
        Ok(meta) if meta.size() == 0 => stage.left(what, format!("{} is empty", path.display()), next),
        Ok(_) => stage.as_it_was(what, path.display().to_string()),
    }
}

fn space(stage: &mut Stage, path: &Path, wanted: ByteSize) {
    let here = stage.at(path);
    let Some(there) = here.ancestors().find(|above| above.is_dir()) else { return };
    let Ok(disk) = rustix::fs::statvfs(there) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= wanted.bytes() {
        return stage.as_it_was("disk", format!("{} has more than {wanted} free", path.display()));
    }
    let found = format!("{} has less than {wanted} free", path.display());
    stage.left("disk", found, "free space there, or name another directory in the configuration");
}
