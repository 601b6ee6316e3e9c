//! Files that a person names in the settings. Owns that nothing but a plain one is opened: whoever opens a pipe waits until somebody
//! writes into it, and that may be never.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a plain file to read it; a symlink is followed.
///
/// # Errors
/// It cannot be opened, or is something else, which is said.
pub fn open_plain(path: &Path) -> io::Result<File> {
    // What a look shows to be something else is not even touched.
    is_plain(&std::fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    is_plain(&file.metadata()?)?;
    Ok(file)
}

/// Reads a plain file of at most so many bytes; a symlink is followed.
///
/// # Errors
/// It cannot be read, is longer, or is something else, which is said.
pub fn read_plain(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn is_plain(meta: &Metadata) -> io::Result<()> {
    let found = match meta.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe (FIFO)",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(format!("it is {found}, where a file belongs")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn nothing_but_a_plain_file_is_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read_plain(&path("file"), 4).unwrap(), b"text");
        assert_eq!(read_plain(&path("link"), 4).unwrap(), b"text");
        let told = |path: &Path| read_plain(path, 3).unwrap_err().to_string();
        assert_eq!(told(&path("file")), "it has more than 3 bytes");
        assert_eq!(told(&path("pipe")), "it is a pipe (FIFO), where a file belongs");
        assert_eq!(told(&path("socket")), "it is a socket, where a file belongs");
        assert_eq!(told(dir.path()), "it is a directory, where a file belongs");
        assert_eq!(told(Path::new("/dev/null")), "it is a device, where a file belongs");
        assert_eq!(read_plain(&path("none"), 3).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
