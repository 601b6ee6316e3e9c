//! The directory that units stand in. Owns that what is somebody else's stays, that a timer keeps its times unless told
//! otherwise, and that units which the configuration no longer has are named.

use std::fs;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::{Diagnosis, mends_disk};

use super::text::OURS;
use super::{CANNOT_WRITE, NOT_OURS, Unit, Units, When};
use crate::put::{self, Put};

/// Everybody may read a unit; secrets are not in it.
const UNIT_MODE: u32 = 0o644;
/// Longest unit that is read, in bytes; a longer one is none of ours.
const UNIT_BYTES_MAX: u64 = 1 << 20;

/// A directory of units.
pub(crate) struct Shelf<'a> {
    directory: &'a Path,
}

/// What became of one unit.
#[derive(Debug)]
pub(crate) struct Stood {
    /// Its file.
    pub(crate) path: PathBuf,
    /// What became of it.
    pub(crate) put: Put,
}

impl<'a> Shelf<'a> {
    /// The shelf in a directory, which is there.
    ///
    /// # Errors
    /// A refusal where it is not.
    pub(crate) fn at(directory: &'a Path) -> Result<Self, Diagnosis> {
        if directory.is_dir() {
            return Ok(Self { directory });
        }
        Err(Diagnosis::refusal(
            CANNOT_WRITE,
            "found no directory to write units to",
            "make it, or name another one: units of the machine's own are in /etc/systemd/system",
        )
        .in_file(directory))
    }

    /// The same for a rehearsal, where it need not be there.
    pub(crate) fn that_may_be(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// Puts units there, all or, where one of the files is somebody else's, none.
    ///
    /// # Errors
    /// A refusal that names that file; what the disk says.
    pub(crate) fn put(&self, units: &Units, when: &When, rehearse: bool) -> Result<Vec<Stood>, Diagnosis> {
        let mut wanted = Vec::new();
        for unit in &units.units {
            let path = self.directory.join(&unit.name);
            let there = self.there(&path)?;
            if let Some(other) = there.as_deref().and_then(|there| of_another(there, &unit.text)) {
                return Err(not_ours(&path, &format!("a unit of another configuration, {other}")));
            }
            let text = match &there {
                Some(there) if *when == When::AsItIs && unit.name.ends_with(".timer") => {
                    with_times_of(&unit.text, there)
                }
                _ => unit.text.clone(),
            };
            wanted.push((path, text));
        }
        let put = wanted.into_iter().map(|(path, text)| {
            let put =
                put::file(&path, text.as_bytes(), UNIT_MODE, rehearse).map_err(|error| cannot_write(&error, &path))?;
            Ok(Stood { path, put })
        });
        put.collect()
    }

    /// A unit that is there, if it is ours; a refusal if it is not.
    fn there(&self, path: &Path) -> Result<Option<String>, Diagnosis> {
        let not_ours = |what: &str| not_ours(path, what);
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot_write(&error, path)),
            Ok(meta) if meta.is_symlink() => return Err(not_ours("a link, as of a unit that is masked")),
            Ok(meta) if !meta.is_file() || meta.len() > UNIT_BYTES_MAX => return Err(not_ours("no unit of highwater")),
            Ok(_) => {}
        }
        let text = fs::read(path).map_err(|error| cannot_write(&error, path))?;
        match String::from_utf8(text) {
            Ok(text) if text.starts_with(OURS) => Ok(Some(text)),
            _ => Err(not_ours("a unit that somebody else wrote")),
        }
    }

    /// Units of the same configuration that it no longer has.
    pub(crate) fn left_over(&self, units: &Units) -> Vec<String> {
        let Some(first) = units.units.first().and_then(|unit| unit.text.lines().next()) else { return Vec::new() };
        let entries = fs::read_dir(self.directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let known = |name: &str| {
            let kept = name.rsplit_once('.').is_some_and(|(stem, _)| units.kept.iter().any(|kept| kept == stem));
            kept || units.units.iter().any(|unit: &Unit| unit.name == name)
        };
        let ours = |name: &String| {
            let is_unit = name.ends_with(".service") || name.ends_with(".timer");
            let there = || self.there(&self.directory.join(name)).ok().flatten();
            is_unit && !known(name) && there().is_some_and(|text| text.lines().next() == Some(first))
        };
        let mut left: Vec<_> = names.filter(ours).collect();
        left.sort();
        left
    }
}

fn not_ours(path: &Path, what: &str) -> Diagnosis {
    Diagnosis::refusal(
        NOT_OURS,
        format!("found {what}, which is left as it is; nothing was written"),
        "move it away, or name the units otherwise: `highwater systemd --prefix NAME`",
    )
    .in_file(path)
}

/// The configuration that a unit is of, where it is not that of the other.
fn of_another<'t>(there: &'t str, unit: &str) -> Option<&'t str> {
    let of = |text: &'t str| text.lines().next().and_then(|line| line.strip_prefix(OURS));
    let line = unit.lines().next()?.strip_prefix(OURS)?;
    of(there).filter(|other| *other != line)
}

/// What stands in the part `[Timer]`.
fn times(timer: &str) -> Option<&str> {
    let (_, after) = timer.split_once("[Timer]\n")?;
    Some(after.split_once("\n[").map_or(after, |(times, _)| times))
}

/// A timer with the times of the one that is there.
fn with_times_of(text: &str, there: &str) -> String {
    match (times(text), times(there)) {
        (Some(new), Some(old)) => text.replacen(new, old, 1),
        _ => text.to_owned(),
    }
}

fn cannot_write(error: &std::io::Error, path: &Path) -> Diagnosis {
    // Whoever lacks a right is another user; a disk is mended, whoever asks.
    let mend = mends_disk(error, path).filter(|_| error.kind() != std::io::ErrorKind::PermissionDenied);
    Diagnosis::failure(
        CANNOT_WRITE,
        format!("the unit cannot be written: {error}"),
        mend.unwrap_or_else(|| "call it with `sudo`, or name a directory that this user may write in".to_owned()),
    )
    .in_file(path)
}
