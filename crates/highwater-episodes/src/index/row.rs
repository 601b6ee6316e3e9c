//! One row, as one line of JSON with its keys sorted. Owns which fields there are and how old lines without the newer ones are
//! read; a line that is no row is reported, kept and skipped by whoever reads the file.

mod plain;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::PageAsk;
use super::jsonl::places::{Print, Says, print_of};
use super::tombs::Word;
use crate::digest::Sha256Digest;
use crate::name::{EpisodeId, EpisodeKey, HostId};

use plain::Plain;

/// The version of rows that are written; others are no rows of ours.
pub const SCHEMA_VERSION: u32 = 1;
/// How much before the last time that can be written a row's must be, in seconds: each row of a key is later than the one before it.
const FOLLOWED_SECS: i64 = 24 * 3_600;
/// Longest line that is read, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// The commit of the code that recorded an episode: 40 or 64 hexadecimal digits, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(Box<str>);

/// A text that is no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the 40 or 64 hexadecimal digits of a commit, found {chars} characters that are not")]
pub struct CommitError {
    /// How long it is.
    pub chars: usize,
}

impl Commit {
    /// The commit as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for Commit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Commit".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$" })
    }
}

impl FromStr for Commit {
    type Err = CommitError;

    /// Reads 40 or 64 hexadecimal digits, of either case.
    fn from_str(text: &str) -> Result<Self, CommitError> {
        let fits = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(CommitError { chars: text.chars().count() }) }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Commit {
    type Error = CommitError;
    fn try_from(text: String) -> Result<Self, CommitError> {
        text.parse()
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0.into()
    }
}

/// How an episode passed the gate, where it did not pass by being in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The gate was off: nothing was judged.
    Off,
    /// An operator let its commit in.
    Allowed,
}

impl Gate {
    /// As it stands in a row.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Allowed => "allowed",
        }
    }
}

/// An episode that is stored, or was and is withdrawn. The fields are in the order of their names, which is that of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Made by `reindex`, not at the upload.
    #[serde(default, deserialize_with = "plain::false_where_null", skip_serializing_if = "std::ops::Not::not")]
    pub backfilled: bool,
    /// The commit of the code that recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// What the episode holds, whatever packed it; rows of older receivers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<Sha256Digest>,
    /// Which of its host's it is.
    pub episode_id: EpisodeId,
    /// How it passed the gate, where it was not in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Who recorded it.
    pub host_id: HostId,
    /// When the receiver had it, by its clock; of a tombstone, when it was written.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub received_at_wall: Timestamp,
    /// Why nothing is stored under this name any more: a tombstone that leaves the name free, so that its key has no row from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of the bytes that are stored.
    pub sha256: Sha256Digest,
    /// Of the bytes that are stored.
    pub size_bytes: u64,
    /// Why the episode was withdrawn: a tombstone, which takes the place of all rows of its key, wherever they stand, and keeps the name
    /// from being used. Beside `removed`: a person made the name free, also of what was withdrawn before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

/// A line that is no row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// Longer than a row can be.
    #[error("it is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Nothing but blanks.
    #[error("it is empty")]
    Empty,
    /// Not the JSON of a row.
    #[error("it is no row")]
    Json(#[source] serde_json::Error),
    /// Of a time after which no other can be written.
    #[error("its time is {0}, after which nothing can be dated")]
    Time(Timestamp),
    /// Of a version that is not known here.
    #[error("it is of schema version {0}, expected {SCHEMA_VERSION}")]
    Version(u32),
}

impl Row {
    /// Which episode it is of.
    #[must_use]
    pub fn key(&self) -> EpisodeKey {
        EpisodeKey { host: self.host_id.clone(), episode: self.episode_id.clone() }
    }

    /// What it says of its key; `None` where the key has no row from here on.
    pub(super) fn says(&self) -> Option<Says> {
        match (&self.removed, &self.withdrawn) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Says::WITHDRAWN),
            (None, None) => {
                let begin =
                    self.sha256.as_bytes()[..8].try_into().expect("invariant: a digest has more than eight bytes");
                Some(Says::stored(u64::from_be_bytes(begin)))
            }
        }
    }

    /// What it says of the lines before it.
    pub(super) fn word(&self) -> Word {
        let at = self.received_at_wall;
        match (&self.removed, &self.withdrawn) {
            (Some(_), withdrawn) => Word::Removed { at, frees: withdrawn.is_some() },
            (None, Some(_)) => Word::Withdrawn(at),
            (None, None) => Word::Stored(at),
        }
    }

    /// The line of the file, with its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("invariant: a row is names, numbers and text");
        line.push('\n');
        line
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is too long, not JSON, lacks a field, is of another version, or of a time that nothing can follow.
    pub fn from_line(line: &[u8]) -> Result<Self, RowError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(RowError::TooLong);
        }
        Found::read(line).map(|found| found.row())
    }
}

/// Refuses a time at the very end of those that can be written. Those that lie just behind it, as the last day of the year 9999 does by
/// which some programs mean "never", are no times at all, so a line of theirs is no row either.
fn can_be_followed(at: Timestamp) -> Result<(), RowError> {
    if at.as_second() > Timestamp::MAX.as_second() - FOLLOWED_SECS { Err(RowError::Time(at)) } else { Ok(()) }
}

/// What a row of whatever version says of that.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// A row that was found in a line, read as far as it was needed to see that it is one.
#[derive(Debug)]
pub struct Found<'l>(Form<'l>);

#[derive(Debug)]
enum Form<'l> {
    /// It lies in its line still, which is what would be written for it.
    Written(&'l str, Plain<'l>),
    /// It lies in a line that somebody else wrote, or wrote otherwise.
    Plain(Plain<'l>),
    /// It lies in none.
    Read(Box<Row>),
}

impl<'l> Found<'l> {
    /// Reads a line without its end, as [`Row::from_line`] does.
    pub(crate) fn read(line: &'l [u8]) -> Result<Self, RowError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(RowError::TooLong);
        }
        if let Ok(text) = std::str::from_utf8(line) {
            let written = Plain::read(text).map(|plain| (plain.received_at_wall, Form::Written(text, plain)));
            let found =
                written.or_else(|| Plain::of_json(text).map(|plain| (plain.received_at_wall, Form::Plain(plain))));
            if let Some((at, form)) = found {
                return can_be_followed(at).map(|()| Self(form));
            }
        }
        if line.trim_ascii().is_empty() {
            return Err(RowError::Empty);
        }
        let row: Row = serde_json::from_slice(line).map_err(|error| match serde_json::from_slice(line) {
            // It may have other fields: what is wrong with them says nothing.
            Ok(Versioned { schema_version }) if schema_version != SCHEMA_VERSION => RowError::Version(schema_version),
            _ => RowError::Json(error),
        })?;
        if row.schema_version != SCHEMA_VERSION {
            return Err(RowError::Version(row.schema_version));
        }
        can_be_followed(row.received_at_wall)?;
        Ok(Self(Form::Read(Box::new(row))))
    }

    /// One that stands in no line.
    pub(super) fn of(row: Row) -> Self {
        Self(Form::Read(Box::new(row)))
    }

    /// The row itself.
    #[must_use]
    pub fn row(self) -> Row {
        match self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.row(),
            Form::Read(row) => *row,
        }
    }

    /// Appends the line of the row, with its end, as [`Row::to_line`] has it.
    pub fn write_line(&self, to: &mut Vec<u8>) {
        match &self.0 {
            Form::Written(line, _) => {
                to.extend_from_slice(line.as_bytes());
                to.push(b'\n');
            }
            Form::Plain(plain) => to.extend_from_slice(plain.row().to_line().as_bytes()),
            Form::Read(row) => to.extend_from_slice(row.to_line().as_bytes()),
        }
    }

    /// Who recorded it.
    #[must_use]
    pub fn host_id(&self) -> &str {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.host_id,
            Form::Read(row) => row.host_id.as_str(),
        }
    }

    /// Which of its host's it is.
    #[must_use]
    pub fn episode_id(&self) -> &str {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.episode_id,
            Form::Read(row) => row.episode_id.as_str(),
        }
    }

    /// When the receiver had it.
    #[must_use]
    pub fn received_at_wall(&self) -> Timestamp {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.received_at_wall,
            Form::Read(row) => row.received_at_wall,
        }
    }

    /// How many bytes are stored; `None` of one that is withdrawn.
    #[must_use]
    pub fn stored_bytes(&self) -> Option<u64> {
        self.withdrawn().is_none().then(|| self.size_bytes())
    }

    /// The commit it was recorded with, or shipped by.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.commit,
            Form::Read(row) => row.commit.as_ref().map(Commit::as_str),
        }
    }

    /// Why it was let in without being accepted by the gate; `None` where it was accepted.
    #[must_use]
    pub fn gate(&self) -> Option<Gate> {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.gate,
            Form::Read(row) => row.gate,
        }
    }

    /// Whether its row was made from its archive.
    #[must_use]
    pub fn backfilled(&self) -> bool {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.backfilled,
            Form::Read(row) => row.backfilled,
        }
    }

    /// How many bytes the row says it has; those of one that is withdrawn lie elsewhere.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => plain.size_bytes,
            Form::Read(row) => row.size_bytes,
        }
    }

    /// Why it is withdrawn.
    #[must_use]
    pub fn withdrawn(&self) -> Option<&str> {
        match &self.0 {
            Form::Written(..) | Form::Plain(_) => None,
            Form::Read(row) => row.withdrawn.as_deref(),
        }
    }

    /// What it says of its key; `None` of one that says that the key has no row from here on.
    pub(super) fn says(&self) -> Option<Says> {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => Some(Says::stored(plain.sha256_begin())),
            Form::Read(row) => row.says(),
        }
    }

    /// What it says of the lines before it.
    pub(super) fn word(&self) -> Word {
        match &self.0 {
            Form::Written(_, plain) | Form::Plain(plain) => Word::Stored(plain.received_at_wall),
            Form::Read(row) => row.word(),
        }
    }

    /// What its key is known by.
    pub(super) fn print(&self) -> Print {
        print_of(self.host_id(), self.episode_id())
    }

    /// Whether it is asked for.
    pub(super) fn is_wanted(&self, ask: &PageAsk) -> bool {
        ask.wants_those(self.host_id(), self.received_at_wall())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            backfilled: true,
            commit: Some("a".repeat(40).parse().unwrap()),
            content_sha256: Some(Sha256Digest::new([1; 32])),
            episode_id: EpisodeId::new("ep-1").unwrap(),
            gate: Some(Gate::Off),
            host_id: HostId::new("lab-1").unwrap(),
            received_at_wall: "2026-08-11T10:15:00.25Z".parse().unwrap(),
            removed: Some("its episode was lost".to_owned()),
            schema_version: SCHEMA_VERSION,
            sha256: Sha256Digest::new([2; 32]),
            size_bytes: 123,
            withdrawn: Some("recorded with the lens cap on".to_owned()),
        }
    }

    #[test]
    fn a_row_is_one_line_with_its_keys_sorted_and_comes_back() {
        let line = row().to_line();
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        assert!(object.keys().is_sorted(), "{line}");
        assert_eq!(object.len(), 12);
        assert_eq!(Row::from_line(line.trim_end().as_bytes()).unwrap(), row());
    }

    #[test]
    fn a_line_of_an_older_receiver_is_a_row_without_the_newer_fields() {
        let line = format!(
            r#"{{"schema_version":1,"host_id":"lab-1","episode_id":"ep-1","sha256":"{}","size_bytes":5,"received_at_wall":"2024-05-01T00:00:00+00:00","storage":"local"}}"#,
            "AB".repeat(32)
        );
        let old = Row::from_line(line.as_bytes()).unwrap();
        assert_eq!((old.commit.as_ref(), old.content_sha256, old.backfilled), (None, None, false));
        assert_eq!(old.sha256.to_string(), "ab".repeat(32), "hashes are in lower case from here on");
    }

    #[test]
    fn a_field_that_may_be_left_out_may_be_null() {
        let plain = Row { removed: None, withdrawn: None, ..row() };
        for name in ["backfilled", "commit", "content_sha256", "gate", "removed", "withdrawn"] {
            for of in [&plain, &Row { withdrawn: Some("lens cap".to_owned()), ..plain.clone() }] {
                let mut fields = serde_json::to_value(of).unwrap();
                fields[name] = serde_json::Value::Null;
                let read = Row::from_line(fields.to_string().as_bytes()).unwrap();
                fields.as_object_mut().unwrap().remove(name);
                assert_eq!(read, Row::from_line(fields.to_string().as_bytes()).unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_row_says_why() {
        let mut other = row();
        other.schema_version = 2;
        let said = |line: &str| Row::from_line(line.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(other.to_line().trim_end()), "it is of schema version 2, expected 1");
        assert_eq!(said(r#"{"schema_version":3,"of":"later"}"#), "it is of schema version 3, expected 1");
        assert_eq!(said("{\"host_id\""), "it is no row");
        assert_eq!(said(&row().to_line().replace("lab-1", "../lab")), "it is no row");
        assert_eq!(said(&" ".repeat(LINE_BYTES_MAX + 1)), "it is longer than 16384 bytes");
    }

    #[test]
    fn a_time_that_nothing_can_follow_is_none_of_a_row() {
        for of in [row(), Row { removed: None, withdrawn: None, gate: None, ..row() }] {
            let read = |at: &str| {
                Row::from_line(
                    Row { received_at_wall: at.parse().unwrap(), ..of.clone() }.to_line().trim_end().as_bytes(),
                )
            };
            assert!(read("9999-12-29T22:00:00Z").is_ok());
            for late in ["9999-12-29T22:00:01Z", "9999-12-30T22:00:00.999999999Z"] {
                let told = read(late).unwrap_err().to_string();
                assert_eq!(told, format!("its time is {late}, after which nothing can be dated"));
            }
        }
    }

    #[test]
    fn a_commit_is_forty_or_sixty_four_digits() {
        assert_eq!("AB".repeat(20).parse::<Commit>().unwrap().as_str(), "ab".repeat(20));
        assert!("ab".repeat(32).parse::<Commit>().is_ok());
        for bad in ["", "HEAD", &"a".repeat(39), &"g".repeat(40), &"a".repeat(41)] {
            assert!(bad.parse::<Commit>().is_err(), "{bad:?}");
        }
    }
}
