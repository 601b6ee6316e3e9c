//! Documents, what they say on the pages that they share, and which of these pages stand. Owns the statements on these rows, and that
//! counts are kept: nothing here looks at more rows than a document has.

use std::collections::{BTreeMap, BTreeSet};

use highwater_db::sqlite::rusqlite::types::Type;
use highwater_db::sqlite::rusqlite::{self, Connection, OptionalExtension as _, Row};
use pulldown_cmark::HeadingLevel;

use super::passages::{self, Passage};
use super::{count, int, one, told, unreadable};
use crate::compile::Compiled;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::origin::Origin;
use crate::page::plain::{contained, one_line};
use crate::page::{PageKind, PageName, link};

/// The highest heading that what a document says on a page may have: its section has one above it.
const SECTION_HEADING: HeadingLevel = HeadingLevel::H3;

/// A page that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageRow {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) documents: u64,
    pub(crate) alone: u64,
    pub(crate) stands: bool,
}

/// A page to which a change of a document did something, and what it was before.
#[derive(Debug)]
pub(crate) struct Affected {
    pub(crate) page: PageName,
    pub(crate) was: Option<PageRow>,
}

/// What a document says on a page.
#[derive(Debug)]
pub(crate) struct Contributed {
    pub(crate) sequence: u64,
    pub(crate) document: DocName,
    pub(crate) body: String,
}

/// What a document says on a page that it shares, as it is written down.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    title: String,
    description: String,
    body: String,
    alone: bool,
}

/// How many there are of what a base has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sequence_last: u64,
    pub(crate) documents: u64,
    pub(crate) concepts: u64,
    pub(crate) entities: u64,
}

const TALLY: &str = "SELECT sequence_last, documents, concepts, entities FROM tally";
const BY_CONTENT: &str = "SELECT name FROM registered WHERE content = ?1 ORDER BY sequence LIMIT 1";
const BY_FOLDED: &str = "SELECT name FROM registered WHERE folded = ?1";
const BY_ORIGIN: &str = "SELECT name FROM registered WHERE origin = ?1 ORDER BY sequence LIMIT 1";
const BY_SEQUENCE: &str = "SELECT name FROM registered WHERE sequence = ?1";
const AFTER_SEQUENCE: &str = "SELECT name FROM registered WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
const PAGE: &str = "SELECT title, description, documents, alone, stands FROM page WHERE name = ?1";
const FIRST: &str = "SELECT title, description FROM contribution WHERE page = ?1 ORDER BY sequence LIMIT 1";
const CONTRIBUTED: &str =
    "SELECT sequence, document, body FROM contribution WHERE page = ?1 ORDER BY sequence LIMIT ?2";
const OF_DOCUMENT: &str = "SELECT page FROM contribution WHERE sequence = ?1 ORDER BY page";
const SAID: &str = "SELECT page, title, description, body, alone FROM contribution WHERE sequence = ?1";
const ALONE: &str = "SELECT alone FROM contribution WHERE page = ?1 AND sequence = ?2";
const TITLE: &str = "SELECT title FROM contribution WHERE page = ?1 AND sequence = ?2";
const NTH: &str = "SELECT sequence FROM contribution WHERE page = ?1 ORDER BY sequence LIMIT 1 OFFSET ?2";
const RELATED: &str = include_str!("related.sql");
const MENTIONED_BY: &str = "SELECT DISTINCT page FROM mention WHERE target = ?1 ORDER BY page";

const FORGET_SAID: &str = "DELETE FROM contribution WHERE sequence = ?1";
const FORGET_MENTIONS: &str = "DELETE FROM mention WHERE sequence = ?1";
const FORGET: &str = "DELETE FROM registered WHERE sequence = ?1";
const FORGET_PAGE: &str = "DELETE FROM page WHERE name = ?1";

/// Every statement here that looks something up, for the test that asks how.
#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] = &[
    BY_CONTENT,
    BY_FOLDED,
    BY_ORIGIN,
    BY_SEQUENCE,
    AFTER_SEQUENCE,
    PAGE,
    FIRST,
    CONTRIBUTED,
    OF_DOCUMENT,
    SAID,
    ALONE,
    TITLE,
    NTH,
    RELATED,
    MENTIONED_BY,
    FORGET_SAID,
    FORGET_MENTIONS,
    FORGET,
    FORGET_PAGE,
];

pub(crate) fn tally(rows: &Connection) -> Result<Tally, KbError> {
    let tally = one(rows, "count what it has", TALLY, [], |row| {
        Ok(Tally {
            sequence_last: count(row, 0)?,
            documents: count(row, 1)?,
            concepts: count(row, 2)?,
            entities: count(row, 3)?,
        })
    })?;
    tally.ok_or_else(|| told(rows, "count what it has", rusqlite::Error::QueryReturnedNoRows))
}

pub(crate) fn by_content(rows: &Connection, content: ContentId) -> Result<Option<DocName>, KbError> {
    one(rows, "look up a document", BY_CONTENT, [content], name)
}

pub(crate) fn by_folded(rows: &Connection, folded: &str) -> Result<Option<DocName>, KbError> {
    one(rows, "look up a document", BY_FOLDED, [folded], name)
}

pub(crate) fn by_origin(rows: &Connection, origin: &Origin) -> Result<Option<DocName>, KbError> {
    one(rows, "look up a document", BY_ORIGIN, [origin.as_str()], name)
}

pub(crate) fn by_sequence(rows: &Connection, sequence: u64) -> Result<Option<DocName>, KbError> {
    one(rows, "look up a document", BY_SEQUENCE, [int(sequence)], name)
}

/// At most `limit` names of documents after this one, in the order in which they were added.
pub(crate) fn after_sequence(rows: &Connection, sequence: u64, limit: u32) -> Result<Vec<DocName>, KbError> {
    list(rows, "list its documents", AFTER_SEQUENCE, (int(sequence), limit), name)
}

pub(crate) fn page(rows: &Connection, page: &PageName) -> Result<Option<PageRow>, KbError> {
    one(rows, "look up a page", PAGE, [page.to_string()], |row| {
        Ok(PageRow {
            title: row.get(0)?,
            description: row.get(1)?,
            documents: count(row, 2)?,
            alone: count(row, 3)?,
            stands: row.get(4)?,
        })
    })
}

/// What documents say on a page, in order of their sequence, at most `limit`.
pub(crate) fn contributed(rows: &Connection, page: &PageName, limit: usize) -> Result<Vec<Contributed>, KbError> {
    list(rows, "read what documents say", CONTRIBUTED, (page.to_string(), int(limit)), |row| {
        Ok(Contributed { sequence: count(row, 0)?, document: doc_name(row, 1)?, body: row.get(2)? })
    })
}

/// The pages that a document contributes to.
pub(crate) fn pages_of(rows: &Connection, sequence: u64) -> Result<Vec<PageName>, KbError> {
    list(rows, "list a document's pages", OF_DOCUMENT, [int(sequence)], page_name)
}

/// Whether it is written down what a document says: a rebuild that could not read what was compiled from it has nothing of that.
pub(crate) fn says(
    rows: &Connection,
    name: &DocName,
    document: &Document,
    compiled: &Compiled,
) -> Result<bool, KbError> {
    let listed = page(rows, &PageName::of_document(PageKind::Summary, name))?;
    let (title, description) = (one_line(&document.title), one_line(&compiled.description));
    if listed.is_none_or(|row| (row.title, row.description) != (title, description)) {
        return Ok(false);
    }
    let found = list(rows, "read what a document says", SAID, [int(document.sequence)], |row| {
        let said = Said { title: row.get(1)?, description: row.get(2)?, body: row.get(3)?, alone: row.get(4)? };
        Ok((page_name(row)?, said))
    })?;
    let says = said_by(compiled);
    Ok(found.len() == says.len() && found.iter().all(|(page, said)| says.get(page) == Some(said)))
}

/// Whether a document of this sequence is, or would be, among the first of a page.
pub(crate) fn is_among(rows: &Connection, page: &PageName, sequence: u64, first: usize) -> Result<bool, KbError> {
    let last = one(rows, "look up a page", NTH, (page.to_string(), int(first - 1)), |row| count(row, 0))?;
    Ok(last.is_none_or(|last| sequence <= last))
}

/// Pages that stand and share documents with this one, of its first `documents`, the nearest first, as these documents call them.
pub(crate) fn related(
    rows: &Connection,
    page: &PageName,
    documents: usize,
    limit: usize,
) -> Result<Vec<(PageName, String)>, KbError> {
    const DOING: &str = "find related pages";
    let found: Vec<(PageName, u64)> =
        list(rows, DOING, RELATED, (page.to_string(), int(documents), int(limit)), |row| {
            Ok((page_name(row)?, count(row, 2)?))
        })?;
    let titled = found.into_iter().map(|(page, first)| {
        let title: Option<String> = one(rows, DOING, TITLE, (page.to_string(), int(first)), |row| row.get(0))?;
        Ok((page, title.unwrap_or_default()))
    });
    titled.collect()
}

/// Where documents say something that links to `target`.
pub(crate) fn mentioned_by(rows: &Connection, target: &PageName) -> Result<Vec<PageName>, KbError> {
    list(rows, "find what mentions a page", MENTIONED_BY, [target.to_string()], page_name)
}

/// Puts a document in the place of what was known under its name, or nothing. Says what that did to pages.
pub(crate) fn put(
    rows: &Connection,
    name: &DocName,
    before: Option<&Document>,
    after: Option<(&Document, &Compiled)>,
) -> Result<Vec<Affected>, KbError> {
    if let Some(other) = by_folded(rows, &name.folded())?.filter(|other| other != name) {
        return Err(KbError::NameTaken { name: name.clone(), other });
    }
    let summary = PageName::of_document(PageKind::Summary, name);
    let mut names = BTreeSet::from([summary.clone()]);
    if let Some(before) = before {
        names.extend(pages_of(rows, before.sequence)?);
    }
    if let Some((_, compiled)) = after {
        names.extend(compiled.contributions.iter().filter(|said| is_shared(&said.page)).map(|said| said.page.clone()));
    }
    let says = after.map(|(_, compiled)| said_by(compiled)).unwrap_or_default();
    let mut affected = Vec::with_capacity(names.len());
    for name in names {
        affected.push(Affected { was: page(rows, &name)?, page: name });
    }
    let write = || -> rusqlite::Result<()> {
        // How many documents more a page has, and how many of those that would have it alone.
        let mut more: BTreeMap<&PageName, (i64, i64)> = BTreeMap::new();
        if let Some(before) = before {
            let mut alone = rows.prepare_cached(ALONE)?;
            for shared in affected.iter().filter(|affected| affected.page != summary) {
                let was: Option<i64> =
                    alone.query_row((shared.page.to_string(), int(before.sequence)), |row| row.get(0)).optional()?;
                if let Some(alone) = was {
                    more.insert(&shared.page, (-1, -alone));
                }
            }
            rows.prepare_cached(FORGET_SAID)?.execute([int(before.sequence)])?;
            rows.prepare_cached(FORGET_MENTIONS)?.execute([int(before.sequence)])?;
            rows.prepare_cached(FORGET)?.execute([int(before.sequence)])?;
        }
        if let Some((document, compiled)) = after {
            rows.prepare_cached("INSERT INTO registered VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                int(document.sequence),
                name.as_str(),
                name.folded(),
                document.content,
                document.origin.as_str(),
            ))?;
            mention(rows, &summary, document.sequence, &compiled.summary)?;
            let mut contribute = rows.prepare_cached("INSERT INTO contribution VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            for (page, said) in &says {
                contribute.execute((
                    page.to_string(),
                    int(document.sequence),
                    name.as_str(),
                    &said.title,
                    &said.description,
                    &said.body,
                    said.alone,
                ))?;
                mention(rows, page, document.sequence, &said.body)?;
                let more = more.entry(page).or_default();
                *more = (more.0 + 1, more.1 + i64::from(said.alone));
            }
        }
        for Affected { page, was } in affected.iter().filter(|affected| affected.page != summary) {
            settle(rows, page, was.as_ref(), more.get(page).copied().unwrap_or_default())?;
        }
        summarise(rows, &summary, after)?;
        let sequence = after.map_or(0, |(document, _)| document.sequence);
        let added = i64::from(after.is_some()) - i64::from(before.is_some());
        rows.prepare_cached("UPDATE tally SET documents = documents + ?1, sequence_last = max(sequence_last, ?2)")?
            .execute((added, int(sequence)))?;
        Ok(())
    };
    write().map_err(|error| told(rows, "write a document down", error))?;
    Ok(affected)
}

/// Notes that a sequence was given, if to a document that is gone since.
pub(crate) fn given(rows: &Connection, sequence: u64) -> Result<(), KbError> {
    let note =
        || rows.prepare_cached("UPDATE tally SET sequence_last = max(sequence_last, ?1)")?.execute([int(sequence)]);
    note().map(drop).map_err(|error| told(rows, "note a sequence", error))
}

/// What a document says on each page that it shares; where it says something twice of one, the first.
fn said_by(compiled: &Compiled) -> BTreeMap<PageName, Said> {
    let mut says = BTreeMap::new();
    for said in compiled.contributions.iter().filter(|said| is_shared(&said.page)) {
        says.entry(said.page.clone()).or_insert_with(|| Said {
            title: one_line(&said.title),
            description: one_line(&said.description),
            body: contained(&said.body, Some(SECTION_HEADING)),
            alone: said.alone,
        });
    }
    says
}

fn is_shared(page: &PageName) -> bool {
    matches!(page.kind(), PageKind::Concept | PageKind::Entity)
}

/// Notes which pages a text would link.
fn mention(rows: &Connection, page: &PageName, sequence: u64, text: &str) -> rusqlite::Result<()> {
    if !text.contains("[[") {
        return Ok(());
    }
    let mut note = rows.prepare_cached("INSERT OR IGNORE INTO mention VALUES (?1, ?2, ?3)")?;
    for target in link::links(text).iter().filter(|link| link.wiki).filter_map(link::named) {
        note.execute((target.to_string(), page.to_string(), int(sequence)))?;
    }
    Ok(())
}

/// Brings the row of a shared page to what its documents say.
fn settle(rows: &Connection, page: &PageName, was: Option<&PageRow>, more: (i64, i64)) -> rusqlite::Result<()> {
    let documents = was.map_or(0, |was| was.documents).saturating_add_signed(more.0);
    let alone = was.map_or(0, |was| was.alone).saturating_add_signed(more.1);
    let now = match documents {
        0 => None,
        documents => {
            let (title, description) = rows
                .prepare_cached(FIRST)?
                .query_row([page.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            Some(PageRow { title, description, documents, alone, stands: documents > 1 || alone > 0 })
        }
    };
    list_page(rows, page, was, now.as_ref(), "")
}

/// Brings the row of a summary to what its document is.
fn summarise(rows: &Connection, page: &PageName, after: Option<(&Document, &Compiled)>) -> rusqlite::Result<()> {
    let now = after.map(|(document, compiled)| PageRow {
        title: one_line(&document.title),
        description: one_line(&compiled.description),
        documents: 1,
        alone: 1,
        stands: true,
    });
    let body = after.map_or(String::new(), |(_, compiled)| contained(&compiled.summary, Some(HeadingLevel::H2)));
    // Its body is not in its row: it is always taken for new.
    list_page(rows, page, None, now.as_ref(), &body)
}

fn list_page(
    rows: &Connection,
    page: &PageName,
    was: Option<&PageRow>,
    now: Option<&PageRow>,
    body: &str,
) -> rusqlite::Result<()> {
    let name = page.to_string();
    match now {
        Some(now) if was != Some(now) => {
            rows.prepare_cached(include_str!("list_page.sql"))?.execute((
                &name,
                page.kind().type_word(),
                sort_key(page),
                &now.title,
                &now.description,
                int(now.documents),
                int(now.alone),
                now.stands,
            ))?;
        }
        Some(_) => {}
        None => drop(rows.prepare_cached(FORGET_PAGE)?.execute([&name])?),
    }
    let shown =
        |row: Option<&PageRow>| row.filter(|row| row.stands).map(|row| (row.title.clone(), row.description.clone()));
    let (had, has) = (shown(was), shown(now));
    let stood_more = i64::from(has.is_some()) - i64::from(had.is_some());
    let sql = match page.kind() {
        PageKind::Concept => Some("UPDATE tally SET concepts = concepts + ?1"),
        PageKind::Entity => Some("UPDATE tally SET entities = entities + ?1"),
        _ => None,
    };
    if let Some(sql) = sql.filter(|_| stood_more != 0) {
        rows.prepare_cached(sql)?.execute([stood_more])?;
    }
    if had != has || page.kind() == PageKind::Summary {
        passages::clear(rows, &name)?;
        if let Some((title, description)) = has {
            let text = if body.is_empty() { description } else { format!("{description}\n{body}") };
            passages::insert(rows, &name, &Passage::whole(&title), &title, &text)?;
        }
    }
    Ok(())
}

/// What a page is sorted by: its name without case; two that differ in case alone still have an order.
pub(crate) fn sort_key(page: &PageName) -> Vec<u8> {
    let folded = page.stem().to_lowercase();
    if folded == page.stem() || page.kind() == PageKind::Summary {
        return folded.into_bytes();
    }
    [folded.as_bytes(), b"\0", page.stem().as_bytes()].concat()
}

fn list<T>(
    rows: &Connection,
    doing: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, KbError> {
    let found =
        || -> rusqlite::Result<Vec<T>> { rows.prepare_cached(sql)?.query_map(params, |row| read(row))?.collect() };
    found().map_err(|error| told(rows, doing, error))
}

fn name(row: &Row<'_>) -> rusqlite::Result<DocName> {
    doc_name(row, 0)
}

fn doc_name(row: &Row<'_>, column: usize) -> rusqlite::Result<DocName> {
    DocName::try_from(row.get::<_, String>(column)?).map_err(|error| unreadable(column, error))
}

fn page_name(row: &Row<'_>) -> rusqlite::Result<PageName> {
    let name: String = row.get(0)?;
    name.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}
