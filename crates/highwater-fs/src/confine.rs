//! A path that cannot leave its root.
//!
//! Owns the shape of a confined path: relative, no `..`, nothing a kernel would refuse. That no
//! symlink leads out is shown where a path is walked: see [`Fs`](crate::Fs).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The longest confined path.
pub const PATH_BYTES_MAX: usize = 4096;

/// The longest name of one file or directory.
pub const NAME_BYTES_MAX: usize = 255;

/// A path below a root: relative, without `..`, and never the way out.
///
/// `a//b/./c` is read as `a/b/c`. The root itself is [`RelPath::root`], and is what `Default`
/// gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(PathBuf);

impl RelPath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path, refusing one that could name anything outside the root.
    ///
    /// # Errors
    /// When the path is empty, absolute or too long, or holds `..` or a NUL.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, ConfineError> {
        let path = path.as_ref();
        let refused = |fault| ConfineError { path: path.to_owned(), fault };
        let mut clean = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) if name.as_bytes().contains(&0) => {
                    return Err(refused(Fault::Nul));
                }
                Component::Normal(name) if name.len() > NAME_BYTES_MAX => {
                    return Err(refused(Fault::NameTooLong));
                }
                Component::Normal(name) => clean.push(name),
                Component::CurDir => {}
                Component::ParentDir => return Err(refused(Fault::ParentDir)),
                Component::RootDir | Component::Prefix(_) => return Err(refused(Fault::Absolute)),
            }
        }
        if clean.as_os_str().is_empty() {
            return Err(refused(Fault::Empty));
        }
        if clean.as_os_str().len() > PATH_BYTES_MAX {
            return Err(refused(Fault::PathTooLong));
        }
        Ok(Self(clean))
    }

    /// The path of `path` below this one.
    ///
    /// # Errors
    /// As for [`RelPath::new`]: `path` cannot lead up again.
    pub fn join(&self, path: impl AsRef<Path>) -> Result<Self, ConfineError> {
        let below = Self::new(path)?;
        Self::new(self.0.join(below.0))
    }

    /// The directory this path lies in and its name there; `None` for the root.
    pub fn split(&self) -> Option<(Self, &OsStr)> {
        let name = self.0.file_name()?;
        let parent = self.0.parent().map(Path::to_path_buf).unwrap_or_default();
        Some((Self(parent), name))
    }

    /// The directory this path lies in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.split().map(|(parent, _)| parent)
    }

    /// The directories above this path, nearest first, ending with the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        self.0.ancestors().skip(1).map(|path| Self(path.to_owned()))
    }

    /// The names this path is made of, from the root down.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter()
    }

    /// Whether this path is `dir` or lies below it.
    pub fn is_within(&self, dir: &Self) -> bool {
        self.0.starts_with(&dir.0)
    }

    /// The path as the standard library knows it; empty for the root.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// A path in the same directory, named after this one: `before` + name + `after`, the name cut
    /// short where the whole would be too long.
    pub(crate) fn sibling(&self, before: &str, after: &str) -> Option<Self> {
        let (parent, name) = self.split()?;
        Some(Self(parent.0.join(named_after(name, before, after))))
    }
}

/// `before` + `name` + `after` as one file name, `name` cut short to fit, never inside a character.
pub(crate) fn named_after(name: &OsStr, before: &str, after: &str) -> OsString {
    let room = NAME_BYTES_MAX.saturating_sub(before.len() + after.len());
    let kept = match name.to_str() {
        Some(text) => &name.as_bytes()[..text.floor_char_boundary(room)],
        None => &name.as_bytes()[..name.len().min(room)],
    };
    OsString::from_vec([before.as_bytes(), kept, after.as_bytes()].concat())
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_os_str().is_empty() { f.write_str(".") } else { self.0.display().fmt(f) }
    }
}

/// Why a path was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} {fault}")]
pub struct ConfineError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("is empty")]
    Empty,
    #[error("is absolute; expected one relative to its root")]
    Absolute,
    #[error("holds `..`, which could lead out of its root")]
    ParentDir,
    #[error("holds a NUL byte")]
    Nul,
    #[error("has a name of more than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    #[error("has more than {PATH_BYTES_MAX} bytes")]
    PathTooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn a_path_that_could_leave_its_root_is_refused() {
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let deep = "d/".repeat(PATH_BYTES_MAX);
        for bad in ["", ".", "./.", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a\0b", &long, &deep] {
            assert!(RelPath::new(bad).is_err(), "{bad:?} was let through");
        }
    }

    #[test]
    fn the_same_place_is_the_same_path() {
        assert_eq!(path("a//b/./c/"), path("a/b/c"));
        assert_eq!(path("./a"), path("a"));
    }

    #[test]
    fn joining_cannot_lead_up() {
        let wiki = path("wiki");
        assert_eq!(wiki.join("concepts/x.md").unwrap(), path("wiki/concepts/x.md"));
        assert!(wiki.join("../x").is_err());
        assert!(wiki.join("/x").is_err());
        assert_eq!(RelPath::root().join("x").unwrap(), path("x"));
    }

    #[test]
    fn a_path_knows_where_it_lies() {
        let page = path("wiki/concepts/x.md");
        let (dir, name) = page.split().unwrap();
        assert_eq!((dir, name), (path("wiki/concepts"), OsStr::new("x.md")));
        let above: Vec<_> = page.ancestors().collect();
        assert_eq!(above, [path("wiki/concepts"), path("wiki"), RelPath::root()]);
        assert!(page.is_within(&path("wiki")) && page.is_within(&RelPath::root()));
        assert!(!path("wikipedia").is_within(&path("wiki")));
        assert_eq!(RelPath::root().split(), None);
    }

    #[test]
    fn a_long_name_is_cut_to_fit_and_never_inside_a_character() {
        let name = "ü".repeat(127);
        let cut = named_after(OsStr::new(&name), ".", ".0.x");
        assert_eq!(cut.to_str().unwrap(), format!(".{}.0.x", "ü".repeat(125)));
        let bytes = OsString::from_vec(vec![0xff; NAME_BYTES_MAX]);
        assert_eq!(named_after(&bytes, "", "..").len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_refusal_names_the_path_and_the_fault() {
        let refusal = RelPath::new("../x").unwrap_err();
        assert_eq!(refusal.to_string(), "path \"../x\" holds `..`, which could lead out of its root");
    }
}
