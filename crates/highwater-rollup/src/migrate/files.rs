//! The files of a directory, numbered. Owns which files are migrations, and the checksum of each.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Longest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest of all files together, in bytes.
pub const ALL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most files of a directory.
pub const FILES_MAX: usize = 20_000;
/// Most digits of a number: those of a time to the second, and some.
const DIGITS_MAX: usize = 18;

/// The steps of a directory, by number.
#[derive(Debug)]
pub struct Files {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub number: i64,
    /// What it does, as its name says.
    pub name: String,
    /// The file's name.
    pub file: String,
    /// SHA-256 of the text in hexadecimal, without a byte order mark and with its lines ended by LF: a checkout with other line
    /// ends is no other text. For all other files it is what `sha256sum` says.
    pub sha256: String,
    /// The file, as it is.
    pub(super) bytes: Vec<u8>,
}

/// Why a directory holds no migrations.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It, or a file of it, cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that looks like a migration has no number.
    #[error("{file} has no number, expected NUMBER_NAME.up.sql; rename it, or move it out of the directory")]
    NoNumber {
        /// The file.
        file: String,
    },
    /// Two files have one number.
    #[error("{first} and {second} have the same number {number}: give the later one a number of its own")]
    Duplicate {
        /// The number.
        number: i64,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// It is no file, or lies elsewhere.
    #[error("{file} is {found}, expected a file in the directory")]
    NoFile {
        /// The name.
        file: String,
        /// What it is.
        found: &'static str,
    },
    /// It is too long.
    #[error("{what} has more than {max} bytes: load so much data by another way")]
    TooLong {
        /// Which, or all of them.
        what: String,
        /// The limit, in bytes.
        max: u64,
    },
    /// There are too many.
    #[error("there are more than {FILES_MAX} files, expected a directory of migrations")]
    TooMany,
}

/// Reads the migrations of a directory: `NUMBER_NAME.up.sql` or `NUMBER_NAME.sql`. Those that end in `.down.sql` are for going
/// back, which nobody does here; whatever does not end in `.sql`, and hidden files, are something else.
///
/// # Errors
/// [`FilesError`].
pub fn read(directory: &Path) -> Result<Files, FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FilesError::Read { path, source }
    };
    let root = fs::canonicalize(directory).map_err(failed(directory))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&root).map_err(failed(directory))? {
        let name = entry.map_err(failed(directory))?.file_name();
        // A name that is not UTF-8 is told like one without a number.
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".sql") && !name.ends_with(".down.sql") && !name.starts_with('.') {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            return Err(FilesError::TooMany);
        }
    }
    names.sort();
    let (mut steps, mut all) = (Vec::<Step>::new(), 0);
    for file in names {
        let Some((number, name)) = numbered(&file) else { return Err(FilesError::NoNumber { file }) };
        let bytes = content(&root, &file)?;
        all += bytes.len() as u64;
        if all > ALL_BYTES_MAX {
            return Err(FilesError::TooLong { what: "the directory".to_owned(), max: ALL_BYTES_MAX });
        }
        steps.push(Step { number, name, sha256: checksum(&bytes), file, bytes });
    }
    steps.sort_by_key(|step| step.number);
    if let Some([first, second]) = steps.array_windows().find(|[first, second]| first.number == second.number) {
        let (first, second) = (first.clone(), second.clone());
        return Err(FilesError::Duplicate { number: first.number, first: first.file, second: second.file });
    }
    Ok(Files { steps })
}

/// The number and the name of `NUMBER_NAME.up.sql`.
fn numbered(file: &str) -> Option<(i64, String)> {
    let stem = file.strip_suffix(".sql")?;
    let stem = stem.strip_suffix(".up").unwrap_or(stem);
    let (number, name) = stem.split_once('_')?;
    let is_number =
        !number.is_empty() && number.len() <= DIGITS_MAX && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Some((number.parse().ok()?, name.to_owned())) } else { None }
}

fn content(root: &Path, file: &str) -> Result<Vec<u8>, FilesError> {
    let path = root.join(file);
    let failed = |source| FilesError::Read { path: path.clone(), source };
    let real = fs::canonicalize(&path).map_err(failed)?;
    if !real.starts_with(root) {
        return Err(FilesError::NoFile { file: file.to_owned(), found: "a link out of the directory" });
    }
    // Asked of the name first: opening a pipe would wait for its writer.
    if !fs::metadata(&real).map_err(failed)?.is_file() {
        return Err(FilesError::NoFile { file: file.to_owned(), found: "no regular file" });
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(&real).map_err(failed)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FilesError::TooLong { what: file.to_owned(), max: FILE_BYTES_MAX });
    }
    Ok(bytes)
}

/// The mark that some editors begin a file with.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

fn checksum(bytes: &[u8]) -> String {
    let mut rest = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut digest = Sha256::new();
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        digest.update(&rest[..at]);
        rest = &rest[at + 1..];
    }
    digest.update(rest);
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests;
