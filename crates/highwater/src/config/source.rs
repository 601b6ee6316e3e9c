//! The text of one configuration file and what stood where in it: lines, entries, origins.
//! Owns the way from a byte offset to a line; knows nothing of what a field means.

use std::fmt;
use std::fs::FileType;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use indexmap::IndexMap;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::codes;

/// Largest configuration file that is read.
pub(crate) const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A configuration file in memory.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl SourceFile {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, Diagnosis> {
        let refuse =
            |message: String, next: &str| Err(Diagnosis::refusal(codes::UNREADABLE, message, next).in_file(path));
        // A device may never end.
        if let Some(found) = std::fs::metadata(path).ok().and_then(|found| no_file(found.file_type())) {
            return refuse(
                format!("found {found}, expected a file"),
                "write the configuration to a file, and name that",
            );
        }
        let bytes = match read_bounded(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return refuse(
                    "found no such file, expected a configuration".to_owned(),
                    "correct the path, or write a configuration there with `highwater init DIR`",
                );
            }
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
                return refuse(
                    "found a directory, expected a file".to_owned(),
                    "name the file in it, usually `highwater.toml`",
                );
            }
            Err(error) => {
                return refuse(
                    format!("found a file that cannot be read ({error}), expected a readable one"),
                    "run as the user who owns the file, or give that user the right to read it",
                );
            }
        };
        if bytes.len() as u64 > CONFIG_BYTES_MAX {
            return refuse(
                format!("found more than {CONFIG_BYTES_MAX} bytes, expected a configuration of at most that"),
                "check that this is the configuration and not a worklist",
            );
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = line_at(error.as_bytes(), valid);
                let refusal = Diagnosis::refusal(
                    codes::SYNTAX,
                    "found a byte that is not UTF-8, expected TOML, which is UTF-8",
                    "save the file as UTF-8",
                );
                Err(refusal.in_file(path).at_line(line))
            }
        }
    }

    /// The line that holds a byte, counted from 1.
    pub(super) fn line(&self, offset: usize) -> u64 {
        line_at(self.text.as_bytes(), offset)
    }

    /// The column of a byte in its line, in characters, counted from 1.
    pub(super) fn column(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        before.chars().rev().take_while(|c| *c != '\n').count() + 1
    }

    /// A refusal that points into this file.
    pub(super) fn refusal(
        &self,
        code: &'static str,
        line: u64,
        field: &str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Diagnosis {
        Diagnosis::refusal(code, message, next).in_file(&self.path).at_line(line).at_field(field)
    }
}

/// What it is, where it is none that is read. A pipe is: shells make one of what a command prints.
fn no_file(found: FileType) -> Option<&'static str> {
    match found {
        found if found.is_file() || found.is_dir() || found.is_fifo() => None,
        found if found.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn line_at(bytes: &[u8], offset: usize) -> u64 {
    let before = bytes.get(..offset).unwrap_or(bytes);
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Where an effective value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Environment(&'static str),
    /// A line of the file, counted from 1.
    File(u64),
    /// Nothing gave it.
    Default,
}

/// One value as it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) line: u64,
    /// The value before `${NAME}` was replaced.
    pub(super) raw: Json,
    /// Whether a `${NAME}` was replaced in it.
    pub(super) secret: bool,
}

/// Every value of the file by its dotted field.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries(IndexMap<String, Entry>);

impl Entries {
    pub(super) fn insert(&mut self, field: String, entry: Entry) {
        self.0.insert(field, entry);
    }

    pub(super) fn get(&self, field: &str) -> Option<&Entry> {
        self.0.get(field)
    }

    /// Every field below one, in file order.
    pub(super) fn below<'e>(&'e self, at: &FieldPath) -> impl Iterator<Item = FieldPath> + use<'e> {
        let prefix = format!("{at}.");
        self.0.keys().filter(move |field| field.starts_with(&prefix)).map(|field| FieldPath(field.clone()))
    }

    /// The line of a field, if the file has it.
    pub(super) fn line(&self, field: &str) -> Option<u64> {
        self.get(field).map(|entry| entry.line)
    }

    /// The line of the first field within a table.
    pub(super) fn line_within(&self, table: &str) -> Option<u64> {
        let within = |key: &str| key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
        self.0.iter().filter(|(key, _)| within(key)).map(|(_, entry)| entry.line).min()
    }
}

/// A dotted field: where in the file a value belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldPath(String);

impl FieldPath {
    /// The field `key` of this one; a key that TOML would quote is quoted.
    pub(super) fn join(&self, key: &str) -> Self {
        let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let key = if bare { key.to_owned() } else { format!("{key:?}") };
        Self(if self.0.is_empty() { key } else { format!("{}.{key}", self.0) })
    }

    /// The field that `path` names below this one, such as `repository.set` or `throttle[0].path`.
    pub(super) fn below(&self, path: &str) -> Self {
        path.split('.').fold(self.clone(), |at, key| match key.split_once('[') {
            Some((list, index)) => {
                let index = index.trim_end_matches(']').parse().expect("invariant: an index is a number");
                at.join(list).element(index)
            }
            None => at.join(key),
        })
    }

    /// The element of a list that this field is directly in, if it is.
    pub(super) fn within_element(&self) -> Option<&str> {
        self.0.rsplit_once('.').map(|(parent, _)| parent).filter(|parent| parent.ends_with(']'))
    }

    /// The element of a list.
    pub(super) fn element(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value as JSON, with every string for which `raw` knows an earlier text shown as that text.
pub(super) fn to_json(value: &Spanned<DeValue<'_>>, raw: &dyn Fn(&Range<usize>) -> Option<String>) -> Json {
    match value.get_ref() {
        DeValue::String(text) => raw(&value.span()).unwrap_or_else(|| text.to_string()).into(),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.into(),
            Err(_) => integer.to_string().into(),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) => number.into(),
            Err(_) => float.as_str().into(),
        },
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Array(array) => array.iter().map(|element| to_json(element, raw)).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value, raw))).collect()
        }
    }
}
