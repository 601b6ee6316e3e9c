//! The worklist file: one item after the other, never the whole file at once. Owns which files can be a worklist, by what sign
//! a file is known to be unchanged, and that a finite list has items; each format's rows are read in a room of its own.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::item::CommandItem;
use super::settings::WorklistFormat;
use crate::diagnosis::Diagnosis;
use crate::name::ItemKey;
use crate::worklist::Input;

mod json;
mod line;
mod table;

use json::JsonRows;
use line::Lines;
use table::Table;

/// How much of a worklist is read at a time, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// How long ago a file must have changed for its times to be a sign, in seconds. A file system's clock ticks (up to 2 s on
/// some): a second change in the tick of the first leaves the times as they are.
const SETTLED_AFTER_SECS: i64 = 2;

/// A file of items.
#[derive(Debug, Clone)]
pub struct WorklistFile {
    path: PathBuf,
    format: WorklistFormat,
    key: Option<String>,
    recurring: bool,
}

/// An item and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The item.
    pub item: CommandItem,
    /// The line it begins at, from 1.
    pub line: u64,
}

impl WorklistFile {
    /// The list at `path`. `key` names the field that is the key, if the format has fields. A list without items is refused
    /// unless it is `recurring`: nothing would run, and the job would be drained for good.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, format: WorklistFormat, key: Option<String>, recurring: bool) -> Self {
        Self { path: path.into(), format, key, recurring }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is pinned of the file as it is now. A sign that equals the known one spares the hash.
    ///
    /// # Errors
    /// [`Diagnosis`] when there is no such file, it cannot be read, or it cannot be read a second time.
    pub fn input(&self, known: Option<&Input>, now: Timestamp) -> Result<Input, Diagnosis> {
        let (file, meta) = self.open()?;
        let source = self.path.display().to_string();
        let sign = sign(&meta, now);
        if let Some(known) = known.filter(|known| known.source == source && Some(&known.sign) == sign.as_ref()) {
            return Ok(known.clone());
        }
        let sha256 = hash(file).map_err(|e| unreadable(&e).in_file(&self.path))?;
        // Without a cheap sign the hash itself is one that costs what it is worth.
        let sign = sign.unwrap_or_else(|| format!("sha256:{sha256}"));
        Ok(Input { source, sha256, sign })
    }

    /// Its items, in order.
    ///
    /// # Errors
    /// As [`WorklistFile::input`], and when a table has no usable header.
    pub fn items(&self) -> Result<Items, Diagnosis> {
        let (file, _) = self.open()?;
        let rows = match self.format {
            WorklistFormat::Lines => Rows::Lines(lines(file)),
            WorklistFormat::Jsonl => Rows::Json(JsonRows::new(lines(file), self.key.clone())),
            WorklistFormat::Csv => {
                Rows::Table(Box::new(Table::new(file, self.key.as_deref()).map_err(|e| e.in_file(&self.path))?))
            }
        };
        Ok(Items { path: self.path.clone(), rows, may_be_empty: self.recurring, found: false, ended: false })
    }

    fn open(&self) -> Result<(File, Metadata), Diagnosis> {
        let opened = self.refuse_once_only().and_then(|()| {
            let file = File::open(&self.path).map_err(|e| missing(&e))?;
            let meta = file.metadata().map_err(|e| unreadable(&e))?;
            Ok((file, meta))
        });
        opened.map_err(|e: Diagnosis| e.in_file(&self.path))
    }

    /// Asked before it is opened, for opening a pipe waits for its writer.
    fn refuse_once_only(&self) -> Result<(), Diagnosis> {
        let meta = std::fs::metadata(&self.path);
        let stands_for_stdin = self.path.file_name().is_some_and(|name| name == "-") && meta.is_err();
        let is_stdin = self.path == Path::new("/dev/stdin") || self.path.starts_with("/dev/fd");
        if stands_for_stdin || is_stdin || meta.as_ref().is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            return Err(Diagnosis::refusal(
                "HW-WRK-011",
                "it can be read only once, expected a regular file: a worklist is pinned by its hash and compared again by every pass",
                "write the list to a file first (`… > ids.txt`) and name that",
            ));
        }
        match meta {
            Ok(meta) if meta.is_dir() => Err(Diagnosis::refusal(
                "HW-WRK-010",
                "it is a directory, expected a file of items",
                "name a file; a list of a directory's files is made by `find DIR -type f > files.txt`",
            )),
            Ok(_) => Ok(()),
            Err(e) => Err(missing(&e)),
        }
    }
}

fn lines(file: File) -> Lines<BufReader<File>> {
    Lines::new(BufReader::with_capacity(READ_BYTES, file))
}

fn missing(error: &io::Error) -> Diagnosis {
    let next = match error.kind() {
        io::ErrorKind::NotFound => {
            "make the file, or correct its path: in a configuration a relative one counts from the file's own directory"
        }
        io::ErrorKind::PermissionDenied => "let this user read the file and pass through its directories",
        _ => "make it readable, or name another file in `worklist`",
    };
    Diagnosis::refusal("HW-WRK-010", format!("the worklist cannot be opened: {error}"), next)
}

fn unreadable(error: &io::Error) -> Diagnosis {
    Diagnosis::failure(
        "HW-WRK-019",
        format!("the worklist cannot be read: {error}"),
        "look at the disk or the mount it lies on, and call again: nothing is changed",
    )
}

fn hash(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// What changes whenever the bytes do; `None` when a change may have been too recent to show. The change time is part of it
/// because the modification time can be set back.
fn sign(meta: &Metadata, now: Timestamp) -> Option<String> {
    let time = |secs, nanos| Timestamp::new(secs, i32::try_from(nanos).ok()?).ok();
    let modified = time(meta.mtime(), meta.mtime_nsec())?;
    let changed = time(meta.ctime(), meta.ctime_nsec())?;
    let settled = now.checked_sub(SignedDuration::from_secs(SETTLED_AFTER_SECS)).ok()?;
    (modified.max(changed) < settled).then(|| {
        let (modified, changed) = (modified.as_nanosecond(), changed.as_nanosecond());
        format!("{}:{modified}:{changed}:{}:{}", meta.size(), meta.dev(), meta.ino())
    })
}

enum Rows {
    Lines(Lines<BufReader<File>>),
    Json(JsonRows<BufReader<File>>),
    Table(Box<Table<File>>),
}

/// The items of a worklist file; ends at the first error.
pub struct Items {
    path: PathBuf,
    rows: Rows,
    may_be_empty: bool,
    found: bool,
    ended: bool,
}

impl Items {
    fn row(&mut self) -> Result<Option<Listed>, Diagnosis> {
        let row = match &mut self.rows {
            Rows::Lines(lines) => lines.next()?.map(|(line, text)| {
                let item = CommandItem::of_key(key(text).map_err(|e| e.at_line(line))?);
                Ok(Listed { item, line })
            }),
            Rows::Json(rows) => return rows.next(),
            Rows::Table(table) => return table.next(),
        };
        row.transpose()
    }
}

impl Iterator for Items {
    type Item = Result<Listed, Diagnosis>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = match self.row().transpose() {
            None if !self.found && !self.may_be_empty => Some(Err(Diagnosis::refusal(
                "HW-WRK-012",
                "it holds no items, expected at least one: nothing would run, and the job would count as drained",
                "fill the list and call again, or set `recurring = true` if it is empty at times",
            ))),
            row => row,
        };
        self.found = true;
        self.ended = !matches!(row, Some(Ok(_)));
        row.map(|row| row.map_err(|e| e.in_file(&self.path)))
    }
}

/// The key that a text is.
fn key(text: &str) -> Result<ItemKey, Diagnosis> {
    ItemKey::new(text).map_err(|e| {
        Diagnosis::refusal("HW-WRK-015", e.to_string(), "correct the line: a key is what names the item for good")
    })
}

#[cfg(test)]
mod tests;
