//! Which documents a command is about: by their names, or by what they were added from. Owns how they are found, and what is said of
//! one that is not there.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_kb::base::LISTED_MAX;
use highwater_kb::web::Address;
use highwater_kb::{DocName, KbError, Origin, Snapshot};

use super::UNKNOWN_DOCUMENT;
use super::place::Place;
use crate::config::suggestion;

/// The documents that are asked for, each once, in their order.
///
/// # Errors
/// A refusal for each that is not there, with the one that was probably meant.
pub(super) fn named(place: &Place, base: &Snapshot, asked: &[PathBuf]) -> Result<Vec<DocName>, Vec<Diagnosis>> {
    let failed = |error: KbError| vec![place.failed(&error)];
    let (mut names, mut unknown) = (Vec::new(), Vec::new());
    for asked in asked {
        match find(base, asked).map_err(failed)? {
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
            None => unknown.push(refusal(place, base, asked).map_err(failed)?),
        }
    }
    if unknown.is_empty() { Ok(names) } else { Err(unknown) }
}

fn find(base: &Snapshot, asked: &Path) -> Result<Option<DocName>, KbError> {
    let text = asked.to_str();
    if let Some(name) = text.map(|name| base.document_called(name)).transpose()?.flatten() {
        return Ok(Some(name));
    }
    match origin(asked) {
        Some(origin) => base.document_from(&origin),
        None => Ok(None),
    }
}

/// What something is added from that is called so.
fn origin(asked: &Path) -> Option<Origin> {
    let address = asked.to_str().and_then(|text| Address::parse(text).ok()).map(|address| address.origin());
    address.or_else(|| std::path::absolute(asked).ok().map(|path| Origin::of_file(&path)))
}

/// Whether a document is asked for by its name, or by what it was added from.
pub(super) fn is_meant(asked: &Path, name: &DocName, from: &Origin) -> bool {
    let is_named = asked.to_str().is_some_and(|asked| asked.to_lowercase() == name.as_str().to_lowercase());
    is_named || origin(asked).as_ref() == Some(from)
}

fn refusal(place: &Place, base: &Snapshot, asked: &Path) -> Result<Diagnosis, KbError> {
    let next = match near(base, asked)? {
        Some(name) => format!("did you mean `{name}`? `highwater kb list` shows all of them"),
        None => "name it as `highwater kb list` shows it, or by the path it was added from".to_owned(),
    };
    let message = format!("there is no document {asked:?}, and none was added from there");
    Ok(Diagnosis::refusal(UNKNOWN_DOCUMENT, message, next).in_file(&place.root))
}

/// The document whose name is nearest to what was asked for, or to the name of its file, if one is near.
fn near(base: &Snapshot, asked: &Path) -> Result<Option<String>, KbError> {
    let typed = asked.to_string_lossy();
    let stem = asked.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let (mut after, mut near) = (0, [None, None]);
    loop {
        let page = base.documents(after, LISTED_MAX)?;
        let Some((_, last)) = page.last() else { break };
        after = last.sequence;
        for (found, near) in [&typed, &stem].into_iter().zip(&mut near) {
            let names = page.iter().map(|(name, _)| name.as_str()).chain(near.as_deref());
            *near = suggestion(found, names).map(str::to_owned);
        }
    }
    Ok(near.into_iter().flatten().next())
}
