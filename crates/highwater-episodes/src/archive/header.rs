//! The header of an entry: one block of 512 bytes, with PAX records before it where it has no room. Owns how ours are written and
//! what is read out of those that others wrote; which entries are taken is the reader's.
//!
//! # Source
//! POSIX.1-2017, `pax`, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format" (numbers in base 256, magic).

use super::pax;

/// A tar archive is made of blocks of so many bytes.
pub(super) const BLOCK_BYTES: usize = 512;
/// Most that the headers of one entry of ours take: PAX header, its records, ustar header.
pub(super) const HEADERS_BYTES_MAX: usize = 2 * BLOCK_BYTES + super::PATH_BYTES_MAX + 2 * BLOCK_BYTES;
/// What the size field of a ustar header holds: 11 octal digits.
const SIZE_OCTAL_MAX: u64 = (1 << 33) - 1;
/// What its time field holds.
const MTIME_OCTAL_MAX: i64 = (1 << 33) - 1;
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
/// The name of a header that holds PAX records; only readers that know none see it. Python's has the same.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// One entry of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'p> {
    /// As it stands in the archive; a directory's ends in `/`.
    pub(super) path: &'p [u8],
    pub(super) executable: bool,
    pub(super) size: u64,
    pub(super) mtime_secs: i64,
}

impl Head<'_> {
    /// Writes the blocks before the entry's bytes.
    pub(super) fn write(&self, blocks: &mut Vec<u8>) {
        let dir = self.path.ends_with(b"/");
        let mut records = Vec::new();
        let mut place = |fits: bool, key: &str, value: &[u8]| {
            if !fits {
                pax::write(&mut records, key, value);
            }
        };
        let split = split(self.path);
        let size_fits = self.size <= SIZE_OCTAL_MAX;
        let mtime_fits = (0..=MTIME_OCTAL_MAX).contains(&self.mtime_secs);
        place(mtime_fits, "mtime", self.mtime_secs.to_string().as_bytes());
        place(split.is_some(), "path", self.path);
        place(size_fits, "size", self.size.to_string().as_bytes());
        if !records.is_empty() {
            block(blocks, (b"", PAX_NAME), 0o644, records.len() as u64, 0, b'x');
            blocks.extend_from_slice(&records);
            blocks.resize(blocks.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        let names = split.unwrap_or((b"", &self.path[..self.path.len().min(NAME_BYTES)]));
        let mode = if dir || self.executable { 0o755 } else { 0o644 };
        let size = if size_fits { self.size } else { 0 };
        let mtime = if mtime_fits { self.mtime_secs.unsigned_abs() } else { 0 };
        block(blocks, names, mode, size, mtime, if dir { b'5' } else { b'0' });
    }
}

/// Prefix and name, if the path fits into both: the prefix as short as it can be.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((b"", path));
    }
    let from = path.len() - NAME_BYTES - 1;
    let slash = from + path[from..path.len() - 1].iter().position(|byte| *byte == b'/')?;
    (1..=PREFIX_BYTES).contains(&slash).then(|| (&path[..slash], &path[slash + 1..]))
}

/// Writes one ustar header: owned by nobody, with its checksum.
fn block(blocks: &mut Vec<u8>, (prefix, name): (&[u8], &[u8]), mode: u64, size: u64, mtime: u64, kind: u8) {
    let mut block = [0; BLOCK_BYTES];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{mtime:011o}").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(329, b"0000000");
    put(337, b"0000000");
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    blocks.extend_from_slice(&block);
}

/// A header that somebody wrote.
#[derive(Debug)]
pub(super) struct Seen {
    block: [u8; BLOCK_BYTES],
    posix: bool,
}

/// A block that is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Its checksum is wrong.
    #[error("its header has a wrong checksum")]
    Checksum,
    /// Neither of ustar nor of GNU tar, nor older than both.
    #[error("its header is of no known format")]
    Magic,
    /// A field that is no number, or one too large.
    #[error("the {0} in its header is no number")]
    Number(&'static str),
}

impl Seen {
    /// Takes a block for a header if its checksum is right.
    pub(super) fn new(block: [u8; BLOCK_BYTES]) -> Result<Self, HeaderError> {
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
        let sum = sum - own + 8 * u64::from(b' ');
        if number(&block[148..156]) != Some(i128::from(sum)) {
            return Err(HeaderError::Checksum);
        }
        let posix = match &block[257..265] {
            b"ustar\x0000" => true,
            b"ustar  \0" | [0, 0, 0, 0, 0, 0, 0, 0] => false,
            _ => return Err(HeaderError::Magic),
        };
        Ok(Self { block, posix })
    }

    pub(super) fn kind(&self) -> u8 {
        self.block[156]
    }

    /// The path in the header itself.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = text(&self.block[..NAME_BYTES]);
        // GNU tar keeps times where POSIX has the prefix.
        let prefix = if self.posix { text(&self.block[345..345 + PREFIX_BYTES]) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn size(&self) -> Result<u64, HeaderError> {
        self.field(124..136, "size")
    }

    pub(super) fn mtime_secs(&self) -> Result<i64, HeaderError> {
        self.field(136..148, "time")
    }

    /// Whether the owner may execute it.
    pub(super) fn executable(&self) -> Result<bool, HeaderError> {
        self.field::<u64>(100..108, "mode").map(|mode| mode & 0o100 != 0)
    }

    fn field<N: TryFrom<i128>>(&self, at: std::ops::Range<usize>, what: &'static str) -> Result<N, HeaderError> {
        number(&self.block[at]).and_then(|number| N::try_from(number).ok()).ok_or(HeaderError::Number(what))
    }
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal, with blanks around it, or in base 256; an empty field is 0.
fn number(field: &[u8]) -> Option<i128> {
    if let Some(first @ (0x80 | 0xff)) = field.first() {
        let sign = if *first == 0xff { -1 } else { 0 };
        return Some(field[1..].iter().fold(sign, |number, byte| (number << 8) | i128::from(*byte)));
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'7' => Some((number << 3) | i128::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &[u8], size: u64, mtime_secs: i64) -> Vec<u8> {
        let mut blocks = Vec::new();
        Head { path, executable: false, size, mtime_secs }.write(&mut blocks);
        assert!(blocks.len() <= HEADERS_BYTES_MAX && blocks.len().is_multiple_of(BLOCK_BYTES));
        blocks
    }

    fn seen(blocks: &[u8]) -> Seen {
        Seen::new(blocks.try_into().unwrap()).unwrap()
    }

    /// The records of a PAX header, and the header behind it.
    fn extended(blocks: &[u8]) -> (String, Seen) {
        let first = seen(&blocks[..BLOCK_BYTES]);
        assert_eq!(first.kind(), b'x');
        let (records, header) = blocks[BLOCK_BYTES..].split_at(blocks.len() - 2 * BLOCK_BYTES);
        let records = &records[..usize::try_from(first.size().unwrap()).unwrap()];
        (String::from_utf8_lossy(records).into_owned(), seen(header))
    }

    #[test]
    fn a_plain_entry_is_one_block_that_is_read_as_it_was_written() {
        let head = seen(&written(b"ep/a", 5, 1_700_000_000));
        assert_eq!(
            (head.path().as_slice(), head.kind(), head.size(), head.mtime_secs()),
            (&b"ep/a"[..], b'0', Ok(5), Ok(1_700_000_000))
        );
        assert_eq!(seen(&written(b"ep/a/", 0, 0)).kind(), b'5');
    }

    #[test]
    fn eight_gib_is_where_the_size_goes_into_a_record() {
        let largest = written(b"ep/a", SIZE_OCTAL_MAX, 0);
        assert_eq!((largest.len(), seen(&largest).size()), (BLOCK_BYTES, Ok(8_589_934_591)));
        let (records, header) = extended(&written(b"ep/a", 1 << 33, 0));
        assert_eq!((records.as_str(), header.size()), ("19 size=8589934592\n", Ok(0)));
    }

    #[test]
    fn times_before_1970_and_after_2242_go_into_a_record() {
        assert_eq!(extended(&written(b"ep/a", 0, -7)).0, "12 mtime=-7\n");
        assert_eq!(extended(&written(b"ep/a", 0, 1 << 33)).0, "20 mtime=8589934592\n");
        assert_eq!(written(b"ep/a", 0, MTIME_OCTAL_MAX).len(), BLOCK_BYTES);
    }

    #[test]
    fn a_path_is_split_where_it_fits_and_else_goes_into_a_record() {
        let long = |dirs: usize, name: usize| [vec![b'd'; dirs], vec![b'/'], vec![b'n'; name]].concat();
        for (dirs, name) in [(1, 99), (155, 100), (60, 100), (155, 1)] {
            let path = long(dirs, name);
            let blocks = written(&path, 0, 0);
            assert_eq!((blocks.len(), seen(&blocks).path()), (BLOCK_BYTES, path), "{dirs} {name}");
        }
        for (dirs, name) in [(156, 100), (1, 101), (0, 100), (255, 255)] {
            let path = long(dirs, name);
            let (records, header) = extended(&written(&path, 0, 0));
            assert!(records.ends_with(&format!(" path={}\n", String::from_utf8_lossy(&path))), "{dirs} {name}");
            assert_eq!(header.path(), path[..NAME_BYTES]);
        }
        let dir = [long(155, 99), vec![b'/']].concat();
        assert_eq!(seen(&written(&dir, 0, 0)).path(), dir);
        assert_eq!(written(&vec![b'p'; crate::archive::PATH_BYTES_MAX + 1], u64::MAX, i64::MIN).len() % BLOCK_BYTES, 0);
    }

    #[test]
    fn numbers_are_read_as_others_write_them() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"644\0\0\0\0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777", Some(0o77_777_777)),
            (b"\x80\0\0\0\x02\0\0\0\0", Some(1 << 33)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xf9", Some(-7)),
            (b"9\0", None),
            (b"-1\0", None),
            (b"1 1\0", None),
            (b"\xfe\0\0", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }

    #[test]
    fn a_block_that_was_changed_is_no_header() {
        let blocks = written(b"ep/a", 5, 0);
        for at in [0, 100, 130, 150, 156, 400] {
            let mut changed = blocks.clone();
            changed[at] ^= 1;
            assert_eq!(Seen::new(changed.try_into().unwrap()).unwrap_err(), HeaderError::Checksum, "{at}");
        }
    }
}
