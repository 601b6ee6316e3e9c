//! An episode that is still being written is not packed as if it were whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use highwater_episodes::archive::{CompressionSettings, PackError};

use super::rig::{Episode, MTIME_SECS, noise, packer, set_mtime};

/// Something is done at most so often until the clock of the disk has gone on.
const TURNS_MAX: usize = 1_000_000;

/// Does something to the episode when the first bytes of its archive come.
struct Meanwhile<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(act) = self.0.take() {
            act();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What becomes of a pack of an episode to which something is done while its files are read: the first of them is still being
/// read when its first bytes come, and all others are read later.
fn meanwhile(act: impl FnOnce(&Episode)) -> Result<(), PackError> {
    let episode = Episode::empty();
    episode.file("a.bin", noise(32 << 20, 1));
    episode.file("b.bin", noise(100_000, 2));
    episode.file("dir/c.bin", noise(100_000, 3));
    // Long ago: the clock of a disk goes in steps, and what follows may be in the same.
    for dir in ["", "dir"] {
        set_mtime(&episode.path(dir), MTIME_SECS, 0);
    }
    let out = Meanwhile(Some(|| act(&episode)));
    packer(&CompressionSettings::default()).pack(&episode.root(), &episode.id, out).map(|_| ())
}

fn changed(act: impl FnOnce(&Episode)) -> String {
    let error = meanwhile(act).unwrap_err();
    assert!(matches!(error, PackError::Changing { .. }), "{error}");
    error.to_string()
}

fn append(path: &Path) {
    File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

#[test]
fn r11_a_file_that_grows_shrinks_or_is_replaced_is_not_packed() {
    meanwhile(|_| ()).unwrap();
    let said = changed(|episode| append(&episode.path("a.bin")));
    assert!(said.ends_with("/ep-7/a.bin\" changed while it was packed"), "{said}");
    changed(|episode| File::options().write(true).open(episode.path("a.bin")).unwrap().set_len(31 << 20).unwrap());
    changed(|episode| File::options().write(true).open(episode.path("a.bin")).unwrap().set_len(1000).unwrap());
    let said = changed(|episode| {
        // As long as it was, and of the same time.
        fs::write(episode.path("new"), noise(32 << 20, 1)).unwrap();
        let time = fs::metadata(episode.path("a.bin")).unwrap().modified().unwrap();
        File::open(episode.path("new")).unwrap().set_modified(time).unwrap();
        fs::rename(episode.path("new"), episode.path("a.bin")).unwrap();
    });
    assert!(said.contains("a.bin"), "{said}");
    changed(|episode| fs::remove_file(episode.path("a.bin")).unwrap());
    changed(|episode| episode.mode("a.bin", 0o755));
}

#[test]
fn r11_one_written_over_in_place_is_not_packed_even_if_its_time_is_put_back() {
    changed(|episode| {
        let path = episode.path("a.bin");
        let before = fs::metadata(&path).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        let of_change = |of: &fs::Metadata| (of.ctime(), of.ctime_nsec());
        for _ in 0..TURNS_MAX {
            file.write_all(b"other").unwrap();
            file.set_modified(before.modified().unwrap()).unwrap();
            if of_change(&fs::metadata(&path).unwrap()) != of_change(&before) {
                break;
            }
        }
    });
}

#[test]
fn r11_a_file_that_comes_or_goes_while_others_are_packed_is_noticed() {
    let said = changed(|episode| fs::write(episode.path("dir/late"), "").unwrap());
    assert!(said.contains("/ep-7/dir"), "{said}");
    changed(|episode| fs::write(episode.path("late"), "").unwrap());
    changed(|episode| fs::remove_file(episode.path("b.bin")).unwrap());
    changed(|episode| fs::remove_file(episode.path("dir/c.bin")).unwrap());
    changed(|episode| fs::rename(episode.path("dir"), episode.path("other")).unwrap());
    changed(|episode| fs::create_dir(episode.path("dir/new")).unwrap());
    changed(|episode| {
        // Another directory with the same file in it.
        fs::rename(episode.path("dir"), episode.outside().join("dir")).unwrap();
        fs::create_dir(episode.path("dir")).unwrap();
        fs::hard_link(episode.outside().join("dir/c.bin"), episode.path("dir/c.bin")).unwrap();
        for dir in ["", "dir"] {
            set_mtime(&episode.path(dir), MTIME_SECS, 0);
        }
    });
}

#[test]
fn what_was_a_file_and_becomes_a_symlink_is_not_followed() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    changed(|episode| {
        fs::remove_file(episode.path("b.bin")).unwrap();
        std::os::unix::fs::symlink(secret.path(), episode.path("b.bin")).unwrap();
    });
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("c.bin"), "secret").unwrap();
    changed(|episode| {
        fs::rename(episode.path("dir"), episode.outside().join("dir")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), episode.path("dir")).unwrap();
    });
}
