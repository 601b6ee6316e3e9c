//! What is wrong in a base, or differs from what it has: one generation against itself, against its objects, and against what stands in
//! `wiki/` and `raw/`, where people edit.
//!
//! A **fault** is what a reader or a program meets as broken. A **note** is what people did, or what may be meant so: it is told, and
//! is nobody's fault. Owns which there are, the order of the looks, and what is held meanwhile: names of what people changed, and what
//! was found, never a list of all pages. Each sort of fault is looked for in a room below; what is mended is in `mend`.

mod advice;
mod alike;
mod documents;
mod front;
mod history;
mod links;
mod mend;
mod orphans;
mod report;
mod standing;
mod stored;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use serde::Serialize;

pub use self::advice::{Advice, FINDINGS_OF_A_PAGE_MAX, advise};
pub use self::mend::{Mended, mend};

use self::links::Open;
use self::mend::{Lost, Rewrite};
use crate::base::{Generation, Home, ObjectStanding, Snapshot, manifest_of};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// How many findings of one kind are kept; the others are counted.
pub const FINDINGS_OF_A_KIND_MAX: usize = 1_000;
/// Rows that are read at a time.
const ROWS: u32 = 1_000;

/// What was found, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A link that leads nowhere.
    BrokenLink,
    /// A version of a page lies beside a person's own.
    Conflict,
    /// A document whose file in `raw/` is not there.
    DocumentWithoutRaw,
    /// A document of which the base has no page.
    DocumentWithoutPage,
    /// A file in `raw/` that came into no document.
    RawWithoutDocument,
    /// A page without front matter, or with some that cannot be read.
    FrontMatter,
    /// A page whose front matter names no type of page.
    UnknownType,
    /// Bytes that the base needs and does not have.
    ObjectMissing,
    /// Bytes of the base that are others than they are called.
    ObjectDamaged,
    /// A generation that is committed and does not stand in `wiki/`.
    Unapplied,
    /// A link that several pages are called by.
    AmbiguousLink,
    /// Two concepts whose names say nearly the same.
    NearDuplicate,
    /// Two statements of a page that cannot both be true, as a model says.
    Contradiction,
    /// A statement that another one makes out of date, as a model says.
    Stale,
    /// What a page leaves open, as a model says.
    Gap,
    /// A page that nothing links to.
    Orphan,
    /// A file that a person edited.
    Edited,
    /// A file that a person deleted.
    Deleted,
    /// A file that is no part of the base.
    Foreign,
    /// A file in `raw/` that was kept when its document was removed.
    RawKept,
    /// Bytes that only an earlier generation had, or a person then, and that are not there or damaged.
    HistoryLost,
    /// The base was changed while it was looked at.
    Moved,
}

impl Kind {
    /// As it is told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BrokenLink => "broken-link",
            Self::Conflict => "conflict",
            Self::DocumentWithoutRaw => "document-without-raw",
            Self::DocumentWithoutPage => "document-without-page",
            Self::RawWithoutDocument => "raw-without-document",
            Self::FrontMatter => "front-matter",
            Self::UnknownType => "unknown-type",
            Self::ObjectMissing => "object-missing",
            Self::ObjectDamaged => "object-damaged",
            Self::Unapplied => "unapplied",
            Self::AmbiguousLink => "ambiguous-link",
            Self::NearDuplicate => "near-duplicate",
            Self::Contradiction => "contradiction",
            Self::Stale => "stale",
            Self::Gap => "gap",
            Self::Orphan => "orphan",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Foreign => "foreign",
            Self::RawKept => "raw-kept",
            Self::HistoryLost => "history-lost",
            Self::Moved => "moved",
        }
    }

    /// What it is that an object is so; `None` where nothing is wrong with it.
    fn of_object(standing: ObjectStanding) -> Option<(Self, &'static str)> {
        let kind = if standing == ObjectStanding::Missing { Self::ObjectMissing } else { Self::ObjectDamaged };
        standing.wrong().map(|is| (kind, is))
    }

    /// Whether it is a fault, and not just told.
    #[must_use]
    pub fn is_fault(self) -> bool {
        self <= Self::Unapplied
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, in one word.
    pub kind: Kind,
    /// The file, from the base's root; bytes that are no UTF-8 are shown as `�`.
    pub file: String,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What is so.
    pub what: String,
    /// What mends it.
    pub mends: String,
    /// Whether [`mend()`] does.
    pub fix: bool,
}

/// What a look at a base found.
#[derive(Debug)]
pub struct Linted {
    /// The generation that was looked at; `None` for a base in which nothing happened yet.
    pub generation: Option<Generation>,
    /// By kind, then by file and line; of each kind at most [`FINDINGS_OF_A_KIND_MAX`].
    pub findings: Vec<Finding>,
    /// How many there are of each kind, those that are not kept among them.
    pub counts: BTreeMap<Kind, u64>,
    /// Documents that were looked at.
    pub documents: u64,
    /// Pages that were read.
    pub pages: u64,
    rewrites: BTreeMap<FilePath, Rewrite>,
    lost: Vec<Lost>,
    /// Files of the base as a whole whose bytes are lost, and that are rendered again.
    rendered: BTreeSet<FilePath>,
}

impl Linted {
    /// How many faults there are.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.is_fault()).map(|(_, count)| count).sum()
    }

    /// How many notes there are.
    #[must_use]
    pub fn notes(&self) -> u64 {
        self.counts.iter().filter(|(kind, _)| !kind.is_fault()).map(|(_, count)| count).sum()
    }

    /// Whether the base was changed while it was looked at, so that not all is told.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.counts.contains_key(&Kind::Moved)
    }

    /// Whether there is something that [`mend()`] would mend.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        self.findings.iter().any(|finding| finding.fix)
    }
}

/// How far a look has come, of how much: each file is looked at as it is stored, and as it stands.
pub type Progress<'p> = dyn FnMut(u64, u64) + 'p;

/// Looks at the newest generation, and at what stands on the disk. Writes nothing. With `verify`, the bytes of every object that it or any
/// generation before it needs are read; without it only pages are read, and of the rest it is looked whether they are there.
///
/// # Errors
/// What the disk or the rows say.
pub fn lint(home: &Arc<dyn Home>, verify: bool, progress: &mut Progress<'_>) -> Result<Linted, KbError> {
    let snapshot = Snapshot::open(home.clone())?;
    let mut look = Look::new(&snapshot, verify)?;
    documents::look(&mut look)?;
    stored::look(&mut look, progress)?;
    standing::look(&mut look, progress)?;
    links::settle(&mut look)?;
    orphans::look(&mut look)?;
    alike::look(&mut look)?;
    look.ended(home)
}

/// A look on its way.
struct Look<'s> {
    snapshot: &'s Snapshot,
    verify: bool,
    found: Vec<Finding>,
    counts: BTreeMap<Kind, u64>,
    /// What is being written: nothing is said of it.
    unapplied: BTreeSet<FilePath>,
    /// What documents were given as.
    raws: HashSet<String>,
    /// Files of the generation that are not on the disk.
    deleted: HashSet<String>,
    /// Pages of the generation that stand otherwise on the disk.
    edited: HashSet<String>,
    /// Files below `wiki/` that the generation does not have.
    foreign: BTreeSet<String>,
    /// Links that do not name what they lead to in full.
    open: Vec<Open>,
    /// What is linked by what no program renders.
    led_to: HashSet<String>,
    rewrites: BTreeMap<FilePath, Rewrite>,
    lost: Vec<Lost>,
    rendered: BTreeSet<FilePath>,
    /// Objects whose bytes were read.
    seen: HashSet<ContentId>,
    /// Files of the generation.
    files: u64,
    documents: u64,
    pages: u64,
}

impl<'s> Look<'s> {
    fn new(snapshot: &'s Snapshot, verify: bool) -> Result<Self, KbError> {
        Ok(Self {
            snapshot,
            verify,
            found: Vec::new(),
            counts: BTreeMap::new(),
            unapplied: snapshot.unapplied()?.into_iter().map(|change| change.path).collect(),
            raws: HashSet::new(),
            deleted: HashSet::new(),
            edited: HashSet::new(),
            foreign: BTreeSet::new(),
            open: Vec::new(),
            led_to: HashSet::new(),
            rewrites: BTreeMap::new(),
            lost: Vec::new(),
            rendered: BTreeSet::new(),
            seen: HashSet::new(),
            files: 0,
            documents: 0,
            pages: 0,
        })
    }

    /// Notes that the bytes of an object were read, and what they are was told.
    fn saw(&mut self, id: ContentId) {
        if self.verify {
            self.seen.insert(id);
        }
    }

    /// Takes a finding in. `false` where there are too many of its kind to keep it.
    fn tell(&mut self, finding: Finding) -> bool {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        let kept = *count <= FINDINGS_OF_A_KIND_MAX as u64;
        if kept {
            self.found.push(finding);
        }
        kept
    }

    fn note(&mut self, kind: Kind, file: impl ToString, what: impl Into<String>, mends: impl Into<String>) {
        let (file, what, mends) = (file.to_string(), what.into(), mends.into());
        self.tell(Finding { kind, file, line: None, what, mends, fix: false });
    }

    /// What is left to say at the end: what changed meanwhile is not told as what people did.
    fn ended(mut self, home: &Arc<dyn Home>) -> Result<Linted, KbError> {
        // Those that are committed meanwhile are told of by what is opened after this.
        let stored = self.snapshot.stored().generations()?;
        let now = Snapshot::open(home.clone())?;
        let number = |snapshot: &Snapshot| snapshot.generation().map_or(0, |generation| generation.number);
        let (was, is) = (number(self.snapshot), number(&now));
        // The next one may be an attempt.
        for stray in stored.into_iter().filter(|stored| *stored > is.saturating_add(1)) {
            let what = format!("no generation has this number: the newest is {is}");
            let mends = "somebody put it there: move it elsewhere; a rebuild would take those before it for lost";
            self.note(Kind::Foreign, manifest_of(stray), what, mends);
        }
        if was == is {
            self.unapplied(home, &now, is)?;
        } else {
            let mut touched: BTreeSet<String> = self.unapplied.iter().map(ToString::to_string).collect();
            for generation in was + 1..=is {
                let manifest = now.manifest(generation)?;
                let changes = manifest
                    .iter()
                    .flat_map(|manifest| manifest.files.iter().chain(&manifest.edits).chain(&manifest.stands));
                touched.extend(changes.map(|change| change.path.to_string()));
            }
            for finding in self.found.extract_if(.., |finding| touched.contains(&finding.file)) {
                if let Some(count) = self.counts.get_mut(&finding.kind) {
                    *count = count.saturating_sub(1);
                }
            }
            self.rewrites.retain(|path, _| !touched.contains(path.as_str()));
            let what = format!("generation {is} came while generation {was} was looked at");
            self.note(Kind::Moved, "wiki/log.md", what, "call again: what was changed since is not told here");
        }
        self.counts.retain(|_, count| *count > 0);
        self.found.sort_by(|a, b| (a.kind, &a.file, a.line, &a.what).cmp(&(b.kind, &b.file, b.line, &b.what)));
        Ok(Linted {
            generation: self.snapshot.generation().cloned(),
            findings: self.found,
            counts: self.counts,
            documents: self.documents,
            pages: self.pages,
            rewrites: self.rewrites,
            lost: self.lost,
            rendered: self.rendered,
        })
    }

    /// A generation that nobody is bringing to `wiki/` at this moment is told.
    fn unapplied(&mut self, home: &Arc<dyn Home>, now: &Snapshot, generation: u32) -> Result<(), KbError> {
        let is_in_hand = || match home.try_lock() {
            Ok(lock) => Ok(lock.is_none()),
            // Nobody writes there.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(false),
            Err(error) => Err(KbError::io("be locked")(error)),
        };
        if self.unapplied.is_empty() || now.is_applied()? || is_in_hand()? {
            return Ok(());
        }
        let finding = Finding {
            kind: Kind::Unapplied,
            file: "wiki".to_owned(),
            line: None,
            what: format!("generation {generation} is committed, and does not stand in wiki/ and raw/ yet"),
            mends: "`highwater kb lint --fix` writes it, as does whatever changes the base next".to_owned(),
            fix: true,
        };
        self.tell(finding);
        Ok(())
    }
}
