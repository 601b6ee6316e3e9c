//! The configuration, the state directory and whose they are.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use highwater_engine::shell::quoted_path;
use nix::unistd::{Uid, geteuid};
use rustix::fs::{Access, access};

use super::report::Report;
use crate::cli::Global;
use crate::commands::config::counted;
use crate::config::Config;
use crate::owner;
use crate::site::{LEDGER_FILE, configuration, state_dir_unread};

/// Most files of the state directory that are looked at.
const FILES_MAX: usize = 10_000;
/// Deepest directory below the state directory that is looked into.
const DEPTH_MAX: usize = 4;
/// Files that are named in one line.
const NAMED_MAX: usize = 3;

const GROUP_OR_OTHERS: u32 = 0o077;
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;

/// Where everything is.
pub(super) struct Place {
    pub(super) config: Option<Config>,
    /// The state directory, or that of a bare ledger.
    pub(super) state: PathBuf,
    pub(super) ledger: PathBuf,
    /// Whether this process is the owner now.
    pub(super) is_owner: bool,
}

impl Place {
    /// Finds it, and becomes its owner; `None` where there is nothing to look at.
    pub(super) fn find(global: &Global, report: &mut Report) -> Option<Self> {
        let mut place = match &global.ledger {
            Some(ledger) => Self::bare(ledger.clone()),
            None => Self::configured(global, report)?,
        };
        let directory = place.config.as_ref().map_or(place.state.as_path(), |config| &config.directory).to_owned();
        place.is_owner = match owner::become_owner(&[&place.ledger, &place.state, &directory]) {
            Ok(()) => true,
            Err(error) => {
                report.error("owner", &error);
                false
            }
        };
        if place.is_owner {
            report.ok("owner", format_args!("passes run as {}", owner::name_of(geteuid())));
        }
        place.check_config_file(report);
        place.check_state(report);
        Some(place)
    }

    fn bare(ledger: PathBuf) -> Self {
        let state =
            ledger.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Self { config: None, state, ledger, is_owner: false }
    }

    fn configured(global: &Global, report: &mut Report) -> Option<Self> {
        match configuration(global) {
            Ok(config) => {
                let unset = config.unset();
                unset.iter().for_each(|fault| report.error("config", fault));
                if unset.is_empty() {
                    let what = counted(config.jobs.len(), "job");
                    report.ok(
                        "config",
                        format_args!(
                            "{}: {what}, {}",
                            config.file.display(),
                            counted(config.resources.len(), "resource")
                        ),
                    );
                }
                let state = config.state_dir().to_owned();
                Some(Self { ledger: state.join(LEDGER_FILE), state, config: Some(config), is_owner: false })
            }
            Err(errors) => {
                errors.iter().for_each(|error| report.error("config", error));
                let state = state_dir_unread(global)?;
                report
                    .ok("state", format_args!("{}, as far as can be told without the configuration", state.display()));
                Some(Self { ledger: state.join(LEDGER_FILE), state, config: None, is_owner: false })
            }
        }
    }

    fn check_config_file(&self, report: &mut Report) {
        let Some(config) = &self.config else { return };
        let file = config.file.as_path();
        if let Err(error) = access(file, Access::READ_OK) {
            let me = owner::name_of(geteuid());
            report.fix(
                "config",
                format_args!("{} cannot be read by {me}: {error}", file.display()),
                format!("let {me} read it: chown or chmod it"),
            );
        }
        if fs::metadata(file).is_ok_and(|meta| meta.mode() & OTHERS_WRITE != 0) {
            let found =
                format!("everyone may write {}, and so say what runs as {}", file.display(), owner::name_of(geteuid()));
            report.fix("config", found, format!("chmod o-w {}", quoted_path(file)));
        }
    }

    fn check_state(&self, report: &mut Report) {
        let state = self.state.as_path();
        let meta = match fs::metadata(state) {
            Ok(meta) if meta.is_dir() => meta,
            Ok(_) => {
                return report.fix(
                    "state",
                    format_args!("{} is no directory", state.display()),
                    "move it away, or name another `state-dir`",
                );
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return check_parent(state, report),
            Err(error) => {
                return report.fix(
                    "state",
                    format_args!("{}: {error}", state.display()),
                    "let the owner of the passes enter its directories",
                );
            }
        };
        let bare = self.config.is_none() && self.ledger.file_name().is_none_or(|name| name != LEDGER_FILE);
        if bare {
            return self.check_files(std::slice::from_ref(&self.ledger), &meta, report);
        }
        let before = report.fixes();
        if let Err(error) = access(state, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
            report.fix(
                "state",
                format_args!("{}: {error}", state.display()),
                format!("chmod u+rwx {}; a read-only file system must be mounted to write", quoted_path(state)),
            );
        }
        if meta.mode() & GROUP_OR_OTHERS_WRITE != 0 {
            report.fix(
                "state",
                format_args!("others than its owner may write {}", state.display()),
                format!("chmod go-w {}", quoted_path(state)),
            );
        }
        let files = files_below(state);
        self.check_files(&files, &meta, report);
        if report.fixes() == before {
            let count = counted(files.iter().filter(|path| path.is_file()).count(), "file");
            report.ok("state", format_args!("{} and the {count} in it are its owner's", state.display()));
        }
    }

    /// Whose files are, and who may read what the ledger says of items.
    fn check_files(&self, files: &[PathBuf], state: &Metadata, report: &mut Report) {
        let looked: Vec<(&PathBuf, Metadata)> =
            files.iter().filter_map(|file| Some((file, fs::symlink_metadata(file).ok()?))).collect();
        let owner = fs::metadata(&self.ledger).map_or(state.uid(), |ledger| ledger.uid());
        let name = owner::name_of(Uid::from_raw(owner));
        let foreign: Vec<_> = looked.iter().filter(|(_, meta)| meta.uid() != owner).map(|(file, _)| *file).collect();
        if !foreign.is_empty() {
            let found = format!("{} not of {name}: {}", counted(foreign.len(), "file"), named(&foreign));
            report.fix("state", found, format!("sudo chown -R {name} {}", quoted_path(&self.state)));
        }
        let ledgers = self.ledger.as_os_str().as_encoded_bytes();
        let of_ledger = |file: &Path| file.as_os_str().as_encoded_bytes().starts_with(ledgers);
        let open: Vec<_> = looked
            .iter()
            .filter(|(file, meta)| of_ledger(file) && meta.mode() & GROUP_OR_OTHERS != 0)
            .map(|(file, _)| *file)
            .collect();
        if !open.is_empty() {
            report.fix(
                "state",
                format_args!("others may read or write {}", named(&open)),
                format!("chmod go= {}*", quoted_path(&self.ledger)),
            );
        }
    }
}

/// A state directory that is not there yet: whether the first pass can make it.
fn check_parent(state: &Path, report: &mut Report) {
    let there = state.ancestors().skip(1).find(|path| path.exists()).unwrap_or(Path::new("/"));
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => report.ok("state", format_args!("{} is not there yet; the first pass makes it", state.display())),
        Err(error) => report.fix(
            "state",
            format_args!("{} is not there, and cannot be made in {}: {error}", state.display(), there.display()),
            format!("mkdir -p {0} && chown it to the user of the passes, or name another `state-dir`", state.display()),
        ),
    }
}

fn named(files: &[&PathBuf]) -> String {
    let mut names: Vec<_> = files.iter().take(NAMED_MAX).map(|file| file.display().to_string()).collect();
    if files.len() > NAMED_MAX {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// Every file and directory below one, within bounds; links are not followed.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if files.len() == FILES_MAX {
                return files;
            }
            if depth < DEPTH_MAX && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push((entry.path(), depth + 1));
            }
            files.push(entry.path());
        }
    }
    files
}
