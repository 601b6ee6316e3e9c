//! The files of the generation: whether they stand on the disk, and whether their bytes are stored. Owns what is said of a file that a
//! person deleted, and of an object that is not there.

use super::history::History;
use super::mend::Lost;
use super::{Finding, Kind, Look, Progress, ROWS};
use crate::base::{Found, look as look_at};
use crate::content::ContentId;
use crate::document::DocName;
use crate::error::KbError;
use crate::fold::is_of_base;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

pub(super) fn look(look: &mut Look<'_>, progress: &mut Progress<'_>) -> Result<(), KbError> {
    look.files = look.snapshot.count_below("")?;
    let (mut after, mut seen) = (String::new(), 0);
    loop {
        let files = look.snapshot.files_after(&after, ROWS)?;
        let Some((last, _)) = files.last() else { break };
        after = last.to_string();
        for (path, content) in files {
            seen += 1;
            progress(seen, 2 * look.files);
            file(look, &path, content)?;
        }
    }
    generations(look)
}

fn file(look: &mut Look<'_>, path: &FilePath, content: ContentId) -> Result<(), KbError> {
    if !look.unapplied.contains(path) && look.snapshot.disk().stat(&path.to_rel())?.is_none() {
        look.deleted.insert(path.to_string());
        // Of what a document was given as, it is told with the document.
        if !look.raws.contains(path.as_str()) {
            let name = path.as_str().strip_prefix("wiki/").and_then(|path| path.strip_suffix(".md"));
            let linked = name.map_or(Ok(0), |name| look.snapshot.linked_from(name).map(|from| from.len()))?;
            let what = match linked {
                0 => "a person deleted it; it stays away".to_owned(),
                1 => "a person deleted it; it stays away, and 1 page links to it".to_owned(),
                linked => format!("a person deleted it; it stays away, and {linked} pages link to it"),
            };
            look.note(Kind::Deleted, path, what, format!("`highwater kb resolve {path} --theirs` puts it back"));
        }
    }
    let standing = look.snapshot.stored().standing(content, look.verify)?;
    look.saw(content);
    let Some((kind, is)) = Kind::of_object(standing) else { return Ok(()) };
    let what = format!("what the base keeps of it, as the object {content}, {is}");
    let found = look_at(look.snapshot.disk(), &path.to_rel())?;
    let stands = found == Found::File(content);
    let is_rendered = !stands && is_of_base(path);
    let mends = match maker(look, path)? {
        _ if stands => "it is stored again from the file".to_owned(),
        _ if is_rendered => "it is made again of what the base knows, and stored".to_owned(),
        Some(name) => format!("`highwater kb recompile {name}` stores it again"),
        None if found == Found::Nothing => "put the file there as it was, and call again".to_owned(),
        None => "keep what stands there elsewhere, put the file there as it was, and call again".to_owned(),
    };
    let fix = stands || is_rendered;
    let told = look.tell(Finding { kind, file: path.to_string(), line: None, what, mends, fix });
    if told && stands {
        look.lost.push(Lost { path: path.clone(), content });
    }
    if told && is_rendered {
        look.rendered.insert(path.clone());
    }
    Ok(())
}

/// The document that makes a file, once it is made anew from what it was given as.
fn maker(look: &Look<'_>, path: &FilePath) -> Result<Option<DocName>, KbError> {
    let Some(name) = path.as_str().strip_prefix("wiki/") else { return Ok(None) };
    let image = name.strip_prefix("sources/images/").and_then(|image| image.split_once('/'));
    let page = name.strip_suffix(".md").and_then(|name| name.parse::<PageName>().ok());
    let stem = match (image, page) {
        (Some((stem, _)), _) => Some(stem.to_owned()),
        (None, Some(page)) if matches!(page.kind(), PageKind::Source | PageKind::Summary) => {
            Some(page.stem().to_owned())
        }
        (None, Some(page)) => return look.snapshot.first_of(&page),
        (None, None) => None,
    };
    let Some(name) = stem.and_then(|stem| DocName::try_from(stem).ok()) else { return Ok(None) };
    let document = look.snapshot.document(&name)?;
    // Of what came by its text alone nothing is made anew.
    Ok(document.filter(|document| document.raw.as_str().starts_with("raw/")).map(|_| name))
}

/// What each generation changed: without it there is no way back beyond it. With `verify`, all that it had is looked at, too.
fn generations(look: &mut Look<'_>) -> Result<(), KbError> {
    let (mut after, mut history) = (0, History::default());
    loop {
        let generations = look.snapshot.generations_after(after, ROWS)?;
        let Some((last, _)) = generations.last() else { return history.tell(look) };
        after = *last;
        for (number, id) in generations {
            let standing = look.snapshot.stored().manifest_standing(number, id, look.verify)?;
            let Some((kind, is)) = Kind::of_object(standing) else {
                if look.verify
                    && let Some(manifest) = look.snapshot.manifest(number)?
                {
                    history.take_in(look, &manifest)?;
                }
                continue;
            };
            let what = format!("what generation {number} changed, which is stored there, {is}");
            let mends = "bring it back from a copy of the base, or let `highwater kb rebuild --force` say again what the \
                         database knows of it; without it nothing is taken back beyond it";
            look.note(kind, format!(".highwater/objects/generation-{number:010}"), what, mends);
        }
    }
}
