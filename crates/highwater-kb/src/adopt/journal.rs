//! The journals of the older kind: what its program was doing when it was cut off. Owns what is told of them. They are read, and
//! left where they are: nothing is rolled back here.

use std::io::Read as _;

use highwater_fs::{Fs, Kind, RelPath};
use serde::Deserialize;
use serde_json::Value;

use crate::page::plain::one_line;

/// Where they are.
const JOURNALS: &str = ".openkb/journal";
/// The most bytes of one.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The shape that is known.
const VERSION: u64 = 1;
/// How many of its targets are told.
const TOLD_TARGETS_MAX: usize = 8;

/// A journal that was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Its file, from the base's root.
    pub file: String,
    /// What it says.
    pub state: JournalState,
}

/// What a journal says of the change that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalState {
    /// The change was cut off: some of its targets may have their new bytes, and others the old ones.
    Interrupted {
        /// What was done: `add`, `remove`.
        operation: String,
        /// To which document, where it says so.
        subject: Option<String>,
        /// What it had set out to change, from the base's root where it is below that.
        targets: Vec<String>,
        /// Where the bytes from before are, from the base's root; `None` where there is nothing.
        backups: Option<String>,
    },
    /// The change was over, and only the journal was left behind.
    Over {
        /// What was done.
        operation: String,
        /// `committed` or `rolled_back`.
        status: String,
    },
    /// It cannot be read.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Debug, Deserialize)]
struct Written {
    version: u64,
    operation: String,
    status: String,
    #[serde(default)]
    backup_dir: Option<String>,
    #[serde(default)]
    details: Option<Value>,
    #[serde(default)]
    entries: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    target: String,
}

/// Every journal that was left, in the order of their names; what cannot even be listed is one that cannot be read.
pub(super) fn read(disk: &dyn Fs) -> Vec<Journal> {
    let directory = RelPath::new(JOURNALS).expect("invariant: it is below the root");
    if !matches!(disk.stat(&directory), Ok(Some(_)) | Err(_)) {
        return Vec::new();
    }
    let entries = match disk.list(&directory) {
        Ok(entries) => entries,
        Err(error) => {
            let why = one_line(&error.to_string());
            return vec![Journal { file: JOURNALS.to_owned(), state: JournalState::Unreadable { why } }];
        }
    };
    let mut journals = Vec::new();
    for entry in entries {
        // What ends otherwise is a temporary file of its program.
        if !entry.name.as_encoded_bytes().ends_with(b".json") {
            continue;
        }
        let file = format!("{JOURNALS}/{}", one_line(&entry.name.to_string_lossy()));
        let state = match directory.join(&entry.name) {
            Ok(path) if entry.kind == Kind::File => state(disk, &path),
            Ok(_) => JournalState::Unreadable { why: "it is no file".to_owned() },
            Err(error) => JournalState::Unreadable { why: error.to_string() },
        };
        journals.push(Journal { file, state });
    }
    journals
}

fn state(disk: &dyn Fs, path: &RelPath) -> JournalState {
    let unreadable = |why: String| JournalState::Unreadable { why: one_line(&why) };
    let written = match bytes(disk, path).map(|bytes| serde_json::from_slice::<Written>(&bytes)) {
        Ok(Ok(written)) => written,
        Ok(Err(error)) => return unreadable(error.to_string()),
        Err(why) => return unreadable(why),
    };
    if written.version != VERSION {
        return unreadable(format!("its version is {}, and {VERSION} is what is known", written.version));
    }
    let operation = one_line(&written.operation);
    match written.status.as_str() {
        "active" => {
            let root = disk.locate(&RelPath::root());
            // The base may have been moved since: what it was called then is told by its journal alone.
            let below = |path: &str| {
                let path =
                    path.strip_prefix(&*root.to_string_lossy()).map_or(path, |rest| rest.trim_start_matches('/'));
                one_line(path)
            };
            let backups = written.backup_dir.as_deref().map(below).filter(|backups| {
                let there = RelPath::new(backups).ok().and_then(|path| disk.stat(&path).ok().flatten());
                there.is_some_and(|stat| stat.kind == Kind::Dir)
            });
            let details = written.details.as_ref();
            let subject = ["name", "doc_name"].iter().find_map(|field| details?.get(field)?.as_str()).map(one_line);
            let targets = written.entries.iter().map(|entry| below(&entry.target)).collect();
            JournalState::Interrupted { operation, subject, targets, backups }
        }
        status @ ("committed" | "rolled_back") => JournalState::Over { operation, status: status.to_owned() },
        other => unreadable(format!("its status is {other:?}")),
    }
}

fn bytes(disk: &dyn Fs, path: &RelPath) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reader = disk.reader(path).map_err(|error| error.to_string())?;
    reader.take(JOURNAL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > JOURNAL_BYTES_MAX {
        return Err(format!("it has more than {JOURNAL_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

impl Journal {
    /// What a person should know of it, in a few sentences.
    #[must_use]
    pub fn told(&self) -> String {
        let file = &self.file;
        match &self.state {
            JournalState::Interrupted { operation, subject, targets, backups } => {
                let of = subject.as_ref().map_or(String::new(), |subject| format!(" of {subject}"));
                let named: Vec<&str> = targets.iter().take(TOLD_TARGETS_MAX).map(String::as_str).collect();
                let more = match targets.len() - named.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let backups = match backups {
                    Some(backups) => format!("the bytes from before are in {backups}"),
                    None => "the bytes from before are not there".to_owned(),
                };
                format!(
                    "{file} was left by a change that was cut off: `{operation}`{of}. It may have changed {}{more}; {backups}. \
                     What stands there now was taken as it is",
                    named.join(", ")
                )
            }
            JournalState::Over { operation, status } => {
                format!("{file} was left behind by a change that is over: `{operation}`, {status}")
            }
            JournalState::Unreadable { why } => format!("{file} is a journal that cannot be read: {why}"),
        }
    }
}
