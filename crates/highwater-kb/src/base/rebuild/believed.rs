//! Which manifests are believed. Every one names the one before it, so a later one vouches for all that lead to it; one that is not what its
//! successor names, or cannot be read, is not believed. Owns that a generation that is lost leaves a gap, and does not end history; and that
//! the newest, for which none vouches, is taken for an attempt where that is known, or where what stands says so.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_engine::diagnosis::with_causes;
use highwater_fs::FsError;

use crate::base::home::Home;
use crate::base::manifest::Manifest;
use crate::base::objects::{Objects, Standing};
use crate::base::project::{is_committed, manifest_of, newest_committed};
use crate::base::rows::survey;
use crate::content::ContentId;
use crate::error::KbError;

/// Rows that are read at a time.
const ROWS: u32 = 1_000;

/// Why a manifest is that of an attempt where rows say so.
const AFTER_HEAD: &str = "it was begun and never committed: the database that was there ends before it";
/// Why it is where it lacks something.
const LACKING: &str = "it was begun and never committed: what it changes is not stored, and nothing of it is shown";
/// Why it is where it was never begun to show it.
const UNSHOWN: &str = "it was begun, and nothing shows that it was committed: nothing of it stands in wiki/ and raw/";

/// What there is of generations.
#[derive(Default)]
pub(super) struct Believed {
    /// In order, with what their manifests are called.
    pub(super) generations: Vec<(u32, ContentId)>,
    pub(super) damaged: Vec<(u32, String)>,
    pub(super) missing: Vec<u32>,
    /// The newest that says again what those before it changed; 0 where none does.
    pub(super) said_again: u32,
    /// Those that never came to their COMMIT, as far as can be known.
    pub(super) attempts: Vec<Attempt>,
}

/// A manifest that is taken for that of an attempt.
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) why: &'static str,
    /// What it was to do, where it says that.
    pub(super) doing: Option<String>,
    /// Whether that was to say again what lost generations changed, by a rebuild that was cut off.
    pub(super) says_again: bool,
}

impl Believed {
    /// The generations of which it is lost what they changed, among those that rows tell of.
    pub(super) fn lost_of(&self, known: &Known) -> Vec<u32> {
        let damaged = self.damaged.iter().map(|(number, _)| *number);
        let lost: BTreeSet<u32> = damaged.chain(self.missing.iter().copied()).collect();
        lost.into_iter().filter(|number| known.manifests.contains_key(number)).collect()
    }
}

impl Attempt {
    fn of(manifest: &Manifest, why: &'static str) -> Self {
        let doing = format!("{} {}", manifest.op, manifest.text).trim().to_owned();
        Self { number: manifest.generation, why, doing: Some(doing), says_again: manifest.says_again() }
    }
}

/// Why the last manifest is one of an attempt, if it is: what it changes was to be stored before its COMMIT, and to be shown after it.
fn is_attempt(objects: Objects<'_>, manifest: &Manifest) -> Result<Option<&'static str>, KbError> {
    let fs = objects.fs();
    if is_committed(fs, manifest.generation)? || manifest.is_told(objects)? {
        return Ok(None);
    }
    for new in manifest.files.iter().filter_map(|change| change.new) {
        if objects.standing(new, false)? == Standing::Missing {
            return Ok(Some(LACKING));
        }
    }
    // The one before has its sign until the plan of this one is there.
    let was_never_begun = is_committed(fs, manifest.generation.saturating_sub(1))?;
    // Without signs, what stands says it, as long as nothing speaks against that.
    let is_unshown = was_never_begun || (!manifest.is_shown(objects)? && manifest.stands_as_before(objects)?);
    Ok(is_unshown.then_some(UNSHOWN))
}

/// What rows tell that can still be used.
pub(super) struct Known {
    /// The newest generation; 0 where there is none.
    pub(super) head: u32,
    /// What the manifests are called.
    pub(super) manifests: BTreeMap<u32, ContentId>,
    /// The rows themselves.
    pub(super) rows: Connection,
}

impl Known {
    /// What the rows of a base tell, which end with this generation.
    pub(super) fn of(home: &dyn Home, head: u32) -> Result<Self, KbError> {
        let rows = home.open_reader().map_err(KbError::rows("be read"))?;
        let (mut manifests, mut after) = (BTreeMap::new(), 0);
        loop {
            let generations = survey::generations_after(&rows, after, ROWS)?;
            let Some((last, _)) = generations.last() else { return Ok(Self { head, manifests, rows }) };
            after = *last;
            manifests.extend(generations);
        }
    }
}

/// Goes back from the newest generation: each names the one before it, and rows, where they can still be used, name all.
pub(super) fn believed(objects: Objects<'_>, known: Option<&Known>) -> Result<Believed, KbError> {
    let head = known.map(|known| known.head);
    let numbers = objects.generations()?;
    let mut believed = Believed::default();
    let mut named: Option<(u32, Option<ContentId>)> = None;
    for number in numbers.iter().rev().copied() {
        let bytes = match objects.manifest(number) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => continue,
            Err(KbError::Fs(error @ FsError::TooLarge { .. })) => Err(error.to_string()),
            Err(KbError::ManifestDamaged { .. }) => Err("what has its place is no file".to_owned()),
            Err(error) => return Err(error),
        };
        let id = bytes.as_ref().ok().map(|bytes| ContentId::of(bytes));
        let expected = named.filter(|(number_named, _)| *number_named == number).map(|(_, id)| id);
        let in_rows = known.and_then(|known| known.manifests.get(&number));
        // None vouches for the newest, but what was planned of it.
        let planned = if named.is_none() { manifest_of(objects.fs(), number)? } else { None };
        // Not for this program to set aside, whatever names another.
        let is_newer = |bytes: &[u8]| matches!(Manifest::read(number, bytes), Err(KbError::NewerManifest { .. }));
        let is_newer = bytes.as_ref().is_ok_and(|bytes| is_newer(bytes));
        let read = match bytes {
            Ok(_) if !is_newer && in_rows.is_some_and(|in_rows| Some(*in_rows) != id) => {
                Err("it is another than the database names".to_owned())
            }
            Ok(_) if !is_newer && planned.is_some() && planned != id => {
                Err("it is another than its sign names".to_owned())
            }
            Ok(_) if expected.is_some_and(|expected| expected != id) => {
                Err("it is another than the generation after it names".to_owned())
            }
            Ok(bytes) => match Manifest::read(number, &bytes) {
                Ok(manifest) => {
                    let is_newest = believed.generations.is_empty() && believed.damaged.is_empty();
                    let why = match head {
                        Some(head) => (number > head).then_some(AFTER_HEAD),
                        None if is_newest && believed.attempts.is_empty() => is_attempt(objects, &manifest)?,
                        None => None,
                    };
                    if let Some(why) = why {
                        believed.attempts.push(Attempt::of(&manifest, why));
                        continue;
                    }
                    if manifest.says_again() {
                        believed.said_again = believed.said_again.max(number);
                    }
                    Ok(manifest.parent)
                }
                // Not for this program to set aside.
                Err(error @ KbError::NewerManifest { .. }) => return Err(error),
                Err(error) => Err(with_causes(&error)),
            },
            Err(why) => Err(why),
        };
        match (read, id) {
            (Ok(parent), Some(id)) => {
                named = number.checked_sub(1).map(|before| (before, parent));
                believed.generations.push((number, id));
            }
            (Err(_), _) if head.is_some_and(|head| number > head) => {
                believed.attempts.push(Attempt { number, why: AFTER_HEAD, doing: None, says_again: false });
            }
            (Err(why), _) => believed.damaged.push((number, why)),
            (Ok(_), None) => {} // what was read has a name
        }
    }
    let is_any_lost = !believed.damaged.is_empty();
    // Rows that tell of generations tell also what these changed.
    let is_known = head.is_some_and(|head| head > 0);
    if believed.generations.is_empty() && !is_known && (believed.attempts.is_empty() || is_any_lost) {
        return Err(KbError::NoGenerations);
    }
    believed.generations.reverse();
    believed.damaged.reverse();
    let there: BTreeSet<u32> = numbers.into_iter().collect();
    // Of the newest, whose manifest may be lost, its sign is left.
    let newest = || Ok::<_, KbError>(there.last().copied().max(newest_committed(objects.fs())?));
    let last = head.map_or_else(newest, |head| Ok(Some(head)))?.unwrap_or(0);
    // Of what was lost before one that says it again, rows that were made with that tell nothing; of what was lost since, they do.
    let said_again = believed.said_again;
    let is_known =
        |number: &u32| known.is_some_and(|known| *number < said_again && !known.manifests.contains_key(number));
    believed.missing = (1..=last).filter(|number| !there.contains(number) && !is_known(number)).collect();
    Ok(believed)
}
