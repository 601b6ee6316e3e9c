//! The pages of an older base that several documents share: concepts and entities. Owns whose a page is. Its text was written anew for
//! each document that came, so it is all of theirs: it stands on our page for as long as one of them is there.

use std::collections::HashMap;

use highwater_fs::{Fs, FsError};

use super::front::{self, Older};
use super::shelf;
use super::survey::NotTaken;
use super::{body, registry};
use crate::compile::Contribution;
use crate::page::link::{self, Names};
use crate::page::{PageKind, PageName};
use crate::path::FilePath;
use crate::prose;
use pulldown_cmark::HeadingLevel;

/// The most bytes of a page that is taken over: it becomes a part of what is known of each of its documents.
pub(super) const PAGE_BYTES_MAX: u64 = 1 << 20;
/// The highest heading below that of a section on our page.
const HIGHEST: HeadingLevel = HeadingLevel::H3;
/// What says of an entity no more than that it is one.
const SAYS_NOTHING: [&str; 3] = ["", "entity", "other"];

/// A page that documents share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) page: PageName,
    pub(super) file: FilePath,
    /// Its documents, by their places in the list, in its order.
    pub(super) documents: Vec<usize>,
    pub(super) bytes: u64,
}

/// How a page names its documents: by their pages, or as their files were called.
pub(super) type Documents = HashMap<String, usize>;

/// Reads the pages of one kind.
pub(super) fn read(
    disk: &dyn Fs,
    kind: PageKind,
    files: Vec<FilePath>,
    documents: &Documents,
    not_taken: &mut Vec<NotTaken>,
) -> Result<Vec<Shared>, FsError> {
    let mut shared = Vec::with_capacity(files.len());
    for file in files {
        let mut not = |why: &str| not_taken.push(NotTaken::new(file.as_str(), why));
        let Some(stem) = stem(kind, &file) else {
            not("it is no Markdown");
            continue;
        };
        let Ok(page) = format!("{}/{stem}", kind.directory()).parse::<PageName>() else {
            not("no link of ours could name it: it stays as a page of yours");
            continue;
        };
        let text = match shelf::read(disk, &file, PAGE_BYTES_MAX)? {
            Ok(bytes) => String::from_utf8(bytes),
            Err(why) => {
                not(&format!("{why}: it stays as a page of yours"));
                continue;
            }
        };
        let Ok(text) = text else {
            not("it is no UTF-8: it stays as a page of yours");
            continue;
        };
        let documents = documents_of(&text, documents);
        if documents.is_empty() {
            not("it names no document that is taken over: it stays as a page of yours");
            continue;
        }
        shared.push(Shared { page, file, documents, bytes: text.len() as u64 });
    }
    Ok(shared)
}

/// The name of a page's file without its directory and its suffix.
pub(super) fn stem(kind: PageKind, file: &FilePath) -> Option<&str> {
    let name = file.as_str().strip_prefix("wiki/")?.strip_prefix(kind.directory())?.strip_prefix('/')?;
    name.strip_suffix(".md").filter(|stem| !stem.contains('/'))
}

/// Its documents as its front matter names them; where that names none, those that it links.
fn documents_of(text: &str, documents: &Documents) -> Vec<usize> {
    let (Older { sources, .. }, _) = front::read(text);
    let mut found = Vec::new();
    let mut take = |named: &str| {
        let named = named.strip_prefix("summaries/").unwrap_or(named);
        let place = [named.strip_suffix(".md").unwrap_or(named), named].iter().find_map(|name| documents.get(*name));
        if let Some(place) = place.filter(|place| !found.contains(*place)) {
            found.push(*place);
        }
    };
    sources.iter().for_each(|source| take(source));
    if sources.is_empty() {
        let linked = link::links(text).into_iter().filter(|link| link.wiki && link.target.starts_with("summaries/"));
        linked.for_each(|link| take(&link.target));
    }
    found
}

/// What each document of a page says on it: the page's own text. `names` are the pages that there are, and `called` how those will
/// be called whose name changes; `is_own` says which summaries are those of its documents.
pub(super) fn contribution(
    shared: &Shared,
    text: &str,
    names: &Names,
    called: impl Fn(&str) -> Option<String>,
    is_own: impl Fn(&str) -> bool,
) -> Contribution {
    let (older, rest) = front::read(text);
    let (title, rest) = body::titled(rest);
    let rest = body::without_lists(rest, is_own);
    let mut said = body::linked(&body::fitted(&rest, HIGHEST), names, called).trim_matches('\n').to_owned();
    if shared.page.kind() == PageKind::Entity {
        let what = about(&older);
        if !what.is_empty() {
            said = format!("{what}\n\n{said}");
        }
    }
    Contribution {
        page: shared.page.clone(),
        title: title.unwrap_or_else(|| readable(shared.page.stem())),
        description: older.description,
        body: said.trim_end().to_owned(),
        alone: true,
    }
}

/// What the front matter of an entity says of it, which that of our pages does not.
fn about(older: &Older) -> String {
    let says = !SAYS_NOTHING.contains(&older.kind.to_lowercase().as_str());
    let kind = says.then(|| format!("Kind: {}.", prose::markdown_inside(&older.kind)));
    let aliases: Vec<String> = older.aliases.iter().map(|alias| prose::markdown_inside(alias)).collect();
    let aliases = (!aliases.is_empty()).then(|| format!("Also called: {}.", aliases.join(", ")));
    kind.into_iter().chain(aliases).collect::<Vec<_>>().join(" ")
}

/// `tidal-range` as people write it.
fn readable(stem: &str) -> String {
    let words = stem.replace(['-', '_'], " ");
    let mut characters = words.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// The places in the list by each way in which a page may name a document.
pub(super) fn lookup<'r>(rows: impl Iterator<Item = &'r registry::Row>) -> Documents {
    let mut documents = Documents::new();
    let rows: Vec<_> = rows.collect();
    for (place, row) in rows.iter().enumerate() {
        documents.entry(row.stem.clone()).or_insert(place);
    }
    // The name of a file is the older way, and that of a page goes before it.
    for (place, row) in rows.iter().enumerate() {
        documents.entry(row.file_name.clone()).or_insert(place);
    }
    documents
}
