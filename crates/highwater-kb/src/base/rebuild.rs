//! The rows of a base, made again from the manifests of its generations and from its objects. Owns that what is damaged or missing stops
//! nothing: it is set aside, named, and the rest goes on; and in which order new rows take the place of others.
//!
//! What later generations changed is known in full, and what only a lost one changed is as it was before. The last of them may be one
//! whose COMMIT never came: rows that can still be used say so, else signs do, else what stands.

mod believed;
mod gap;
mod shown;

use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{Error, pending, quick_check, take_in_log};
use highwater_engine::diagnosis::with_causes;
use jiff::Timestamp;

use self::believed::{Attempt, Believed, Known, believed};
use self::gap::Gap;
use super::home::{Directory, Home};
use super::manifest::{Manifest, SAYS_AGAIN};
use super::objects::Objects;
use super::project::Fate;
use super::rows::derived::{Lacking, derive_all};
use super::rows::survey;
use super::{Base, BaseLock, MIGRATIONS, behind, rows};
use crate::content::ContentId;
use crate::error::KbError;

/// The most things that are named; the others are counted.
const ASIDE_MAX: usize = 1_000;

/// What becomes of a generation that is lost, and of which rows tell.
const TAKEN: &str = "what it changed is taken from the database that was there: what still holds of it is said again by the newest generation";

/// And of one before a generation that says again what was lost then.
const SAID_AGAIN: &str = "a later generation says again what was lost before it; where this one was lost since, add again what is missing now";

/// How the rows of a base are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// They can be used, and end with this generation; 0 where there is none.
    Whole(u32),
    /// There are none.
    Gone,
    /// They cannot be used: why.
    Unusable(String),
}

/// Something that was damaged or missing when rows were made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// What.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// What a person can do.
    pub next: String,
}

/// What people made of the files of a base, as they stand when its rows are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edits {
    /// Files that are edited.
    pub edited: u64,
    /// Files that are deleted.
    pub deleted: u64,
    /// Files beside which another version lies.
    pub conflicts: u64,
}

/// A base whose rows were made again.
#[derive(Debug)]
pub struct Rebuilt {
    /// The base, with its newest generation in `wiki/` and `raw/`.
    pub base: Base,
    /// From how many generations.
    pub generations: u64,
    /// How many documents are back.
    pub documents: u64,
    /// What people made of its files: all of it stays.
    pub edits: Edits,
    /// What was damaged or missing.
    pub aside: Vec<Aside>,
    /// How much more of that there is.
    pub more: u64,
    /// Where the rows are that were there, from the base's root.
    pub replaced: Vec<String>,
}

/// Looks how the rows of a base are. Reads all of them.
///
/// # Errors
/// What says nothing of the rows: the disk, a permission, a newer version of this program.
pub fn examine(home: &dyn Home) -> Result<Health, KbError> {
    if !home.has_rows() {
        return Ok(Health::Gone);
    }
    let examined = home.open_reader().and_then(|rows| {
        quick_check(&rows)?;
        pending(&rows, MIGRATIONS)?;
        Ok(rows)
    });
    let rows = match examined {
        Ok(rows) => rows,
        Err(error) if is_ruin(&error) => return Ok(Health::Unusable(error.to_string())),
        Err(error) => return Err(KbError::rows("be examined")(error)),
    };
    let head = || Ok(rows::standing(&rows)?.head);
    let ends_with = match head() {
        Ok(head) => head,
        Err(error) => return Ok(Health::Unusable(with_causes(&error))),
    };
    match behind::refuse(Objects::new(home.fs()), head) {
        Ok(()) => Ok(Health::Whole(ends_with)),
        Err(error @ KbError::RowsBehind { .. }) => Ok(Health::Unusable(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Whether an error says that a database is none that can be used again.
fn is_ruin(error: &Error) -> bool {
    error.is_damage()
        || matches!(
            error,
            Error::WrongApplicationId { .. } | Error::MigrationChanged { .. } | Error::MigrationGap { .. }
        )
}

/// Whether rows that are made again are the way out of an error.
#[must_use]
pub fn asks_for_rebuild(error: &KbError) -> bool {
    match error {
        KbError::RowsGone | KbError::RowsBehind { .. } => true,
        KbError::Rows { source, .. } => is_ruin(source) || matches!(source, Error::Missing { .. }),
        _ => false,
    }
}

/// Fills the rows of a base that has none. What stands in `wiki/` is compared with the newest generation, as after a crash.
///
/// The rows' file must be new: [`Anew`] takes the place of one that is there.
///
/// # Errors
/// [`KbError::NoGenerations`], and as [`Base::open`].
pub fn rebuild(home: Arc<dyn Home>, held: &BaseLock, now: Timestamp) -> Result<Rebuilt, KbError> {
    let believed = believed(Objects::new(home.fs()), None)?;
    Filled::fill(home, now, believed, None)?.ended(held, Vec::new())
}

/// The rows of a base, made anew beside those that it has. Cut off anywhere, the base has its old rows or these; or none, where the old ones
/// could not be used: then they are to be made again.
#[derive(Debug)]
pub struct Anew<'h> {
    home: &'h Directory,
    /// Whether the old ones can be used.
    is_used: bool,
    anew: Directory,
    told: Told,
}

impl<'h> Anew<'h> {
    /// Makes them, in the place of rows of which it was found under this lock how they are: what those that can be used do not tell of was
    /// never committed, and what only a lost generation changed is taken from them.
    ///
    /// # Errors
    /// As [`rebuild`].
    pub fn make(home: &'h Directory, held: &BaseLock, now: Timestamp, found: &Health) -> Result<Self, KbError> {
        let known = match found {
            Health::Whole(head) => Some(Known::of(home, *head)?),
            Health::Gone | Health::Unusable(_) => None,
        };
        let anew: Arc<dyn Home> = Arc::new(home.anew()?);
        let believed = believed(Objects::new(anew.fs()), known.as_ref())?;
        let lost = known.as_ref().map(|known| believed.lost_of(known)).unwrap_or_default();
        let known = known.map(|known| known.rows).filter(|_| !lost.is_empty());
        if matches!(found, Health::Whole(_)) {
            // All that they tell of stands then: also what a call that was cut off left to be shown, and what stands otherwise is a person's.
            let stood = Base::open(Arc::new(home.again()?), now).and_then(|mut base| base.finish(held));
            // What cannot be shown is in the way of what is taken from them, and of nothing else.
            if known.is_some() {
                stood?;
            }
        }
        let mut filled = Filled::fill(anew, now, believed, known.as_ref())?;
        if let Some(known) = &known {
            filled.bridge(known, held, now, &lost)?;
        }
        // Nobody else has them: what is not in their own file now is for want of room, and closing them would not say so.
        take_in_log(&filled.base.rows).map_err(KbError::rows("put its new rows into their file"))?;
        drop(filled.base);
        Ok(Self { home, is_used: matches!(found, Health::Whole(_)), anew: home.as_anew()?, told: filled.told })
    }

    /// Puts them in the place of those that are there, which are set aside with the reason, and shows what is not shown.
    ///
    /// # Errors
    /// [`KbError::RowsOpen`] while another process has the old ones open: nothing is changed then, and it can be called again. Else what
    /// the disk or the new rows say.
    pub fn put(&mut self, held: &BaseLock, now: Timestamp, why: &str) -> Result<Rebuilt, KbError> {
        let replaced = self.home.replace_rows(&self.anew, self.is_used, why)?;
        let replaced = replaced.iter().map(ToString::to_string).collect();
        let base = Base::furnished(Arc::new(self.home.again()?), now)?;
        Filled { base, told: std::mem::take(&mut self.told) }.ended(held, replaced)
    }
}

/// Rows that are filled, and not compared with what stands in `wiki/`.
struct Filled {
    base: Base,
    told: Told,
}

/// What is told of it.
#[derive(Debug, Default)]
struct Told {
    generations: u64,
    documents: u64,
    aside: Vec<Aside>,
    more: u64,
}

impl Told {
    fn aside(&mut self, what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) {
        if self.aside.len() < ASIDE_MAX {
            self.aside.push(Aside { what: what.into(), why: why.into(), next: next.into() });
        } else {
            self.more += 1;
        }
    }
}

impl Filled {
    /// `known` are rows that tell also what generations changed of which that is lost; then all that they tell of stands.
    fn fill(
        home: Arc<dyn Home>,
        now: Timestamp,
        believed: Believed,
        known: Option<&Connection>,
    ) -> Result<Self, KbError> {
        let objects = Objects::new(home.fs());
        let mut told = Told { generations: believed.generations.len() as u64, ..Told::default() };
        for (generation, why) in believed.damaged {
            let kept = objects.set_manifest_aside(generation, &why)?;
            let next = match known {
                Some(_) => format!("it is kept as {kept}; {TAKEN}"),
                None => format!("it is kept as {kept}; what only this generation changed is as it was before"),
            };
            told.aside(format!("generation {generation}"), why, next);
        }
        for Attempt { number, why, doing, says_again } in believed.attempts {
            let kept = objects.set_manifest_aside(number, why)?;
            let doing = doing.map(|doing| format!(": {doing}")).unwrap_or_default();
            let next = match says_again && known.is_some() {
                true => {
                    format!("it is kept as {kept}; a rebuild that was cut off began it, and this one does it again")
                }
                false => format!("it is kept as {kept}; do again what it was to do{doing}"),
            };
            told.aside(format!("generation {number}"), why, next);
        }
        for generation in believed.missing {
            let next = match known {
                Some(_) => TAKEN,
                None if generation < believed.said_again => SAID_AGAIN,
                None => "what only this generation changed is as it was before: add again what is missing now",
            };
            told.aside(format!("generation {generation}"), "what it changed is not stored", next);
        }
        let mut base = Base::furnished(home.clone(), now)?;
        let transaction = rows::begin(&mut base.rows)?;
        let mut newest = None;
        for (generation, id) in believed.generations {
            let manifest = newest.insert(Manifest::of(objects, generation, id)?);
            rows::replay(&transaction, manifest, id)?;
        }
        derive_all(&transaction, objects, &mut |lacking| lack(objects, lacking, &mut told))?;
        shown::leave_to_be_written(&transaction, objects, newest.as_ref().filter(|_| known.is_none()))?;
        shown::note_fates(&transaction, home.fs())?;
        told.documents = rows::registry::tally(&transaction)?.documents;
        base.broken = true;
        rows::commit(transaction)?;
        home.settle(&mut base.rows).map_err(KbError::rows("make its rows again"))?;
        base.broken = false;
        Ok(Self { base, told })
    }

    /// Says again what only lost generations changed, as rows tell it that can still be used: as a generation, which is shown once these
    /// rows are in their place.
    fn bridge(&mut self, known: &Connection, held: &BaseLock, now: Timestamp, lost: &[u32]) -> Result<(), KbError> {
        self.base.note(|rows| gap::note(known, rows))?;
        let gap = Gap::between(known, &self.base.rows)?;
        self.base.finish(held)?;
        let (fs, mut lacking) = (self.base.home.clone(), Vec::new());
        self.base.commit_unshown(now, SAYS_AGAIN, &gap::told(lost), |draft| gap.say(draft, &mut lacking))?;
        lacking.into_iter().try_for_each(|lacking| lack(Objects::new(fs.fs()), lacking, &mut self.told))?;
        self.told.documents = rows::registry::tally(&self.base.rows)?.documents;
        Ok(())
    }

    fn ended(self, held: &BaseLock, replaced: Vec<String>) -> Result<Rebuilt, KbError> {
        let Self { mut base, told } = self;
        base.finish(held)?;
        let fated = |fate| survey::fated(&base.rows, fate);
        let edits =
            Edits { edited: fated(Fate::Merged)?, deleted: fated(Fate::Deleted)?, conflicts: fated(Fate::Conflict)? };
        let Told { generations, documents, aside, more } = told;
        Ok(Rebuilt { base, generations, documents, edits, aside, more, replaced })
    }
}

/// Tells what is lacking; bytes that are damaged go aside, so that they can be stored again.
fn lack(objects: Objects<'_>, lacking: Lacking, told: &mut Told) -> Result<(), KbError> {
    let aside = |id: ContentId, error: &KbError| match error {
        KbError::ObjectDamaged { .. } => {
            objects.set_aside(id, "its bytes are not those that it is called by").map(drop)
        }
        _ => Ok(()),
    };
    let why = |error: &KbError| with_causes(error);
    match lacking {
        Lacking::Document(name, error) => {
            told.aside(format!("the document {name}"), why(&error), "it is left out: add it again");
        }
        Lacking::Compiled(name, id, error) => {
            aside(id, &error)?;
            let next = format!("it says nothing on any page until `highwater kb recompile {name}`");
            told.aside(format!("what was compiled from the document {name}"), why(&error), next);
        }
        Lacking::File(path, id, error) => {
            aside(id, &error)?;
            told.aside(
                path.to_string(),
                why(&error),
                "`highwater kb lint --fix` stores it again where the file still has its bytes",
            );
        }
    }
    Ok(())
}
