//! Why a document is not converted, as a person reads it: each is a sentence about the document, which its reader puts behind
//! the document's name.

use std::io;
use std::path::PathBuf;

use highwater_engine::diagnosis::mends_disk;
use highwater_engine::exec::child::ChildError;
use highwater_engine::report::counted;

/// How many bytes of a converter's own words are told.
const SAID_CHARS_MAX: usize = 200;

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is something that nobody here reads.
    #[error("it is {0}")]
    NotRead(&'static str),
    /// It cannot be read without a password.
    #[error("it is encrypted: save it without a password first")]
    Encrypted,
    /// It shows images of pages and says no text.
    #[error("it has no text: scanned pages need OCR first")]
    Scanned,
    /// It says no text.
    #[error("it has no text")]
    NoText,
    /// Its fonts do not say which characters they show.
    #[error("its text cannot be read: its fonts do not say which characters they show; OCR it first")]
    Unreadable,
    /// Parts of it are lost.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It consists of things within things within things.
    #[error("it is nested too deeply")]
    Deep,
    /// A sheet of it has more rows or columns than a table may have.
    #[error("it has a sheet of {} and up to {}: more than a table may have", counted(*rows as u64, "row"), counted(*columns as u64, "column"))]
    Large {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// It says too much.
    #[error("its text is longer than {} MiB", limit >> 20)]
    LongText {
        /// How many bytes it may have.
        limit: u64,
    },
    /// It shows too many images, or too large ones.
    #[error("its images are more than {images} or larger than {} MiB together", bytes >> 20)]
    Images {
        /// How many they may be.
        images: u32,
        /// How many bytes they may have together.
        bytes: u64,
    },
}

impl Refusal {
    /// It is damaged, as its converter says it.
    pub(super) fn damaged(said: impl std::fmt::Display) -> Self {
        Self::Damaged(sentence(&said.to_string()))
    }
}

/// Why a document was not converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It is a symlink, which is not followed: what it leads to may be another's tomorrow.
    #[error("it is a symlink: name the file itself")]
    Symlink,
    /// It is no file.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// It became another while it was copied.
    #[error("it changed while it was read")]
    Changed,
    /// It is too large.
    #[error("it has {} MiB, more than the {} that are read", bytes.div_ceil(1 << 20), limit >> 20)]
    Large {
        /// How many bytes it has.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// Its conversion says what is wrong with it.
    #[error("{0}")]
    Refused(String),
    /// Its conversion used up its time.
    #[error("it took more than {secs} s")]
    Slow {
        /// How many it may take.
        secs: u64,
    },
    /// Its conversion used up its memory.
    #[error("it needed more than {} MiB of memory", limit >> 20)]
    Memory {
        /// How many bytes it may need.
        limit: u64,
    },
    /// Its conversion broke.
    #[error("its converter broke on it: {0}")]
    Crashed(String),
    /// What its conversion left cannot be believed.
    #[error("its converter gave what cannot be used: {0}")]
    Answer(String),
    /// The pass is to end.
    #[error("it was not converted: a signal came")]
    Stopped,
    /// The copy cannot be made, or what was converted cannot be read.
    #[error("{} cannot be used", path.display())]
    Disk {
        /// What is in the way.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// No process can be started for it.
    #[error("its converter cannot be run")]
    Process(#[source] ChildError),
}

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The document: a person must look at it.
    Document,
    /// The moment: the next attempt may fare better.
    Moment,
    /// This machine: no document can be converted on it.
    Machine,
    /// A word to stop.
    Stop,
}

impl ConvertError {
    /// What it is about.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Changed => Verdict::Moment,
            Self::Disk { .. } | Self::Process(_) => Verdict::Machine,
            Self::Stopped => Verdict::Stop,
            _ => Verdict::Document,
        }
    }

    /// What a person does where the disk is in the way, as far as that is known.
    #[must_use]
    pub fn mends(&self) -> Option<String> {
        match self {
            Self::Disk { path, .. } => mends_disk(self, path),
            _ => None,
        }
    }
}

/// What a library or a child says, as a part of a sentence: one line, no control characters, not too long.
pub(super) fn sentence(said: &str) -> String {
    let words: Vec<&str> =
        said.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SAID_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
