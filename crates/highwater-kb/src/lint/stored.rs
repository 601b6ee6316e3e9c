//! The files of the generation: whether they stand on the disk, and whether their bytes are stored. Owns what is said of a file that a
//! person deleted, and of an object that is not there.

use super::history::History;
use super::mend::Lost;
use super::{Finding, Kind, Look, Progress, ROWS};
use crate::base::{Found, ObjectStanding, look as look_at};
use crate::content::ContentId;
use crate::error::KbError;
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
    let (kind, is) = match standing {
        ObjectStanding::There => return Ok(()),
        ObjectStanding::Missing => (Kind::ObjectMissing, "are not there"),
        ObjectStanding::Damaged => (Kind::ObjectDamaged, "are damaged"),
    };
    let what = format!("the bytes that the base keeps of it, as the object {content}, {is}");
    let stands = look_at(look.snapshot.disk(), &path.to_rel())? == Found::File(content);
    let mends = match stands {
        true => "they are stored again from the file".to_owned(),
        false if standing == ObjectStanding::Missing && look.raws.contains(path.as_str()) => {
            "put the file there as it was, and call again; or add the document again".to_owned()
        }
        false => "put the file there as it was, and call again".to_owned(),
    };
    let told = look.tell(Finding { kind, file: path.to_string(), line: None, what, mends, fix: stands });
    if told && stands {
        look.lost.push(Lost { path: path.clone(), content });
    }
    Ok(())
}

/// What each generation changed: without it there is no way back beyond it. With `verify`, all that it had is looked at, too.
fn generations(look: &mut Look<'_>) -> Result<(), KbError> {
    let (mut after, mut history) = (0, History::default());
    loop {
        let generations = look.snapshot.generations_after(after, ROWS)?;
        let Some((last, _)) = generations.last() else { return history.tell(look) };
        after = *last;
        for (number, id) in generations {
            let (kind, is) = match look.snapshot.stored().manifest_standing(number, id, look.verify)? {
                ObjectStanding::There => {
                    if look.verify
                        && let Some(manifest) = look.snapshot.manifest(number)?
                    {
                        history.take_in(look, &manifest)?;
                    }
                    continue;
                }
                ObjectStanding::Missing => (Kind::ObjectMissing, "is not there"),
                ObjectStanding::Damaged => (Kind::ObjectDamaged, "is damaged"),
            };
            let what = format!("what generation {number} changed, which is stored there, {is}");
            let mends = "bring it back from a copy of the base; without it nothing is taken back beyond it";
            look.note(kind, format!(".highwater/objects/generation-{number:010}"), what, mends);
        }
    }
}
