//! Documents against their files: what they were given as, their pages, what was compiled from them. Owns that each document has them.

use highwater_engine::shell::quoted;
use highwater_fs::Kind as FileKind;

use super::{FINDINGS_OF_A_KIND_MAX, Kind, Look, ROWS};
use crate::error::KbError;
use crate::page::{PageKind, PageName};

/// The most documents that one command is told for.
const NAMED_MAX: usize = 16;
/// What mends more.
const ALL: &str = "`highwater kb recompile --all` makes it again, and the others";

pub(super) fn look(look: &mut Look<'_>) -> Result<(), KbError> {
    let (mut after, mut unsaid) = (0, Vec::new());
    loop {
        let documents = look.snapshot.documents(after, ROWS)?;
        let Some((_, last)) = documents.last() else { break };
        after = last.sequence;
        for (name, document) in documents {
            look.documents += 1;
            let raw = document.raw.as_str();
            look.raws.insert(raw.to_owned());
            let stands = look.snapshot.disk().stat(&document.raw.to_rel())?;
            if !look.unapplied.contains(&document.raw) && stands.is_none_or(|there| there.kind != FileKind::File) {
                let what = format!("the document {name} was given as this file, which is not there");
                let mends =
                    format!("`highwater kb resolve {raw} --theirs` puts it back; or `highwater kb remove {name}`");
                look.note(Kind::DocumentWithoutRaw, raw, what, mends);
            }
            for path in [PageName::of_document(PageKind::Summary, &name).path(), document.full_text.clone()] {
                if look.snapshot.content(&path)?.is_none() {
                    let what = format!("the document {name} has no such page");
                    let mends = format!("`highwater kb recompile {name}` makes it again");
                    look.note(Kind::DocumentWithoutPage, path, what, mends);
                }
            }
            let standing = look.snapshot.stored().standing(document.compiled, look.verify)?;
            look.saw(document.compiled);
            let Some((kind, is)) = Kind::of_object(standing) else { continue };
            let what = format!("what was compiled from the document {name}, as the object {}, {is}", document.compiled);
            match unsaid.len() < FINDINGS_OF_A_KIND_MAX {
                true => unsaid.push((name, kind, what)),
                false => look.note(kind, PageName::of_document(PageKind::Summary, &name).path(), what, ALL),
            }
        }
    }
    // Those that are made anew one by one would take from a page what the others say, and put it back.
    let names = || unsaid.iter().map(|(name, ..)| quoted(name.as_str())).collect::<Vec<_>>().join(" ");
    let mends = match unsaid.len() {
        0 | 1 => format!("`highwater kb recompile {}` makes it again", names()),
        2..=NAMED_MAX => format!("`highwater kb recompile {}` makes it again, and the others", names()),
        _ => ALL.to_owned(),
    };
    for (name, kind, what) in unsaid {
        look.note(kind, PageName::of_document(PageKind::Summary, &name).path(), what, mends.as_str());
    }
    Ok(())
}
