//! How rows that were made anew come into the place of others. Owns that what belongs to the old ones is never taken for the new ones', and
//! that there are rows all the while where the old ones can be used: what they know of lost generations is nowhere else.

use highwater_fs::{Fs, FsError, Quarantine, RelPath};

use super::files_of;
use crate::base::layout;
use crate::base::{HOME, QUARANTINE};

/// Puts a file of rows that nobody has open in the place of another, which is set aside with the reason. Between the two there are none: then
/// they are to be made again, and nothing is lost of rows that could not be used.
pub(super) fn swap(fs: &dyn Fs, rows: &str, anew: &str, why: &str) -> Result<Vec<RelPath>, FsError> {
    let quarantine = Quarantine::new(fs, layout(QUARANTINE));
    let mut aside = Vec::new();
    // The file first: without it nobody takes what lies beside it for that of another.
    for file in files_of(rows) {
        if fs.stat(&file)?.is_some() {
            aside.push(quarantine.set_aside(&file, why)?.path);
        }
    }
    // Also what an earlier call removed, and could not make durable: a log that comes back would be taken for that of the new rows.
    fs.sync_dir(&layout(HOME))?;
    let ([from, ..], [to, ..]) = (files_of(anew), files_of(rows));
    fs.rename_new(&from, &to)?;
    fs.sync_dir(&layout(HOME))?;
    Ok(aside)
}

/// Puts a file of rows that nobody has open in the place of another, of which all is in its own file, and which is kept with the reason. There
/// are the old rows or the new ones, all the while.
pub(super) fn take_place(fs: &dyn Fs, rows: &str, anew: &str, why: &str) -> Result<Vec<RelPath>, FsError> {
    let ([from, ..], [to, beside @ ..]) = (files_of(anew), files_of(rows));
    // What lies beside the old file has nothing of theirs any more, and is not to lie beside the new one.
    for file in beside {
        if fs.stat(&file)?.is_some() {
            fs.unlink(&file)?;
        }
    }
    fs.sync_dir(&layout(HOME))?;
    let kept = Quarantine::new(fs, layout(QUARANTINE)).keep_file(&to, why)?.path;
    fs.rename(&from, &to)?;
    fs.sync_dir(&layout(HOME))?;
    Ok(vec![kept])
}

#[cfg(test)]
mod tests {
    use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere, tree};

    use super::super::{ROWS, ROWS_ANEW};
    use super::*;

    /// New rows take the place of old ones.
    struct Swapping;

    impl Swapping {
        /// As a rebuild does it: what an earlier one left is made anew.
        fn swapped(fs: &SimFs) -> Result<(), FsError> {
            let [anew, ..] = files_of(ROWS_ANEW);
            fs.save(&anew, b"new")?;
            swap(fs, ROWS, ROWS_ANEW, "a test").map(drop)
        }

        fn has_rows(fs: &SimFs) -> Result<bool, FsError> {
            Ok(fs.stat(&files_of(ROWS)[0])?.is_some())
        }
    }

    impl Scenario for Swapping {
        fn before(&self) -> SimFs {
            let fs = SimFs::new().with_atomic_renames();
            highwater_fs::ensure_dir(&fs, &layout(HOME), highwater_fs::Mode::Umask).unwrap();
            for (file, bytes) in files_of(ROWS).iter().zip([b"old", b"wal", b"shm"]) {
                fs.save(file, bytes).unwrap();
            }
            fs
        }

        fn steps(&self) -> usize {
            1
        }

        fn work(&self, fs: &SimFs) -> usize {
            usize::from(Self::swapped(fs).is_ok())
        }

        fn recover(&self, fs: &SimFs) -> Result<(), String> {
            match Self::has_rows(fs) {
                Ok(true) => Ok(()),
                _ => Self::swapped(fs).map_err(|error| error.to_string()),
            }
        }

        fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
            let tree = tree(fs).map_err(|error| error.to_string())?;
            let rows = files_of(ROWS).map(|file| tree.get(&file).cloned().flatten());
            match rows.each_ref().map(Option::as_deref) {
                [Some(b"new"), None, None] => {}
                [Some(b"old"), Some(b"wal"), Some(b"shm")] if acknowledged == 0 => {}
                _ => return Err(format!("{acknowledged} acknowledged, and there are {rows:?}")),
            }
            for bytes in [&b"old"[..], b"wal"] {
                if !tree.values().flatten().any(|there| there == bytes) {
                    return Err(format!("{bytes:?} are nowhere"));
                }
            }
            Ok(())
        }
    }

    #[test]
    fn r05_rows_are_old_or_new_and_beside_new_ones_lies_nothing_of_old_ones_wherever_the_power_is_cut() {
        let tally = crash_everywhere(&Swapping).unwrap_or_else(|found| panic!("{found}"));
        assert!(tally.disks > 20, "{tally:?}");
        fail_everywhere(&Swapping).unwrap_or_else(|found| panic!("{found}"));
    }

    /// New rows take the place of old ones that can be used, and that know more than what is stored.
    struct Taking {
        hard_links: bool,
    }

    impl Taking {
        /// As each call of a rebuild does it, the first and those after one that was cut off.
        fn taken(fs: &SimFs) -> Result<(), FsError> {
            let [anew, ..] = files_of(ROWS_ANEW);
            fs.save(&anew, b"new")?;
            take_place(fs, ROWS, ROWS_ANEW, "a test").map(drop)
        }

        fn rows(fs: &SimFs) -> Result<[Option<Vec<u8>>; 3], String> {
            let tree = tree(fs).map_err(|error| error.to_string())?;
            Ok(files_of(ROWS).map(|file| tree.get(&file).cloned().flatten()))
        }
    }

    impl Scenario for Taking {
        fn before(&self) -> SimFs {
            let fs = SimFs::new().with_atomic_renames();
            let fs = if self.hard_links { fs } else { fs.without_hard_links() };
            highwater_fs::ensure_dir(&fs, &layout(HOME), highwater_fs::Mode::Umask).unwrap();
            for (file, bytes) in files_of(ROWS).iter().zip([&b"old"[..], b"", b"shm"]) {
                fs.save(file, bytes).unwrap();
            }
            fs
        }

        fn steps(&self) -> usize {
            1
        }

        fn work(&self, fs: &SimFs) -> usize {
            usize::from(Self::taken(fs).is_ok())
        }

        fn recover(&self, fs: &SimFs) -> Result<(), String> {
            match Self::rows(fs)? {
                [Some(rows), ..] if rows == b"new" => Ok(()),
                [Some(rows), ..] if rows == b"old" => Self::taken(fs).map_err(|error| error.to_string()),
                rows => Err(format!("nobody knows what they knew: {rows:?}")),
            }
        }

        fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
            match Self::rows(fs)?.each_ref().map(Option::as_deref) {
                [Some(b"new"), None, None] => {}
                [Some(b"old"), None | Some(b""), None | Some(b"shm")] if acknowledged == 0 => {}
                rows => return Err(format!("{acknowledged} acknowledged, and there are {rows:?}")),
            }
            let tree = tree(fs).map_err(|error| error.to_string())?;
            match tree.values().flatten().any(|there| there == b"old") {
                true => Ok(()),
                false => Err("the old ones are nowhere".to_owned()),
            }
        }
    }

    #[test]
    fn r05_there_are_rows_that_know_all_at_every_moment_in_which_others_take_their_place() {
        for hard_links in [true, false] {
            let taking = Taking { hard_links };
            let tally = crash_everywhere(&taking).unwrap_or_else(|found| panic!("{hard_links}: {found}"));
            assert!(tally.disks > 20, "{tally:?}");
            fail_everywhere(&taking).unwrap_or_else(|found| panic!("{hard_links}: {found}"));
        }
    }
}
