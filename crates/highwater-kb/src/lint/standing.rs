//! What stands in `wiki/` and `raw/`: each file against what the generation has there. Owns what is said of what a person edited, made,
//! or left beside a page. A page is read once, and handed on to those who look for its links and its front matter.

use highwater_fs::{Entry, FsError, Kind as FileKind, RelPath};

use super::{Kind, Look, Progress, front, links};
use crate::base::{Found, PAGE_BYTES_MAX, layout, look as look_at};
use crate::conflict::Version;
use crate::content::ContentId;
use crate::error::KbError;
use crate::page::{PageKind, rendered};
use crate::path::{FilePath, RAW, WIKI};

/// How deep directories are gone into.
const DEPTH_MAX: usize = 64;

/// A page that was read.
pub(super) struct Page<'t> {
    pub(super) path: &'t FilePath,
    pub(super) text: &'t str,
    pub(super) content: ContentId,
    /// What pages of its directory are.
    pub(super) kind: Option<PageKind>,
    /// What the generation has there.
    pub(super) generated: Option<ContentId>,
}

impl Page<'_> {
    /// Whether the base renders it anew, and not only keeps what was written.
    pub(super) fn is_rendered(&self) -> bool {
        self.generated.is_some() && !matches!(self.kind, Some(PageKind::Exploration | PageKind::Report))
    }

    /// Whether its links count, and rows do not tell of them: it lists nothing, and a person wrote it, or part of it.
    pub(super) fn is_told_of(&self) -> bool {
        let lists = self.kind == Some(PageKind::Report) || (self.kind.is_none() && self.generated.is_some());
        !(lists || self.is_rendered() && self.is_as_generated())
    }

    /// Whether it stands as the generation has it.
    pub(super) fn is_as_generated(&self) -> bool {
        self.generated == Some(self.content)
    }
}

pub(super) fn look(look: &mut Look<'_>, progress: &mut Progress<'_>) -> Result<(), KbError> {
    let mut seen = 0;
    for root in [WIKI, RAW] {
        let mut directories = vec![(layout(root), 0)];
        while let Some((directory, depth)) = directories.pop() {
            let entries = match look.snapshot.disk().list(&directory) {
                Ok(entries) => entries,
                // Somebody took it away, or put something else there.
                Err(FsError::Io { .. }) if look.snapshot.disk().stat(&directory)?.is_none() => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in &entries {
                // Those of an editor, of a synchronisation, of a change on its way.
                if entry.name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                if entry.kind == FileKind::Dir && depth < DEPTH_MAX {
                    in_its_place(look, &directory, entry)?;
                    let below = directory.join(&entry.name).map_err(|error| KbError::Path(error.into()))?;
                    directories.push((below, depth + 1));
                } else {
                    one(look, &directory, entry)?;
                    // What people made may be more.
                    seen = look.files.min(seen + 1);
                    progress(look.files + seen, 2 * look.files);
                }
            }
        }
    }
    Ok(())
}

fn one(look: &mut Look<'_>, directory: &RelPath, entry: &Entry) -> Result<(), KbError> {
    let name = entry.name.to_string_lossy();
    let shown = format!("{directory}/{name}");
    let path = match (entry.name.to_str(), FilePath::new(shown.as_str())) {
        (Some(_), Ok(path)) => path,
        _ => {
            look.note(Kind::Foreign, shown, "no file of the base has such a name", "give it another name");
            return Ok(());
        }
    };
    if look.unapplied.contains(&path) {
        return Ok(());
    }
    let generated = look.snapshot.content(&path)?;
    let is_file = entry.kind == FileKind::File;
    if let Some(Version { of: page, .. }) = look.snapshot.beside().version(&path)? {
        let what = format!("it was to be {page}, which a person had edited");
        let mends = format!("`highwater kb resolve {page} --mine` keeps yours, `--theirs` takes this one");
        look.note(Kind::Conflict, &path, what, mends);
        return Ok(());
    }
    let Some(generated) = generated else { return foreign(look, &path, is_file) };
    if path.as_str().starts_with("raw/") && !look.raws.contains(path.as_str()) {
        let mends = format!("delete it, or add it again: `highwater kb add {path}`");
        look.note(Kind::RawKept, &path, "its document was removed, and the file was kept", mends);
    }
    if !is_file {
        displaced(look, &path);
        return Ok(());
    }
    if is_page(&path) {
        return page(look, &path, Some(generated));
    }
    // Without a look at its bytes, a file of the same length is taken for the same.
    let disk = look.snapshot.disk();
    let is_same = match look.verify {
        true => look_at(disk, &path.to_rel())? == Found::File(generated),
        false => {
            let (stands, stored) = (disk.stat(&path.to_rel())?, look.snapshot.stored().len(generated)?);
            // Of two lengths either may be the one that is wrong.
            let is_as_long = stored.is_none() || stands.map(|stands| stands.len) == stored;
            is_as_long || look_at(disk, &path.to_rel())? == Found::File(generated)
        }
    };
    if !is_same {
        edited(look, &path, Differs::Anywhere);
    }
    Ok(())
}

/// Tells of a directory where the generation has a file.
fn in_its_place(look: &mut Look<'_>, directory: &RelPath, entry: &Entry) -> Result<(), KbError> {
    let path = entry.name.to_str().and_then(|name| FilePath::new(format!("{directory}/{name}")).ok());
    if let Some(path) = path.filter(|path| !look.unapplied.contains(path))
        && look.snapshot.content(&path)?.is_some()
    {
        displaced(look, &path);
    }
    Ok(())
}

fn displaced(look: &mut Look<'_>, path: &FilePath) {
    let what = "a directory, a symlink or the like is in its place";
    let mends = format!("to have the file again, move that elsewhere, then `highwater kb resolve {path} --theirs`");
    look.note(Kind::Edited, path, what, mends);
    look.edited.insert(path.to_string());
}

fn is_page(path: &FilePath) -> bool {
    path.as_str().starts_with("wiki/") && path.as_str().ends_with(".md")
}

fn foreign(look: &mut Look<'_>, path: &FilePath, is_file: bool) -> Result<(), KbError> {
    if path.as_str().starts_with("raw/") {
        // A base whose rows were made again may not know each file of its documents.
        if !look.raws.contains(path.as_str()) {
            let mends = format!("add it: `highwater kb add {path}`; or move it elsewhere");
            look.note(Kind::RawWithoutDocument, path, "no document was given as this file", mends);
        }
        return Ok(());
    }
    look.foreign.insert(path.to_string());
    let what = "it is no part of the base: a person made it";
    look.note(Kind::Foreign, path, what, "nothing need be done; it is yours, and no search finds it");
    if is_file && is_page(path) { page(look, path, None) } else { Ok(()) }
}

/// Where a page that has markers differs from what the base has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Differs {
    /// It has none.
    Anywhere,
    /// Outside of them, as far as it is known.
    Outside,
    /// Between them.
    Inside,
}

fn edited(look: &mut Look<'_>, path: &FilePath, differs: Differs) {
    let (what, mends) = match differs {
        Differs::Anywhere => {
            ("a person edited it", "nothing need be done: what comes is merged into it, or laid beside it".to_owned())
        }
        Differs::Outside => (
            "a person edited it",
            "nothing need be done: outside its two markers it is yours, and between them what comes is merged into it"
                .to_owned(),
        ),
        Differs::Inside => (
            "a person edited it, and between its two markers it is not what the base has",
            format!(
                "nothing need be done: what comes is merged into it, or laid beside it; to have there again what the base has, move it \
                 elsewhere, then `highwater kb resolve {path} --theirs`"
            ),
        ),
    };
    look.note(Kind::Edited, path, what, mends);
    look.edited.insert(path.to_string());
}

/// Where a page differs from what the base has there; without the bytes of that, nobody knows.
fn differs(look: &Look<'_>, stands: &str, generated: ContentId) -> Result<Differs, KbError> {
    let Some((_, stands, _)) = rendered::marked(stands) else { return Ok(Differs::Anywhere) };
    let generated = match look.snapshot.stored().read(generated, PAGE_BYTES_MAX) {
        Ok(generated) => generated,
        Err(KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. } | KbError::Fs(_)) => {
            return Ok(Differs::Outside);
        }
        Err(error) => return Err(error),
    };
    let generated = String::from_utf8_lossy(&generated);
    let is_same = rendered::marked(&generated).is_none_or(|(_, generated, _)| generated == stands);
    Ok(if is_same { Differs::Outside } else { Differs::Inside })
}

fn page(look: &mut Look<'_>, path: &FilePath, generated: Option<ContentId>) -> Result<(), KbError> {
    let bytes = match look.snapshot.disk().read(&path.to_rel(), PAGE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(FsError::TooLarge { .. }) => {
            if let Some(generated) = generated
                && look_at(look.snapshot.disk(), &path.to_rel())? != Found::File(generated)
            {
                edited(look, path, Differs::Anywhere);
            }
            return Ok(());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    look.pages += 1;
    let content = ContentId::of(&bytes);
    let text = String::from_utf8(bytes);
    if let Some(generated) = generated.filter(|generated| *generated != content) {
        let differs = text.as_ref().map_or(Ok(Differs::Anywhere), |text| differs(look, text, generated))?;
        edited(look, path, differs);
    }
    let Ok(text) = text else { return Ok(()) };
    let directory = path.as_str().split('/').nth(1);
    let kind = PageKind::ALL.into_iter().find(|kind| Some(kind.directory()) == directory);
    // One that stands as the base has it, and that a converter of ours did not write, was taken over: it begins as it began there.
    if generated != Some(content) {
        front::look(look, path, &text, kind);
    }
    links::look(look, &Page { path, text: &text, content, kind, generated })
}
