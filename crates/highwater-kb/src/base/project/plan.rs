//! What is to be done with each file of a generation, and the bytes for it, staged. Owns what becomes of a person's edit, and the
//! plan as a file, which is there only once everything it speaks of is durable.

use std::collections::BTreeMap;
use std::io;

use highwater_fs::{Fs, FsError, FsFile, Kind, Mode, Op, RelPath, publish};
use serde::{Deserialize, Serialize};

use super::merge::{merge, version};
use super::{Fate, TMP, staged};
use crate::base::manifest::FileChange;
use crate::base::objects::Objects;
use crate::base::{PAGE_BYTES_MAX, layout};
use crate::content::ContentId;
use crate::error::KbError;
use crate::path::FilePath;

/// The most bytes of a plan.
const PLAN_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most files that are written before they are synced together: each is open until then.
const WAITING_MAX: usize = 64;
/// How the file of a plan ends.
pub(super) const PLAN_SUFFIX: &str = ".plan";
/// How many versions may lie beside one page.
pub(crate) const CONFLICTS_MAX: u32 = 100;

/// What is to be done with the files of a generation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) generation: u32,
    /// What its manifest is called; an earlier version of this program did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<ContentId>,
    pub(super) steps: Vec<Step>,
}

/// What a crash left of a plan.
#[derive(Debug)]
pub(super) enum Earlier {
    /// Nothing: nothing was done yet.
    None,
    /// All of it: something may be done.
    Plan(Plan),
    /// Something that is none, and why.
    Unreadable(String),
}

/// What is to be done with one file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The file that the generation changed.
    pub(super) file: FilePath,
    /// Where something is done: the file, or beside it.
    pub(super) path: FilePath,
    /// Whether its directory was not there.
    pub(super) new_directory: bool,
    pub(super) act: Act,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Act {
    /// Nothing: it is as it should be, or a person's.
    Leave,
    /// The staged bytes go where nothing is.
    Create { staged: ContentId },
    /// The staged bytes change places with what is there.
    Replace { staged: ContentId, expected: ContentId },
    /// What is there goes.
    Remove { expected: ContentId },
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    File(ContentId),
    /// A directory, a symlink, a device: a person's in any case.
    Other,
}

impl Plan {
    /// The plan of this generation, if it had come so far.
    pub(super) fn find(fs: &dyn Fs, generation: u32) -> Result<Earlier, KbError> {
        Self::read(fs, &plan_of(generation), generation)
    }

    /// What a file has that is the plan of a generation, or was.
    pub(super) fn read(fs: &dyn Fs, path: &RelPath, generation: u32) -> Result<Earlier, KbError> {
        let bytes = match fs.read(path, PLAN_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Earlier::None),
            Err(error) => return Err(error.into()),
        };
        Ok(match serde_json::from_slice::<Self>(&bytes) {
            Ok(plan) if plan.generation == generation => Earlier::Plan(plan),
            Ok(plan) => Earlier::Unreadable(format!("the plan is of generation {}", plan.generation)),
            Err(error) => Earlier::Unreadable(format!("the plan of generation {generation} cannot be read: {error}")),
        })
    }

    /// Decides on every file, stages what is needed, and publishes the plan.
    pub(super) fn draw(
        fs: &dyn Fs,
        (generation, manifest): (u32, ContentId),
        changes: &[FileChange],
    ) -> Result<Self, KbError> {
        let mut drafts = drafts(fs, Objects::new(fs), changes)?;
        // New pages, then changed ones, then what goes: whoever follows a link finds where it leads.
        drafts.sort_by_key(|draft| match draft.step.act {
            Act::Create { .. } => 0,
            Act::Replace { .. } | Act::Leave => 1,
            Act::Remove { .. } => 2,
        });
        let mut steps = Vec::with_capacity(drafts.len());
        let mut waiting = Vec::new();
        for (n, Draft { mut step, source, .. }) in drafts.into_iter().enumerate() {
            if let Some(source) = source {
                waiting.push(stage(fs, &name_of(generation, n), &step.path, &source)?);
                if waiting.len() == WAITING_MAX {
                    sync(fs, std::mem::take(&mut waiting))?;
                }
                step.new_directory = fs.stat(&step.path.directory())?.is_none();
            }
            steps.push(step);
        }
        sync(fs, waiting)?;
        let plan = Self { generation, manifest: Some(manifest), steps };
        fs.sync_dir(&layout(TMP))?;
        let bytes = serde_json::to_vec(&plan).expect("invariant: a plan is JSON");
        publish(fs, &plan_of(generation), &bytes, Mode::Umask)?;
        Ok(plan)
    }
}

/// A step, and where its bytes come from.
pub(super) struct Draft {
    pub(super) step: Step,
    pub(super) source: Option<Source>,
    /// What is at its file.
    pub(super) found: Found,
}

pub(super) enum Source {
    Object(ContentId),
    Merged(Vec<u8>),
}

/// What is to be done with each file, if nobody edits it meanwhile.
pub(super) fn drafts(fs: &dyn Fs, objects: Objects<'_>, changes: &[FileChange]) -> Result<Vec<Draft>, KbError> {
    let beside = beside_these(changes);
    changes.iter().map(|change| decide(fs, objects, change, &beside)).collect()
}

/// What changes lay beside files, and take away from there.
pub(super) fn beside_these(changes: &[FileChange]) -> Beside<'_> {
    let beside = changes.iter().filter(|change| change.path.lies_beside().is_some());
    beside.map(|change| (&change.path, change.new)).collect()
}

/// What the same generation lays beside files, and takes away from there.
pub(super) type Beside<'c> = BTreeMap<&'c FilePath, Option<ContentId>>;

pub(super) fn decide(
    fs: &dyn Fs,
    objects: Objects<'_>,
    change: &FileChange,
    moved: &Beside<'_>,
) -> Result<Draft, KbError> {
    let file = &change.path;
    let found = look(fs, &file.to_rel())?;
    let step = |act, fate| Step { file: file.clone(), path: file.clone(), new_directory: false, act, fate };
    let leave = |fate| Ok(Draft { step: step(Act::Leave, fate), source: None, found });
    let put = |act, fate, source| Ok(Draft { step: step(act, fate), source: Some(source), found });
    // What a person has there is theirs of the version that they began from.
    match (change.began.or(change.base), found, change.new) {
        (_, Found::Nothing, None) => leave(Fate::AsGenerated),
        (_, Found::File(there), Some(new)) if there == new => leave(Fate::AsGenerated),
        (None, Found::Nothing, Some(new)) => put(Act::Create { staged: new }, Fate::AsGenerated, Source::Object(new)),
        (Some(base), Found::File(there), Some(new)) if there == base => {
            put(Act::Replace { staged: new, expected: base }, Fate::AsGenerated, Source::Object(new))
        }
        (Some(base), Found::File(there), None) if there == base => {
            Ok(Draft { step: step(Act::Remove { expected: base }, Fate::AsGenerated), source: None, found })
        }
        (Some(_), Found::Nothing, Some(_)) => leave(Fate::Deleted),
        // It is what they began from: it is in conflict with theirs only if it was before, and then a version still lies beside it.
        (Some(base), Found::File(_) | Found::Other, Some(new)) if base == new && change.began.is_some() => {
            leave(if is_beside(fs, file, moved)? { Fate::Conflict } else { Fate::Merged })
        }
        // Nothing new came: what stands there is settled.
        (Some(base), Found::File(_) | Found::Other, Some(new)) if base == new => leave(Fate::Merged),
        (_, Found::File(_) | Found::Other, None) => leave(Fate::Kept),
        (base, Found::Other, Some(new)) => beside(fs, file, (base, new), found, moved),
        (base, Found::File(there), Some(new)) => match merged(fs, objects, file, base, there, new)? {
            Some(bytes) if ContentId::of(&bytes) == there => leave(Fate::Merged),
            Some(bytes) => {
                let act = Act::Replace { staged: ContentId::of(&bytes), expected: there };
                put(act, Fate::Merged, Source::Merged(bytes))
            }
            None => beside(fs, file, (base, new), found, moved),
        },
    }
}

/// The person's version and the new one in one, where they do not meet.
fn merged(
    fs: &dyn Fs,
    objects: Objects<'_>,
    path: &FilePath,
    base: Option<ContentId>,
    there: ContentId,
    new: ContentId,
) -> Result<Option<Vec<u8>>, KbError> {
    let Some(base) = base else { return Ok(None) };
    let (Some(base), Some(new)) = (version(objects, base)?, version(objects, new)?) else { return Ok(None) };
    let edited = match fs.read(&path.to_rel(), PAGE_BYTES_MAX) {
        // One who goes on editing is met when the step is done.
        Ok(edited) if ContentId::of(&edited) == there => edited,
        Ok(_) | Err(FsError::TooLarge { .. }) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(merge(&base, &edited, &new))
}

/// The new version goes beside a person's own, unless it lies there already; in the place of the version before it, where that lies there.
fn beside(
    fs: &dyn Fs,
    file: &FilePath,
    (before, new): (Option<ContentId>, ContentId),
    found: Found,
    moved: &Beside<'_>,
) -> Result<Draft, KbError> {
    let (path, there) = beside_of(fs, file, (before, new), moved)?;
    let (act, source) = match there {
        Some(there) if there == new => (Act::Leave, None),
        Some(there) => (Act::Replace { staged: new, expected: there }, Some(Source::Object(new))),
        None => (Act::Create { staged: new }, Some(Source::Object(new))),
    };
    let step = Step { file: file.clone(), path, new_directory: false, act, fate: Fate::Conflict };
    Ok(Draft { step, source, found })
}

/// Whether something lies beside `path` once that is done.
fn is_beside(fs: &dyn Fs, path: &FilePath, moved: &Beside<'_>) -> Result<bool, KbError> {
    for n in 1..=CONFLICTS_MAX {
        let place = path.beside(n)?;
        match moved.get(&place) {
            Some(Some(_)) => return Ok(true),
            Some(None) => {}
            None => return Ok(fs.stat(&place.to_rel())?.is_some()),
        }
    }
    Ok(false)
}

/// Where a version goes that cannot be at `path`, and what is there: nothing, itself, or the version `before` it, as it was laid there.
pub(super) fn beside_of(
    fs: &dyn Fs,
    path: &FilePath,
    (before, new): (Option<ContentId>, ContentId),
    moved: &Beside<'_>,
) -> Result<(FilePath, Option<ContentId>), KbError> {
    let mut superseded = None;
    for n in 1..=CONFLICTS_MAX {
        let place = path.beside(n)?;
        match moved.get(&place) {
            Some(comes) if *comes == Some(new) => return Ok((place, Some(new))),
            Some(_) => continue,
            None => {}
        }
        match look(fs, &place.to_rel())? {
            Found::Nothing => return Ok(superseded.unwrap_or((place, None))),
            Found::File(there) if there == new => return Ok((place, Some(new))),
            Found::File(there) if Some(there) == before && superseded.is_none() => superseded = Some((place, before)),
            _ => {}
        }
    }
    superseded.ok_or_else(|| KbError::Conflicts { path: path.clone(), limit: CONFLICTS_MAX })
}

/// What is at a path now.
pub(crate) fn look(fs: &dyn Fs, path: &RelPath) -> Result<Found, KbError> {
    match fs.stat(path)? {
        None => Ok(Found::Nothing),
        Some(stat) if stat.kind == Kind::File => match fs.reader(path) {
            Ok(reader) => match ContentId::of_stream(reader) {
                Ok((there, _)) => Ok(Found::File(there)),
                Err(source) => Err(FsError::Io { op: Op::Read, path: fs.locate(path), source }.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error.into()),
        },
        Some(_) => Ok(Found::Other),
    }
}

/// Stages bytes under the name that the plan has for them. What a crash leaves there is not looked at before there is a plan, and that
/// comes after their sync.
fn stage(fs: &dyn Fs, name: &str, target: &FilePath, source: &Source) -> Result<FsFile, KbError> {
    let mode = match fs.stat(&target.to_rel())? {
        Some(there) if there.kind == Kind::File => Mode::Exact(there.mode),
        _ => Mode::Umask,
    };
    let mut file = fs.create(&staged(name), mode)?;
    match source {
        Source::Object(id) => Objects::new(fs).copy(*id, &mut file)?,
        Source::Merged(bytes) => file.append(bytes)?,
    }
    Ok(file)
}

/// Makes staged bytes durable, all of them together.
fn sync(fs: &dyn Fs, mut waiting: Vec<FsFile>) -> Result<(), KbError> {
    Ok(fs.sync_files(&mut waiting.iter_mut().collect::<Vec<_>>())?)
}

pub(super) fn name_of(generation: u32, step: usize) -> String {
    format!("{generation}-{step}")
}

pub(super) fn plan_of(generation: u32) -> RelPath {
    staged(&format!("{generation}{PLAN_SUFFIX}"))
}
