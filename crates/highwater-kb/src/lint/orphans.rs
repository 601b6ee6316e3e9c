//! Pages that nothing links to: those that documents share, and explorations. Owns what counts as a link: the index and the log list
//! what is there, and a report tells of it; none of them links.

use highwater_fs::Kind as FileKind;

use super::{Kind, Look, ROWS};
use crate::error::KbError;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

pub(super) fn look(look: &mut Look<'_>) -> Result<(), KbError> {
    for kind in [PageKind::Concept, PageKind::Entity] {
        let mut after = Vec::new();
        loop {
            let listed = look.snapshot.listed_after(kind, &after, ROWS)?;
            let Some(last) = listed.last() else { break };
            after = last.key.clone();
            listed.iter().try_for_each(|page| one(look, &page.name.path()))?;
        }
    }
    let below = format!("wiki/{}/", PageKind::Exploration.directory());
    let mut after = below.clone();
    loop {
        let files = look.snapshot.files_after(&after, ROWS)?;
        let Some((last, _)) = files.last().filter(|(last, _)| last.as_str().starts_with(&below)) else { break };
        after = last.to_string();
        for (path, _) in files.iter().filter(|(path, _)| path.as_str().ends_with(".md")) {
            one(look, path)?;
        }
    }
    let own = |path: &&String| path.starts_with(&below) && path.ends_with(".md");
    let made: Vec<FilePath> = look.foreign.iter().filter(own).filter_map(|path| FilePath::new(path).ok()).collect();
    made.iter().try_for_each(|path| one(look, path))
}

fn one(look: &mut Look<'_>, path: &FilePath) -> Result<(), KbError> {
    let stands = look.snapshot.disk().stat(&path.to_rel())?.is_some_and(|there| there.kind == FileKind::File);
    if !stands || look.unapplied.contains(path) || look.led_to.contains(path.as_str()) {
        return Ok(());
    }
    let Some(name) = path.as_str().strip_prefix("wiki/").and_then(|path| path.strip_suffix(".md")) else {
        return Ok(());
    };
    // Of what the base renders, rows tell the links; of what people changed, it was read.
    let links = |origin: &String| {
        let file = format!("wiki/{origin}.md");
        let is_page = origin.parse::<PageName>().is_ok_and(|page| {
            matches!(page.kind(), PageKind::Source | PageKind::Summary | PageKind::Concept | PageKind::Entity)
        });
        is_page && origin != name && !look.edited.contains(&file) && !look.deleted.contains(&file)
    };
    if !look.snapshot.linked_from(name)?.iter().any(links) {
        look.note(Kind::Orphan, path, "no page links to it", format!("link it where it belongs: [[{name}]]"));
    }
    Ok(())
}
