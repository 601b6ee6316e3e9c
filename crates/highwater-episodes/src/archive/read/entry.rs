//! The entries of a tar stream, one after the other. Owns what is read of a header and of what extends it, and which entries and
//! paths are refused.

use std::io::Read;

use super::frames::Frames;
use super::{EntryFault, Limits, ReadError};
use crate::archive::header::{BLOCK_BYTES, HeaderError, Seen};
use crate::archive::{pax, shown};
use crate::name::EpisodeId;

/// Longest PAX header, in bytes: room for a path and for the attributes that others keep there.
const EXTENSION_BYTES_MAX: usize = 256 << 10;
/// Most headers that extend one entry.
const EXTENSIONS_MAX: u32 = 4;
/// Most zeros behind the end, in bytes: tar writes whole records, of 10 KiB where nobody says otherwise.
const END_BYTES_MAX: u64 = 1 << 20;
/// Between the names of a path.
const SEPARATOR: u8 = b'/';

/// An entry that has its place in an episode.
#[derive(Debug)]
pub(super) struct Entry {
    path: Vec<u8>,
    top_bytes: usize,
    pub(super) dir: bool,
    pub(super) executable: bool,
    pub(super) size: u64,
    pub(super) mtime_secs: i64,
}

impl Entry {
    /// Its path below the episode's directory; empty of that directory itself.
    pub(super) fn below(&self) -> &[u8] {
        self.path.get(self.top_bytes..).unwrap_or_default()
    }
}

/// What headers before an entry say of it.
#[derive(Debug, Default)]
struct Extension {
    headers: u32,
    pax_path: Option<Vec<u8>>,
    gnu_path: Option<Vec<u8>>,
    size: Option<u64>,
    mtime_secs: Option<i64>,
    sparse: bool,
}

/// The entries of an archive.
pub(super) struct Entries<'r, R> {
    frames: Frames<'r, R>,
    limits: Limits,
    top: String,
    /// Which entry is read, counted from 1; headers that extend one are no entries of their own.
    entry: u64,
    paths_bytes: usize,
    padding: u64,
}

impl<'r, R: Read> Entries<'r, R> {
    pub(super) fn new(frames: Frames<'r, R>, limits: Limits, episode: &EpisodeId) -> Self {
        Self { frames, limits, top: episode.to_string(), entry: 0, paths_bytes: 0, padding: 0 }
    }

    pub(super) fn into_frames(self) -> Frames<'r, R> {
        self.frames
    }

    /// The next entry, whose bytes are to be taken by [`Self::body`]; `None` behind the last, when the stream was read to its end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        self.entry += 1;
        let mut extension = Extension::default();
        loop {
            self.skip(self.padding)?;
            self.padding = 0;
            let block = self.block()?;
            if block == [0; BLOCK_BYTES] {
                if extension.headers > 0 {
                    return self.fault(EntryFault::Missing);
                }
                self.end()?;
                return Ok(None);
            }
            if self.entry > self.limits.entries {
                return Err(ReadError::Entries { limit: self.limits.entries });
            }
            let seen = Seen::new(block).or_else(|error| self.fault(EntryFault::Header(error)))?;
            let size = seen.size().or_else(|error| self.fault(EntryFault::Header(error)))?;
            match seen.kind() {
                kind @ (b'x' | b'g' | b'L') => {
                    extension.headers += 1;
                    if extension.headers > EXTENSIONS_MAX {
                        return self.fault(EntryFault::Extensions { limit: EXTENSIONS_MAX });
                    }
                    let most = if kind == b'L' { self.limits.path_bytes + 1 } else { EXTENSION_BYTES_MAX };
                    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= most) else {
                        return self.fault(EntryFault::ExtensionBytes { limit: most });
                    };
                    let mut bytes = Vec::with_capacity(size);
                    self.body(size as u64, |part| bytes.extend_from_slice(part))?;
                    let taken = match kind {
                        b'L' => extension.long_name(bytes),
                        b'g' => extension.of_all(&bytes),
                        _ => extension.of_next(&bytes),
                    };
                    taken.or_else(|fault| self.fault(fault))?;
                }
                _ => return self.entry(&seen, extension).map(Some),
            }
        }
    }

    /// Hands on the bytes of the entry, part by part.
    pub(super) fn body(&mut self, size: u64, mut part: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let mut left = size;
        while left > 0 {
            let bytes = self.some()?;
            let bytes = &bytes[..usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())];
            part(bytes);
            let used = bytes.len();
            self.frames.used(used);
            left -= used as u64;
        }
        // What is behind it belongs to it, but a size of nearly 2^64 has no whole blocks.
        self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
        Ok(())
    }

    fn entry(&mut self, seen: &Seen, extension: Extension) -> Result<Entry, ReadError> {
        let path = extension.pax_path.or(extension.gnu_path).unwrap_or_else(|| seen.path());
        let at = |fault| ReadError::Entry { entry: self.entry, path: Some(shown(&path)), fault };
        let of_header = |error: HeaderError| at(EntryFault::Header(error));
        // Before there was a kind for it, a directory was a file whose name ends in a slash.
        let dir = match seen.kind() {
            b'5' => true,
            b'0' | 0 => path.ends_with(b"/"),
            b'1' | b'2' | b'K' => return Err(at(EntryFault::Link)),
            b'3' | b'4' | b'6' => return Err(at(EntryFault::Device)),
            b'S' => return Err(at(EntryFault::Sparse)),
            other => return Err(at(EntryFault::Foreign(char::from(other)))),
        };
        if extension.sparse {
            return Err(at(EntryFault::Sparse));
        }
        let size = extension.size.map_or_else(|| seen.size().map_err(of_header), Ok)?;
        if dir && size > 0 {
            return Err(at(EntryFault::DirBytes(size)));
        }
        let mtime_secs = extension.mtime_secs.map_or_else(|| seen.mtime_secs().map_err(of_header), Ok)?;
        let executable = seen.executable().map_err(of_header)?;
        let path = self.placed(&path, dir).map_err(at)?;
        self.paths_bytes += path.len();
        if self.paths_bytes > self.limits.paths_bytes {
            return Err(ReadError::Paths { limit: self.limits.paths_bytes as u64 });
        }
        Ok(Entry { path, top_bytes: self.top.len() + 1, dir, executable, size, mtime_secs })
    }

    /// The path without what may stand around it, if it has its place below the episode's directory.
    fn placed(&self, path: &[u8], dir: bool) -> Result<Vec<u8>, EntryFault> {
        let limit = self.limits.path_bytes;
        if path.len() > limit {
            return Err(EntryFault::PathBytes { limit });
        }
        if path.contains(&0) {
            return Err(EntryFault::Nul);
        }
        if path.starts_with(&[SEPARATOR]) {
            return Err(EntryFault::Absolute);
        }
        // `tar -c ./EPISODE` writes it in front of each.
        let path = path.strip_prefix(b"./").unwrap_or(path);
        let path = if dir { path.strip_suffix(&[SEPARATOR]).unwrap_or(path) } else { path };
        for component in path.split(|byte| *byte == SEPARATOR) {
            match component {
                b".." => return Err(EntryFault::Parent),
                b"" | b"." => return Err(EntryFault::Component),
                _ => {}
            }
        }
        let below = path.strip_prefix(self.top.as_bytes());
        let inside = below.is_some_and(|below| below.first() == Some(&SEPARATOR) || (below.is_empty() && dir));
        if inside {
            return Ok(path.to_vec());
        }
        let first = path.split(|byte| *byte == SEPARATOR).next().unwrap_or_default();
        let found = String::from_utf8(first.to_vec()).ok();
        Err(EntryFault::Outside { top: self.top.clone(), found })
    }

    /// What follows the first block of zeros: another one, and nothing but zeros.
    fn end(&mut self) -> Result<(), ReadError> {
        if self.block()? != [0; BLOCK_BYTES] {
            return Err(ReadError::Trailing);
        }
        let mut zeros = 0;
        loop {
            let bytes = self.frames.peek(self.entry)?;
            if bytes.is_empty() {
                return Ok(());
            }
            zeros += bytes.len() as u64;
            if zeros > END_BYTES_MAX || bytes.iter().any(|byte| *byte != 0) {
                return Err(ReadError::Trailing);
            }
            let used = bytes.len();
            self.frames.used(used);
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK_BYTES], ReadError> {
        let (mut block, mut filled) = ([0; BLOCK_BYTES], 0);
        while filled < BLOCK_BYTES {
            let bytes = self.some()?;
            let used = bytes.len().min(BLOCK_BYTES - filled);
            block[filled..filled + used].copy_from_slice(&bytes[..used]);
            self.frames.used(used);
            filled += used;
        }
        Ok(block)
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), ReadError> {
        while bytes > 0 {
            let used = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.some()?.len());
            self.frames.used(used);
            bytes -= used as u64;
        }
        Ok(())
    }

    /// At least one byte of the stream, which is not at its end.
    fn some(&mut self) -> Result<&[u8], ReadError> {
        let (at, entry) = (self.frames.at(), self.entry);
        let bytes = self.frames.peek(entry)?;
        if bytes.is_empty() { Err(ReadError::Truncated { at, entry }) } else { Ok(bytes) }
    }

    /// What is wrong with an entry whose path is not known yet.
    fn fault<T>(&self, fault: EntryFault) -> Result<T, ReadError> {
        Err(ReadError::Entry { entry: self.entry, path: None, fault })
    }
}

impl Extension {
    /// GNU's way to write a long name: as the bytes of an entry before, ended by a NUL.
    fn long_name(&mut self, mut bytes: Vec<u8>) -> Result<(), EntryFault> {
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        self.gnu_path = Some(bytes);
        Ok(())
    }

    fn of_next(&mut self, mut records: &[u8]) -> Result<(), EntryFault> {
        while let Some((key, value)) = pax::take(&mut records).map_err(|()| EntryFault::Pax("header"))? {
            match key {
                b"path" => self.pax_path = Some(value.to_vec()),
                b"size" => self.size = Some(whole(value).ok_or(EntryFault::Pax("size"))?),
                b"mtime" => self.mtime_secs = Some(seconds(value).ok_or(EntryFault::Pax("mtime"))?),
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// A header for all entries to come, as `git archive` writes one with a comment in it. Of what counts here it may say nothing.
    fn of_all(&mut self, mut records: &[u8]) -> Result<(), EntryFault> {
        while let Some((key, _)) = pax::take(&mut records).map_err(|()| EntryFault::Pax("header"))? {
            if matches!(key, b"path" | b"size" | b"mtime") || key.starts_with(b"GNU.sparse.") {
                return Err(EntryFault::Pax("header for all entries"));
            }
        }
        Ok(())
    }
}

fn whole(text: &[u8]) -> Option<u64> {
    // `parse` would take a plus sign.
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Seconds with a fraction, rounded down.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (secs, fraction) = (i64::try_from(whole(&text[..dot])?).ok()?, text.get(dot + 1..).unwrap_or_default());
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let rest = fraction.iter().any(|digit| *digit != b'0');
    Some(if negative { -secs - i64::from(rest) } else { secs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down_as_a_disk_has_them() {
        for (text, secs) in [
            ("0", Some(0)),
            ("1700000000.999999999", Some(1_700_000_000)),
            ("-0.5", Some(-1)),
            ("-7.000", Some(-7)),
            ("5.", Some(5)),
            ("", None),
            (".5", None),
            ("+5", None),
            ("1e9", None),
            ("--5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), secs, "{text}");
        }
    }
}
