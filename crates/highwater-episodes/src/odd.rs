//! What lies where a file or a directory of ours belongs, and is none: a directory, a symlink, a pipe. Owns what a person is told of it.
//!
//! Nothing here makes, follows or removes such a thing, and nothing is concluded from it: what belongs there is neither there nor gone.

use std::error::Error;
use std::path::PathBuf;

use highwater_engine::shell::quoted;
use highwater_fs::Kind;

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is {found}, where {belongs} belongs", .path.display())]
pub struct Odd {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub found: Kind,
    /// What belongs there.
    pub belongs: Kind,
}

impl Odd {
    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        format!("move {} away, out of the receiver's directory", quoted(&self.path.display().to_string()))
    }

    /// The one that an error comes of, where it does.
    #[must_use]
    pub fn of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
            .find_map(|error| error.downcast_ref())
    }

    /// What a person does about an error: what is to be done about the odd thing that it comes of, else what is said here.
    #[must_use]
    pub fn next_of(error: &(dyn Error + 'static), otherwise: impl Into<String>) -> String {
        Self::of(error).map_or_else(|| otherwise.into(), Self::next)
    }
}
