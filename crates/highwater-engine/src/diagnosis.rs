//! What a person is told when something is wrong: one error that names code, file, line, field, what was found and
//! expected, and what to do next (R15). Owns the shape; each module that can fail makes its own.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Serialize, Serializer};

use crate::report::ExitCode;

/// A path as programs are told of it: what of its bytes is no text is `�`, as it is for people.
///
/// # Errors
/// What the serializer says.
pub fn told_path<S: Serializer>(path: &impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.as_ref().display())
}

fn told_path_if<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => told_path(path, serializer),
        None => serializer.serialize_none(),
    }
}

/// One error as a person sees it; `docs/errors/CODE.md` says more about each code.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Diagnosis {
    /// `HW-AREA-NNN`.
    pub code: &'static str,
    /// The file that is wrong, if one is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "told_path_if")]
    pub file: Option<PathBuf>,
    /// The line in it, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The field, dotted, or the argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// How the process ends.
    pub exit: ExitCode,
}

impl Diagnosis {
    /// A usage, configuration or input error: exit 2, nothing changed.
    #[must_use]
    pub fn refusal(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            code,
            file: None,
            line: None,
            field: None,
            message: message.into(),
            next: next.into(),
            exit: ExitCode::Refused,
        }
    }

    /// A bug or a failure of the environment: exit 1.
    #[must_use]
    pub fn failure(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit: ExitCode::Failed, ..Self::refusal(code, message, next) }
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The same where the message may name the file already, or something below it: it then stands once.
    #[must_use]
    pub fn in_file_once(self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        if self.message.contains(&*file.to_string_lossy()) { self } else { self.in_file(file) }
    }

    /// Names the line, counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Names the field or argument.
    #[must_use]
    pub fn at_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Where it is and what was found, in one line; without its code and the next step.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = String::new();
        self.tell(&mut text).expect("invariant: a String takes every write");
        text
    }

    fn tell(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: ", self.code)?;
        self.tell(f)?;
        write!(f, "\n  next: {}", self.next)
    }
}

impl std::error::Error for Diagnosis {}

/// What a person does where a disk refused to be written, with the path named; `None` where the error is of another kind.
#[must_use]
pub fn mends_disk(error: &(dyn std::error::Error + 'static), path: &Path) -> Option<String> {
    if lacks_descriptors(error) {
        return mends_limit(error).map(str::to_owned);
    }
    let refused = std::iter::successors(Some(error), |error| error.source());
    let kind = refused.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).next()?;
    let path = path.display();
    match kind {
        io::ErrorKind::StorageFull => Some(format!("free space on the disk of {path}")),
        io::ErrorKind::QuotaExceeded => {
            Some(format!("free space in this user's quota on the disk of {path}, or raise it"))
        }
        io::ErrorKind::FileTooLarge => Some(format!(
            "raise this user's limit on the size of a file (`ulimit -f`, `LimitFSIZE=` of a unit), or put {path} on a file system that takes \
             larger ones"
        )),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some(format!("make {path} writable: its file system is mounted to read alone (`mount -o remount,rw …`)"))
        }
        io::ErrorKind::PermissionDenied => {
            Some(format!("make {path} readable and writable for this user (`chown`, `chmod u+rwX`)"))
        }
        _ => None,
    }
}

/// An error and all that is below it. An `io::Error` that is made of another error names only what is below that one as its source.
fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(made_of) => Some(made_of as &(dyn std::error::Error + 'static)),
        None => error.source(),
    })
}

/// Whether one of these is the system's word somewhere below an error.
fn is_said(error: &(dyn std::error::Error + 'static), any: &[Errno]) -> bool {
    let mut errnos =
        causes(error).filter_map(|error| error.downcast_ref::<io::Error>()).filter_map(io::Error::raw_os_error);
    errnos.any(|said| any.iter().any(|errno| errno.raw_os_error() == said))
}

/// Whether the system gives this process no more open files, which says nothing about what was to be opened.
#[must_use]
pub fn lacks_descriptors(error: &(dyn std::error::Error + 'static)) -> bool {
    is_said(error, &[Errno::MFILE, Errno::NFILE])
}

/// The code of what a limit of the user keeps from being done.
pub const LIMITED: &str = "HW-ENV-002";

/// What a person does where a limit of the user, or of its service unit, is what an error comes of; `None` where it is none.
#[must_use]
pub fn mends_limit(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if lacks_descriptors(error) {
        return Some("raise the limit on open files of this user (`ulimit -n`, `LimitNOFILE=` of a unit)");
    }
    let is_large = is_said(error, &[Errno::FBIG]);
    is_large.then_some("raise this user's limit on the size of a file (`ulimit -f`, `LimitFSIZE=` of a unit)")
}

/// An error and what is below it, in one line; SQLite says most things twice.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        let said = text.rsplit(": ").next().unwrap_or_default();
        if !message.ends_with(said) {
            message = format!("{message}: {text}");
        }
        below = cause.source();
    }
    message
}
