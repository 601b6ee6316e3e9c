//! Where an installation goes: the machine, or a directory that will be one. Owns how a file or a directory gets there with the
//! owner and the mode it is to have, and that a call which was interrupted on the way is finished by the next.

mod directory;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_fs::{RealFs, RelPath, collect_stale};
use nix::unistd::geteuid;
use tempfile::TempDir;

use super::account::Account;
use super::steps::{State, Step};
use super::{CANNOT, MODE_OF_CONFIG, NOT_ROOT, WRONG_PATH};
use crate::cli::Role;
use crate::commands::config::counted;
use crate::output::Output;
use crate::owner::name_of;
use crate::put::{self, Put};
use highwater_engine::shell::quoted;

pub(super) use directory::Owner;

/// Where something is put on every machine.
const WRITTEN: [&str; 4] = ["/etc/highwater", "/etc/passwd", "/etc/systemd/system", super::account::HOME];
/// The bits of a mode that are compared.
const MODE_BITS: u32 = 0o7777;
/// What everybody may look into: a directory of the system's.
const MODE_OF_SYSTEM: u32 = 0o755;
/// Takes from what is made only what others could write.
const UMASK: u32 = 0o022;
const OWNER_READS: u32 = 0o400;
const GROUP_READS: u32 = 0o040;
const ALL_READ: u32 = 0o004;

/// Where an installation goes.
pub(super) struct Stage {
    root: Option<PathBuf>,
    rehearse: bool,
    is_root: bool,
    account: Account,
    steps: Vec<Step>,
    notes: Vec<String>,
    output: Output,
}

/// A path of the machine as it is called here.
pub(super) fn below(root: Option<&Path>, path: &Path) -> PathBuf {
    match root {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.to_owned(),
    }
}

impl Stage {
    /// Begins an installation.
    ///
    /// # Errors
    /// A refusal to anyone but root on the machine itself; a root that cannot be made.
    pub(super) fn open(root: Option<&Path>, rehearse: bool, output: Output) -> Result<Self, Diagnosis> {
        let is_root = geteuid().is_root();
        if root.is_none() && !is_root && !rehearse {
            return Err(Diagnosis::refusal(
                NOT_ROOT,
                format!(
                    "this is {}, and only root makes users, directories and units of the machine",
                    name_of(geteuid())
                ),
                "call it with `sudo`; `--dry-run` shows what it would do, `--root DIR` does it below a directory",
            ));
        }
        // What is made has the mode that is meant, whatever the caller's mask.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
        let root = root.map(|root| Self::root_at(root, rehearse)).transpose()?;
        Ok(Self { root, rehearse, is_root, account: Account::unknown(), steps: Vec::new(), notes: Vec::new(), output })
    }

    fn root_at(root: &Path, rehearse: bool) -> Result<PathBuf, Diagnosis> {
        let refuse = |error: io::Error| {
            Diagnosis::refusal(
                WRONG_PATH,
                format!("it cannot be used: {error}"),
                "name a directory that this user may write in",
            )
            .in_file(root)
            .at_field("--root")
        };
        if !rehearse {
            fs::create_dir_all(root).map_err(refuse)?;
        }
        // A link has one name for what lies below it.
        let root = root.canonicalize().or_else(|error| if rehearse { std::path::absolute(root) } else { Err(error) });
        let root = root.map_err(refuse)?;
        for directory in WRITTEN {
            let here = below(Some(&root), Path::new(directory));
            // Of one that is not there yet, what it would be made in.
            let mut ancestors = here.ancestors().take_while(|ancestor| ancestor.starts_with(&root));
            let there = ancestors.find_map(|ancestor| ancestor.canonicalize().ok());
            if let Some(there) = there.filter(|there| !there.starts_with(&root)) {
                let message = format!("it leads out of {}, to {}", root.display(), there.display());
                let next =
                    "name a directory whose links stay within it: what is installed below it would change this machine";
                return Err(Diagnosis::refusal(WRONG_PATH, message, next).in_file(here).at_field("--root"));
            }
        }
        Ok(root)
    }

    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    pub(super) fn rehearses(&self) -> bool {
        self.rehearse
    }

    pub(super) fn is_root(&self) -> bool {
        self.is_root
    }

    /// A path of the machine as it is called here.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        below(self.root(), path)
    }

    /// Whether the service may read what has this owner and mode; where it is not known who that is, it may.
    pub(super) fn may_read(&self, meta: &fs::Metadata) -> bool {
        let Some((uid, gid)) = self.account.ids else { return true };
        let has = |bits: u32| meta.mode() & bits != 0;
        uid == 0 || has(ALL_READ) || (meta.uid() == uid && has(OWNER_READS)) || (meta.gid() == gid && has(GROUP_READS))
    }

    /// The name of the service's user.
    pub(super) fn user(&self) -> &str {
        &self.account.name
    }

    /// Whom everything is made for from now on.
    pub(super) fn serves(&mut self, account: Account) {
        self.account = account;
    }

    fn step(&mut self, state: State, what: &'static str, found: String, next: Option<String>) {
        let step = Step { state, what, found, next };
        if !self.output.json {
            self.output.line(&step);
        }
        self.steps.push(step);
    }

    pub(super) fn done(&mut self, what: &'static str, found: String) {
        self.step(State::Done, what, found, None);
    }

    pub(super) fn would(&mut self, what: &'static str, found: String) {
        self.step(State::WouldDo, what, found, None);
    }

    pub(super) fn as_it_was(&mut self, what: &'static str, found: String) {
        self.step(State::AsItWas, what, found, None);
    }

    pub(super) fn left(&mut self, what: &'static str, found: String, next: &str) {
        self.step(State::Left, what, found, Some(next.to_owned()));
    }

    pub(super) fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    /// What became of a file; whether it is another now.
    pub(super) fn stood(&mut self, what: &'static str, found: String, put: Put) -> bool {
        self.step(State::of(put, self.rehearse), what, found, None);
        put != Put::AsItWas
    }

    /// The configuration: written where there is none, else only made readable to the service, where it is root's alone.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn config(&mut self, path: &Path, template: &str) -> Result<(), Diagnosis> {
        let here = self.at(path);
        let failed = |error: io::Error| cannot(&error, &here);
        let found = path.display().to_string();
        let group = self.account.ids.filter(|_| self.is_root).map(|(_, gid)| gid);
        match here.metadata() {
            Ok(meta) => {
                let readable = !self.is_root || self.may_read(&meta);
                let is_roots = meta.uid() == 0 && meta.gid() == 0 && !here.is_symlink();
                if readable {
                    self.as_it_was("configuration", found);
                } else if is_roots {
                    if !self.rehearse {
                        chown(&here, None, group).map_err(failed)?;
                        fs::set_permissions(&here, fs::Permissions::from_mode(meta.mode() & MODE_BITS | GROUP_READS))
                            .map_err(failed)?;
                    }
                    self.stood("configuration", format!("{found}, now for the group to read"), Put::Changed);
                } else {
                    let next = format!("`chgrp {0} {1} && chmod g+r {1}`", self.account.name, quoted(&found));
                    self.left("configuration", format!("{found} cannot be read by {}", self.account.name), &next);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.rehearse {
                    put::file(&here, template.as_bytes(), MODE_OF_CONFIG, false).map_err(failed)?;
                    chown(&here, None, group).map_err(failed)?;
                }
                self.stood("configuration", found, Put::Made);
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// In a rehearsal, a place with the configuration that would be written, where there is none.
    ///
    /// # Errors
    /// No temporary directory.
    pub(super) fn scratch(&self, path: &Path, template: &str) -> Result<Option<TempDir>, Diagnosis> {
        if !self.rehearse || self.at(path).exists() {
            return Ok(None);
        }
        let made = tempfile::tempdir().and_then(|scratch| {
            // As the file system knows it: the configuration's directory is told without links.
            let here = below(Some(&scratch.path().canonicalize()?), path);
            fs::create_dir_all(here.parent().unwrap_or(Path::new("/")))?;
            fs::write(here, template)?;
            Ok(scratch)
        });
        made.map(Some).map_err(|error| {
            Diagnosis::failure(
                CANNOT,
                format!("no temporary directory can be made: {error}"),
                "free space there, or set `TMPDIR`",
            )
        })
    }

    /// Copies a file of this machine to its place.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn copy(&mut self, what: &'static str, from: &Path, to: &Path, mode: u32) -> Result<(), Diagnosis> {
        self.parents_of(to)?;
        let here = self.at(to);
        let put = put::copy(from, &here, mode, self.rehearse).map_err(|error| cannot(&error, &here))?;
        self.stood(what, to.display().to_string(), put);
        self.sweep(to.parent().unwrap_or(Path::new("/")));
        Ok(())
    }

    /// Puts files in a directory of the system's, told of as one step.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn files(
        &mut self,
        what: &'static str,
        directory: &Path,
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        mode: u32,
    ) -> Result<(), Diagnosis> {
        let mut put: Vec<(String, Put)> = Vec::new();
        for (name, bytes) in files {
            let path = directory.join(&name);
            self.parents_of(&path)?;
            let here = self.at(&path);
            let became = put::file(&here, &bytes, mode, self.rehearse).map_err(|error| cannot(&error, &here))?;
            put.push((name, became));
        }
        let (all, there) = (put.len(), directory.display());
        let new: Vec<Put> = put.iter().map(|(_, became)| *became).filter(|became| *became != Put::AsItWas).collect();
        let (found, whole) = match (put.as_slice(), new.first()) {
            ([(name, became)], _) => (format!("{there}/{name}"), *became),
            (_, None) => (format!("{there}: {}", counted(all, "file")), Put::AsItWas),
            (_, Some(became)) if new.len() == all => (format!("{there}: {}", counted(all, "file")), *became),
            (_, Some(became)) => (format!("{there}: {} of {}", new.len(), counted(all, "file")), *became),
        };
        self.stood(what, found, whole);
        self.sweep(directory);
        Ok(())
    }

    /// Takes away what a call that was killed left on its way into a directory; one that cannot be looked through keeps it.
    pub(super) fn sweep(&self, directory: &Path) {
        if self.rehearse {
            return;
        }
        let swept = RealFs::open(self.at(directory)).and_then(|fs| collect_stale(&fs, &RelPath::root()));
        if let Err(error) = swept {
            tracing::debug!(%error, "what another call may have left stays");
        }
    }

    fn parents_of(&self, path: &Path) -> Result<(), Diagnosis> {
        let here = self.at(path);
        let above = here.parent().unwrap_or(Path::new("/"));
        if self.rehearse || above.is_dir() {
            return Ok(());
        }
        let made = fs::DirBuilder::new().recursive(true).mode(MODE_OF_SYSTEM).create(above);
        made.map_err(|error| cannot(&error, above))
    }

    /// The end: what it came to, and what a person does next.
    pub(super) fn tell(&self, role: Role, next: Option<&str>) {
        if self.output.json {
            let next = next.unwrap_or_default();
            self.output.json(&serde_json::json!({ "steps": self.steps, "notes": self.notes, "next": next }));
            return;
        }
        for note in &self.notes {
            self.output.note(format_args!("note: {note}"));
        }
        let Some(next) = next else { return };
        let count = |state| self.steps.iter().filter(|step| step.state == state).count();
        let role = match role {
            Role::Receiver => "receiver",
            Role::LabHost => "lab-host",
        };
        let whole = match (count(State::Done), count(State::WouldDo)) {
            (0, 0) => match count(State::AsItWas) {
                1 => format!("{role}: nothing changed; 1 step was done before"),
                before => format!("{role}: nothing changed; {before} steps were done before"),
            },
            (0, 1) => format!("{role}: 1 step would be done"),
            (0, would) => format!("{role}: {would} steps would be done"),
            (1, _) => format!("{role}: 1 step done"),
            (done, _) => format!("{role}: {done} steps done"),
        };
        let left = match count(State::Left) {
            0 => String::new(),
            1 => "; 1 is left to you".to_owned(),
            left => format!("; {left} are left to you"),
        };
        self.output.line(format_args!("{whole}{left}\nnext: {next}"));
    }
}

fn cannot(error: &dyn std::fmt::Display, path: &Path) -> Diagnosis {
    Diagnosis::failure(
        CANNOT,
        format!("this step cannot be done: {error}"),
        "mend it and call again: what is done stays done, and the next call goes on",
    )
    .in_file(path)
}
