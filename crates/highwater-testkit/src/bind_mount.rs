//! A directory that is seen in the place of another: a mount of its own, whatever file system it is on.

use std::io;
use std::path::Path;

use nix::unistd::Uid;

use crate::keeper::Keeper;
use crate::not_here::NotHere;

/// `$1` is the directory that is shown, `$2` the one in whose place.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
trap 'umount -l "$2"' EXIT
mount --bind "$1" "$2"
echo ready
read -r _ || :
"#;

/// A bind mount, until it is dropped. Needs root.
#[derive(Debug)]
pub struct BindMount {
    _keeper: Keeper,
}

impl BindMount {
    /// Shows a directory in the place of another, whose entries are hidden meanwhile. Nothing can be renamed or linked into it or out
    /// of it, be it on the same file system.
    ///
    /// # Errors
    /// [`NotHere`] where this process may not mount.
    pub fn mount(shown: &Path, on: &Path) -> Result<Self, NotHere> {
        if !Uid::effective().is_root() {
            return Err(NotHere("mounting a directory needs root".to_owned()));
        }
        let name =
            |path: &Path| path.to_str().map(ToOwned::to_owned).ok_or_else(|| NotHere("a path is not UTF-8".into()));
        let not_here = |error: io::Error| NotHere(format!("a directory cannot be mounted: {error}"));
        let keeper = Keeper::start(SCRIPT, &[&name(shown)?, &name(on)?], None).map_err(not_here)?;
        Ok(Self { _keeper: keeper })
    }
}
