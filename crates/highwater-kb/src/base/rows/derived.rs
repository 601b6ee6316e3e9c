//! Rows that follow from the files and the documents of a generation: links, parts of texts, the log. Owns what of a change they
//! follow from, and that a rebuild makes the same ones from the newest state alone.

use std::collections::BTreeSet;

use highwater_db::sqlite::rusqlite::{self, Connection};
use highwater_fs::FsError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{all, document, file, one, passages, registry, told};
use crate::base::PAGE_BYTES_MAX;
use crate::base::manifest::{Entry, FileChange, Manifest};
use crate::base::objects::Objects;
use crate::compile::Compiled;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::page::{PageKind, PageName, front, link};
use crate::path::FilePath;

/// The most bytes of a page whose links are kept: the text of a document may be larger.
const LINKED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most bytes of what was compiled from a document.
const COMPILED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where an entry of the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `2026-11`.
    pub(crate) month: String,
    /// Which of the month's entries it is, from 1.
    pub(crate) n: u32,
}

const NEWEST_MONTH: &str = "SELECT month, n FROM logged WHERE month > '' ORDER BY month DESC, n DESC LIMIT 1";
const MONTH_BEFORE: &str = "SELECT max(month) FROM logged WHERE month < ?1";
const LINKS: &str = "SELECT target FROM link WHERE origin = ?1";
const LINKED_FROM: &str = "SELECT origin FROM link WHERE target = ?1 ORDER BY origin";
const ENTRIES: &str = "SELECT at, op, text FROM logged WHERE month = ?1 AND n BETWEEN ?2 AND ?3 ORDER BY n";

#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] = &[NEWEST_MONTH, MONTH_BEFORE, LINKS, LINKED_FROM, ENTRIES];

/// Where the next entry of the log goes. A clock that went back does not take it to an earlier month.
pub(crate) fn next_entry(rows: &Connection, at: Timestamp) -> Result<Place, KbError> {
    let now = at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string();
    Ok(match newest_entry(rows)? {
        Some(Place { month, n }) if month >= now => Place { month, n: n + 1 },
        _ => Place { month: now, n: 1 },
    })
}

/// Takes over what the log of other rows tells.
pub(in crate::base) fn take_log(from: &Connection, to: &Connection) -> Result<(), KbError> {
    const ALL: &str = "SELECT month, n, at, op, text FROM logged";
    let take = || -> rusqlite::Result<()> {
        to.prepare_cached("DELETE FROM logged")?.execute([])?;
        let mut enter = to.prepare_cached("INSERT INTO logged VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let mut list = from.prepare_cached(ALL)?;
        let mut entries = list.query([])?;
        while let Some(entry) = entries.next()? {
            let (month, n, at): (String, u32, String) = (entry.get(0)?, entry.get(1)?, entry.get(2)?);
            let (op, text): (String, String) = (entry.get(3)?, entry.get(4)?);
            enter.execute((month, n, at, op, text))?;
        }
        Ok(())
    };
    take().map_err(|error| told(to, "take its log over", error))
}

/// Where the newest entry of the log is.
pub(crate) fn newest_entry(rows: &Connection) -> Result<Option<Place>, KbError> {
    one(rows, "read its log", NEWEST_MONTH, [], |row| Ok(Place { month: row.get(0)?, n: row.get(1)? }))
}

/// The newest month before this one.
pub(crate) fn month_before(rows: &Connection, month: &str) -> Result<Option<String>, KbError> {
    one(rows, "read its log", MONTH_BEFORE, [month], |row| row.get(0)).map(Option::flatten)
}

/// The newest entry of a month.
pub(crate) fn entries_of_month(rows: &Connection, month: &str) -> Result<u32, KbError> {
    let n: Option<Option<u32>> =
        one(rows, "read its log", "SELECT max(n) FROM logged WHERE month = ?1", [month], |row| row.get(0))?;
    Ok(n.flatten().unwrap_or(0))
}

/// When, what, and to what: the entries of a month from one to another.
pub(crate) fn entries(
    rows: &Connection,
    month: &str,
    first: u32,
    last: u32,
) -> Result<Vec<(Timestamp, String, String)>, KbError> {
    let read = || -> rusqlite::Result<Vec<(String, String, String)>> {
        rows.prepare_cached(ENTRIES)?
            .query_map((month, first, last), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
    };
    let found = read().map_err(|error| told(rows, "read its log", error))?;
    let parsed = found.into_iter().map(|(at, op, text)| {
        let at = at.parse().map_err(|error: jiff::Error| told(rows, "read its log", super::unreadable(0, error)))?;
        Ok((at, op, text))
    });
    parsed.collect()
}

/// Which pages have a link that is written so.
pub(crate) fn linked_from(rows: &Connection, target: &str) -> Result<Vec<String>, KbError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        rows.prepare_cached(LINKED_FROM)?.query_map([target], |row| row.get(0))?.collect()
    };
    read().map_err(|error| told(rows, "find what links a page", error))
}

/// Adds an entry to the log, at the next place.
pub(crate) fn log(rows: &Connection, at: Timestamp, entry: &Entry) -> Result<(), KbError> {
    let Place { month, n } = next_entry(rows, at)?;
    let note = || {
        let mut note = rows.prepare_cached("INSERT INTO logged VALUES (?1, ?2, ?3, ?4, ?5)")?;
        note.execute((month, n, at.to_string(), &entry.op, &entry.text))
    };
    note().map(drop).map_err(|error| told(rows, "write its log", error))
}

/// What was compiled from a document.
pub(crate) fn compiled(objects: Objects<'_>, name: &str, document: &Document) -> Result<Compiled, KbError> {
    let bytes = objects.read(document.compiled, COMPILED_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|source| KbError::Record { name: name.to_owned(), source })
}

/// Brings links and parts of texts to what a generation has, where it changed something.
pub(super) fn derive(rows: &Connection, objects: Objects<'_>, manifest: &Manifest) -> Result<(), KbError> {
    let mut texts: BTreeSet<DocName> = BTreeSet::new();
    for name in manifest.documents.keys() {
        texts.extend(DocName::try_from(name.clone()).ok());
    }
    for FileChange { path, new, .. } in &manifest.files {
        texts.extend(take_in(rows, objects, path, *new)?);
    }
    texts.iter().try_for_each(|name| index_text(rows, objects, name))
}

/// What the newest state lacks, so that rows which follow from it cannot be made.
#[derive(Debug)]
pub(in crate::base) enum Lacking {
    /// A document whose record cannot be used: it is left out.
    Document(String, KbError),
    /// What was compiled from a document: it says nothing on any page.
    Compiled(DocName, ContentId, KbError),
    /// The bytes of a file.
    File(FilePath, ContentId, KbError),
}

/// Makes every row that follows from the documents and files of the newest generation, as far as what it follows from is there.
pub(in crate::base) fn derive_all(
    rows: &Connection,
    objects: Objects<'_>,
    lack: &mut dyn FnMut(Lacking) -> Result<(), KbError>,
) -> Result<(), KbError> {
    const NAMES: &str = "SELECT name FROM document ORDER BY name";
    let names: Vec<String> = all(rows, "list its documents", NAMES, |row| row.get(0))?;
    let mut registered = Vec::with_capacity(names.len());
    for name in names {
        match register(rows, objects, &name, lack) {
            Ok(name) => registered.push(name),
            Err(error @ (KbError::Record { .. } | KbError::Name(_) | KbError::NameTaken { .. })) => {
                forget(rows, &name)?;
                lack(Lacking::Document(name, error))?;
            }
            Err(error) => return Err(error),
        }
    }
    for (path, content) in super::files(rows)? {
        let taken = match take_in(rows, objects, &path, Some(content)) {
            Ok(_) if !objects.has(content)? => Err(KbError::ObjectMissing { id: content }),
            taken => taken.map(drop),
        };
        match taken {
            Err(error) if is_lacking(&error) => lack(Lacking::File(path, content, error))?,
            taken => taken?,
        }
    }
    registered.iter().try_for_each(|name| index_text(rows, objects, name))
}

/// Makes the rows of a document, and what it says on pages.
fn register(
    rows: &Connection,
    objects: Objects<'_>,
    name: &str,
    lack: &mut dyn FnMut(Lacking) -> Result<(), KbError>,
) -> Result<DocName, KbError> {
    let (parsed, record) = (parse_name(name)?, super::record(rows, name)?);
    if let Some(record) = record {
        let compiled = match compiled(objects, name, &record) {
            Err(error) if is_lacking(&error) || matches!(error, KbError::Record { .. }) => {
                lack(Lacking::Compiled(parsed.clone(), record.compiled, error))?;
                Compiled::nothing(&record.title)
            }
            compiled => compiled?,
        };
        registry::put(rows, &parsed, None, Some((&record, &compiled)))?;
    }
    Ok(parsed)
}

fn forget(rows: &Connection, name: &str) -> Result<(), KbError> {
    let forget = || rows.prepare_cached("DELETE FROM document WHERE name = ?1")?.execute([name]);
    forget().map(drop).map_err(|error| told(rows, "leave a document out", error))
}

/// Whether an error says that bytes are not there, or are others.
fn is_lacking(error: &KbError) -> bool {
    matches!(error, KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. })
}

fn parse_name(name: &str) -> Result<DocName, KbError> {
    DocName::try_from(name.to_owned()).map_err(KbError::Name)
}

/// Brings the rows of one file to what it is. Says which document's text it is, if it is one.
fn take_in(
    rows: &Connection,
    objects: Objects<'_>,
    path: &FilePath,
    new: Option<ContentId>,
) -> Result<Option<DocName>, KbError> {
    let Some(name) = path.as_str().strip_prefix("wiki/").and_then(|path| path.strip_suffix(".md")) else {
        return Ok(None);
    };
    let text = match new {
        Some(id) => text(objects, id)?,
        None => None,
    };
    let targets: BTreeSet<String> = match &text {
        Some(text) if text.len() <= LINKED_BYTES_MAX => link::links(text)
            .into_iter()
            .filter(|link| !link.target.is_empty())
            .map(|link| link.target.strip_suffix(".md").map(ToOwned::to_owned).unwrap_or(link.target))
            .collect(),
        _ => BTreeSet::new(),
    };
    let kind = name.parse::<PageName>().ok().map(|page| page.kind());
    let write = || -> rusqlite::Result<()> {
        let mut had = BTreeSet::new();
        {
            let mut look = rows.prepare_cached(LINKS)?;
            for target in look.query_map([name], |row| row.get::<_, String>(0))? {
                had.insert(target?);
            }
        }
        let mut remove = rows.prepare_cached("DELETE FROM link WHERE origin = ?1 AND target = ?2")?;
        for gone in had.difference(&targets) {
            remove.execute((name, gone))?;
        }
        let mut insert = rows.prepare_cached("INSERT INTO link VALUES (?1, ?2)")?;
        for new in targets.difference(&had) {
            insert.execute((name, new))?;
        }
        if kind == Some(PageKind::Exploration) {
            match &text {
                Some(text) => {
                    let body_at = front::part(text).body_at;
                    let first = lines_of(&text[..body_at]);
                    passages::index(rows, name, &title_of(name, &text[body_at..]), &text[body_at..], first, &[])?;
                }
                None => passages::clear(rows, name)?,
            }
        }
        Ok(())
    };
    write().map_err(|error| told(rows, "write links down", error))?;
    let stem = (kind == Some(PageKind::Source)).then(|| name.strip_prefix("sources/")).flatten();
    Ok(stem.and_then(|stem| DocName::try_from(stem.to_owned()).ok()))
}

/// The parts of a document's text.
fn index_text(rows: &Connection, objects: Objects<'_>, name: &DocName) -> Result<(), KbError> {
    let page = PageName::of_document(PageKind::Source, name).to_string();
    let record = super::record(rows, name.as_str())?;
    let content = match &record {
        Some(record) => file(rows, &record.full_text)?,
        None => None,
    };
    // Without its bytes nothing of it is found, and without its tree it has no sections.
    let text = match content.map(|content| text(objects, content)).transpose() {
        Err(error) if is_lacking(&error) => None,
        text => text?.flatten(),
    };
    let (Some(record), Some(text)) = (record, text) else {
        return passages::clear(rows, &page).map_err(|error| told(rows, "index a text", error));
    };
    let tree = match compiled(objects, name.as_str(), &record) {
        Err(error) if is_lacking(&error) || matches!(error, KbError::Record { .. }) => Vec::new(),
        compiled => compiled?.tree,
    };
    let before = crate::page::render::lines_before_text(&text);
    let body_at = text.match_indices('\n').nth((before as usize).saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    let (body_at, before) = if front::part(&text).yaml.is_some() { (body_at, before) } else { (0, 0) };
    passages::index(rows, &page, &record.title, &text[body_at..], before, &tree)
        .map_err(|error| told(rows, "index a text", error))
}

/// The heading of a page, else its name.
fn title_of(name: &str, body: &str) -> String {
    let heading = body.lines().find_map(|line| line.strip_prefix("# "));
    crate::page::plain::one_line(heading.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name)))
}

fn lines_of(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The text of a page; `None` for what is too large, or is none.
fn text(objects: Objects<'_>, id: ContentId) -> Result<Option<String>, KbError> {
    match objects.read(id, PAGE_BYTES_MAX) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(KbError::Fs(FsError::TooLarge { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The record of a document, as it is known now.
pub(super) fn record_of(rows: &Connection, name: &str) -> Result<Option<Document>, KbError> {
    let Some(value) = document(rows, name)? else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|source| KbError::Record { name: name.to_owned(), source })
}
