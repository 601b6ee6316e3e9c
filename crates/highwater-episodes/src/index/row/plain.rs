//! A row that stays in its line: nothing of it is copied until it is wanted. Owns the very form in which rows are written here, which is
//! read without a reader of JSON; what deviates from it by a byte, as rows of other receivers do, is left to that one. Whatever is
//! read here is what would be read of it as a [`Row`].

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::{Commit, Gate, Row, SCHEMA_VERSION};
use crate::digest::{DIGEST_BYTES, Sha256Digest};
use crate::name::{EpisodeId, HostId, is_name};

/// Hexadecimal digits of a digest.
const DIGEST_CHARS: usize = 2 * DIGEST_BYTES;
/// Digits of a commit.
const COMMIT_CHARS: [usize; 2] = [40, 64];
/// Most digits of a second's fraction.
const FRACTION_DIGITS_MAX: usize = 9;
/// Most digits of a size that cannot be too large.
const SIZE_DIGITS_MAX: usize = 19;

/// A row that still lies in its line. Tombstones have texts of people in them, and are never read so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index) struct Plain<'l> {
    pub(in crate::index) backfilled: bool,
    pub(in crate::index) commit: Option<&'l str>,
    content_sha256: Option<&'l str>,
    pub(in crate::index) episode_id: &'l str,
    pub(in crate::index) gate: Option<Gate>,
    pub(in crate::index) host_id: &'l str,
    pub(in crate::index) received_at_wall: Timestamp,
    sha256: &'l str,
    pub(in crate::index) size_bytes: u64,
}

impl<'l> Plain<'l> {
    /// The first eight bytes of the SHA-256, as a number.
    pub(in crate::index) fn sha256_begin(&self) -> u64 {
        u64::from_str_radix(&self.sha256[..16], 16).expect("invariant: it was read as hexadecimal digits")
    }

    /// Reads a line without its end that is in the form in which rows are written; `None` where it is of another, or no row.
    pub(in crate::index) fn read(line: &'l str) -> Option<Self> {
        let mut rest = Rest(line.strip_prefix('{')?);
        let backfilled = rest.passes("\"backfilled\":true,");
        let commit = match rest.passes("\"commit\":\"") {
            true => Some(rest.text().filter(|text| is_commit(text))?),
            false => None,
        };
        let content_sha256 = match rest.passes("\"content_sha256\":\"") {
            true => Some(rest.digest()?),
            false => None,
        };
        rest.must("\"episode_id\":\"")?;
        let episode_id = rest.text().filter(|text| is_name(text))?;
        let gate = match rest.passes("\"gate\":\"") {
            true => Some([Gate::Off, Gate::Allowed].into_iter().find(|gate| {
                let passed = rest.0.strip_prefix(gate.word()).and_then(|rest| rest.strip_prefix("\","));
                passed.inspect(|passed| rest.0 = passed).is_some()
            })?),
            false => None,
        };
        rest.must("\"host_id\":\"")?;
        let host_id = rest.text().filter(|text| is_name(text))?;
        rest.must("\"received_at_wall\":\"")?;
        let received_at_wall = moment(rest.text()?.strip_suffix('Z')?)?;
        rest.must("\"schema_version\":1,")?;
        rest.must("\"sha256\":\"")?;
        let sha256 = rest.digest()?;
        rest.must("\"size_bytes\":")?;
        let digits = rest.0.strip_suffix('}')?;
        let is_number = (1..=SIZE_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        let size_bytes = is_number.then(|| digits.parse().ok()).flatten()?;
        Some(Self {
            backfilled,
            commit,
            content_sha256,
            episode_id,
            gate,
            host_id,
            received_at_wall,
            sha256,
            size_bytes,
        })
    }

    /// Reads a line without its end whose texts can stay where they are, in whatever order and however they are set apart; `None` for
    /// others, for tombstones, and for what is no row.
    pub(in crate::index) fn of_json(line: &'l str) -> Option<Self> {
        let fields: Fields<'l> = serde_json::from_str(line).ok()?;
        let is_digest = |text: &str| text.len() == DIGEST_CHARS && is_hex(text);
        let is_of_this_form = fields.schema_version == SCHEMA_VERSION
            && fields.removed.is_none()
            && fields.withdrawn.is_none()
            && fields.commit.is_none_or(is_commit)
            && fields.content_sha256.is_none_or(is_digest)
            && is_digest(fields.sha256)
            && is_name(fields.episode_id)
            && is_name(fields.host_id);
        if !is_of_this_form {
            return None;
        }
        let at = fields.received_at_wall;
        let in_utc = at.strip_suffix('Z').or_else(|| at.strip_suffix("+00:00"));
        let received_at_wall = in_utc.and_then(moment).or_else(|| at.parse().ok())?;
        Some(Self {
            backfilled: fields.backfilled,
            commit: fields.commit,
            content_sha256: fields.content_sha256,
            episode_id: fields.episode_id,
            gate: fields.gate,
            host_id: fields.host_id,
            received_at_wall,
            sha256: fields.sha256,
            size_bytes: fields.size_bytes,
        })
    }

    /// The row itself.
    pub(in crate::index) fn row(&self) -> Row {
        let checked = "invariant: what is in a line of this form was checked";
        let digest = |text: &str| text.parse::<Sha256Digest>().expect(checked);
        Row {
            backfilled: self.backfilled,
            commit: self.commit.map(|text| text.parse::<Commit>().expect(checked)),
            content_sha256: self.content_sha256.map(digest),
            episode_id: EpisodeId::new(self.episode_id).expect(checked),
            gate: self.gate,
            host_id: HostId::new(self.host_id).expect(checked),
            received_at_wall: self.received_at_wall,
            removed: None,
            schema_version: SCHEMA_VERSION,
            sha256: digest(self.sha256),
            size_bytes: self.size_bytes,
            withdrawn: None,
        }
    }
}

/// The fields of a [`Row`], as they lie in a line: a text with something escaped in it cannot.
#[derive(Deserialize)]
struct Fields<'l> {
    #[serde(default, deserialize_with = "false_where_null")]
    backfilled: bool,
    commit: Option<&'l str>,
    content_sha256: Option<&'l str>,
    episode_id: &'l str,
    gate: Option<Gate>,
    host_id: &'l str,
    received_at_wall: &'l str,
    removed: Option<IgnoredAny>,
    schema_version: u32,
    sha256: &'l str,
    size_bytes: u64,
    withdrawn: Option<IgnoredAny>,
}

/// Some write every field of a row, and null in those that it does not have.
pub(super) fn false_where_null<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(from)?.unwrap_or_default())
}

/// What of a line is not read yet.
struct Rest<'l>(&'l str);

impl<'l> Rest<'l> {
    fn passes(&mut self, expected: &str) -> bool {
        self.must(expected).is_some()
    }

    fn must(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// Up to the quote that ends it, and the comma behind. What is escaped is no text of this form: all of them are plain letters and digits.
    fn text(&mut self) -> Option<&'l str> {
        let end = memchr::memchr(b'"', self.0.as_bytes())?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix("\",")?;
        Some(text)
    }

    fn digest(&mut self) -> Option<&'l str> {
        let (text, rest) = self.0.split_at_checked(DIGEST_CHARS)?;
        self.0 = rest.strip_prefix("\",")?;
        is_hex(text).then_some(text)
    }
}

/// A commit as it is written: in lower case.
fn is_commit(text: &str) -> bool {
    COMMIT_CHARS.contains(&text.len()) && is_hex(text)
}

/// Hexadecimal digits as they are written: in lower case.
fn is_hex(text: &str) -> bool {
    // Each of them, without a branch, so that many are looked at at once.
    text.bytes().fold(true, |all, byte| all & (byte.is_ascii_digit() | matches!(byte, b'a'..=b'f')))
}

/// A time in UTC as it is written, but for the `Z`: its fraction is without trailing zeros.
fn moment(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (whole, fraction) = bytes.split_at_checked(19)?;
    let number = |from: usize, to: usize| {
        let digits = &whole[from..to];
        let add = |number: i16, byte: &u8| number * 10 + i16::from(byte - b'0');
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, add))
    };
    let small = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    if [whole[4], whole[7], whole[10], whole[13], whole[16]] != *b"--T::" {
        return None;
    }
    let nanos = match fraction {
        b"" => 0,
        [b'.', digits @ ..] => {
            let fits = (1..=FRACTION_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            if !fits || digits.ends_with(b"0") {
                return None;
            }
            let mut nanos = 0;
            for at in 0..FRACTION_DIGITS_MAX {
                nanos = nanos * 10 + digits.get(at).map_or(0, |byte| i32::from(byte - b'0'));
            }
            nanos
        }
        _ => return None,
    };
    // Years of four digits below 1000 are left to the other reader, and so is a 60th second.
    let year = number(0, 4).filter(|year| *year >= 1_000)?;
    let civil = DateTime::new(year, small(5)?, small(8)?, small(11)?, small(14)?, small(17)?, nanos).ok()?;
    Offset::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn rows() -> impl Strategy<Value = Row> {
        let digest = any::<[u8; 32]>().prop_map(Sha256Digest::new);
        let commit = prop_oneof!["[0-9a-f]{40}", "[0-9a-f]{64}"].prop_map(|text| text.parse().unwrap());
        let gate = proptest::option::of(prop_oneof![Just(Gate::Off), Just(Gate::Allowed)]);
        let name = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}";
        let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
        let nanos = prop_oneof![Just(0), 0..1_000_000_000, (0..1_000).prop_map(|millis| millis * 1_000_000)];
        let size = prop_oneof![any::<u64>(), 0_u64..1_000_000];
        (
            (any::<bool>(), proptest::option::of(commit), proptest::option::of(digest.clone())),
            (name, gate, name, seconds, nanos),
            (digest, size),
        )
            .prop_map(
                |((backfilled, commit, content_sha256), (episode, gate, host, second, nanos), (sha256, size))| Row {
                    backfilled,
                    commit,
                    content_sha256,
                    episode_id: EpisodeId::new(episode).unwrap(),
                    gate,
                    host_id: HostId::new(host).unwrap(),
                    received_at_wall: Timestamp::new(second, nanos).unwrap_or(Timestamp::MAX),
                    removed: None,
                    schema_version: SCHEMA_VERSION,
                    sha256,
                    size_bytes: size,
                    withdrawn: None,
                },
            )
    }

    /// What the reader of JSON makes of it.
    fn by_json(line: &[u8]) -> Option<Row> {
        serde_json::from_slice::<Row>(line).ok().filter(|row| row.schema_version == SCHEMA_VERSION)
    }

    proptest! {
        #[test]
        fn what_is_read_is_the_row_that_was_written(row in rows()) {
            let line = row.to_line();
            let read = Plain::read(line.trim_end());
            // The far past and sizes beyond all disks are read too, by the reader of JSON.
            let is_usual = row.received_at_wall >= "1000-01-01T00:00:00Z".parse().unwrap() && row.size_bytes < 10_u64.pow(19);
            prop_assert_eq!(read.is_some(), is_usual, "{}", line);
            if let Some(read) = read {
                prop_assert_eq!(read.row(), row);
            }
        }

        /// Lines that are nearly rows: what is read here is what the reader of JSON reads, and what would be written for it.
        #[test]
        fn what_deviates_is_left_alone_or_read_as_the_reader_of_json_reads_it(
            row in rows(), at in any::<prop::sample::Index>(), by in any::<u8>(), how in 0..4,
        ) {
            let mut line = row.to_line().trim_end().as_bytes().to_vec();
            let at = at.index(line.len());
            match how {
                0 => line[at] = by,
                1 => line[at] = b"0a\"\\, :}"[usize::from(by) % 8],
                2 => drop(line.remove(at)),
                _ => line.insert(at, b"0af\"\\ ,9"[usize::from(by) % 8]),
            }
            let text = std::str::from_utf8(&line).ok();
            let by_json = by_json(&line);
            if let Some(row) = text.and_then(Plain::of_json).map(|read| read.row()) {
                prop_assert_eq!(Some(&row), by_json.as_ref());
            }
            if let Some(row) = text.and_then(Plain::read).map(|read| read.row()) {
                prop_assert_eq!(Some(&row), by_json.as_ref());
                line.push(b'\n');
                prop_assert_eq!(row.to_line().into_bytes(), line);
            }
        }

        /// Rows as other programs write them: in another order, with what is not known here, set apart by spaces, their times otherwise.
        #[test]
        fn what_others_wrote_is_read_where_it_lies(row in rows(), mut order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle()) {
            let Json::Object(mut fields) = serde_json::to_value(&row).unwrap() else { unreachable!() };
            let at = fields["received_at_wall"].as_str().unwrap().replace('Z', "+00:00");
            fields.insert("received_at_wall".to_owned(), at.into());
            fields.insert("storage".to_owned(), "a \"place\"".into());
            fields.insert("withdrawn".to_owned(), Json::Null);
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            order.retain(|at| *at < fields.len());
            let fields: Vec<_> = order.iter().map(|at| fields[*at].as_str()).collect();
            let line = format!("{{{}}}", fields.join(", "));
            prop_assert_eq!(Plain::read(&line), None);
            let read = Plain::of_json(&line).map(|read| read.row());
            prop_assert_eq!(read, Some(row), "{}", line);
        }
    }

    #[test]
    fn times_that_would_be_written_otherwise_are_left_to_the_reader_of_json() {
        let fine = ["2026-08-11T10:15:00", "2026-08-11T10:15:00.25", "2024-02-29T23:59:59.999999999"];
        for text in fine {
            assert_eq!(moment(text), Some(format!("{text}Z").parse().unwrap()), "{text}");
        }
        for text in [
            "2026-08-11T10:15:00.250",
            "2026-08-11T10:15:00.",
            "2026-08-11T10:15:00.1234567891",
            "2026-08-11T10:15:00+00:00",
            "2026-08-11T10:15:60",
            "2026-02-29T10:15:00",
            "2026-08-11T24:00:00",
            "2026-08-11 10:15:00",
            "0999-08-11T10:15:00",
            "2026-08-11T10:15",
            "20260811T101500",
            "2026-08-11T10:15:00Z",
            "",
            "ääääääääääZ",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
