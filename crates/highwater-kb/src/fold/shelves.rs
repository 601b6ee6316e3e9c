//! The index, and its shelves: a list that outgrows one page is parted by how names begin, again and again, until none lists more
//! than it may. How it is parted follows from the names that are there, and not from how they came. Owns that, and that a change
//! touches only the shelves on the way to its names.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use highwater_db::sqlite::rusqlite::{self, Connection, OptionalExtension as _};

use crate::base::Draft;
use crate::base::rows::{files_below, int, registry, told};
use crate::error::KbError;
use crate::page::plain::line;
use crate::page::render::link_to;
use crate::page::rendered::{self, LINES_MAX, LISTED};
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// The page that everything is found from.
const INDEX: &str = "wiki/index.md";
/// Where its parts are.
const SHELVES: &str = "wiki/index/";
/// How many bytes of names a list is parted by; names that are alike for longer stay on one shelf.
const PREFIX_BYTES_MAX: usize = 60;

const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM page
    WHERE kind = ?1 AND stands = 1 AND key >= ?2 AND key < ?3 LIMIT ?4)";
const FIRST: &str =
    "SELECT key FROM page WHERE kind = ?1 AND stands = 1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT 1";
const LAST: &str =
    "SELECT key FROM page WHERE kind = ?1 AND stands = 1 AND key >= ?2 AND key < ?3 ORDER BY key DESC LIMIT 1";
const LINES: &str = "SELECT name, title, description FROM page
    WHERE kind = ?1 AND stands = 1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";

/// Every statement here, for the test that asks how it is done.
#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] = &[COUNT, FIRST, LAST, LINES];

/// Renders the index, and the shelves on the way to what changed.
pub(super) fn render(draft: &mut Draft<'_>, changed: &BTreeSet<PageName>) -> Result<(), KbError> {
    let tally = registry::tally(draft.rows())?;
    let mut lists = [const { Vec::new() }; 3];
    for ((kind, _), list) in LISTED.into_iter().zip(&mut lists) {
        let keys: Vec<Vec<u8>> = changed.iter().filter(|page| page.kind() == kind).map(registry::sort_key).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        *list = arrange(draft, kind, &[], &keys)?;
    }
    let page = rendered::index([tally.documents, tally.concepts, tally.entities], &lists);
    draft.write(FilePath::new(INDEX).expect("invariant: it is below wiki/"), page.as_bytes())
}

/// Whether a file is the index, or a part of it.
pub(super) fn is_index(path: &FilePath) -> bool {
    path.as_str() == INDEX || path.as_str().starts_with(SHELVES)
}

/// A page that is listed on a shelf, or on one below it: what renders the index for that page renders the shelf, too.
pub(super) fn listed_on(rows: &Connection, path: &FilePath) -> Result<Option<PageName>, KbError> {
    let Some((kind, prefix)) = beginning(path) else { return Ok(None) };
    let read = || -> rusqlite::Result<Option<String>> {
        rows.prepare_cached(LINES)?
            .query_row((kind.type_word(), &prefix, after(&prefix), 1), |row| row.get(0))
            .optional()
    };
    let name = read().map_err(|error| told(rows, "list its pages", error))?;
    Ok(name.and_then(|name| name.parse().ok()))
}

/// The kind that a shelf lists, and how the names on it begin.
fn beginning(path: &FilePath) -> Option<(PageKind, Vec<u8>)> {
    let name = path.as_str().strip_prefix(SHELVES)?.strip_suffix(".md")?;
    let of = |kind: PageKind| Some((kind, name.strip_prefix(kind.directory())?.strip_prefix('-')?));
    let (kind, mut rest) = LISTED.into_iter().find_map(|(kind, _)| of(kind))?;
    let mut prefix = Vec::new();
    while let Some(next) = rest.bytes().next() {
        let (byte, len) = match next {
            b'~' => (u8::from_str_radix(rest.get(1..3)?, 16).ok()?, 3),
            byte => (byte, 1),
        };
        prefix.push(byte);
        rest = rest.get(len..)?;
    }
    Some((kind, prefix))
}

/// Brings the shelves below `prefix` to what is there, and says the lines that stand at `prefix` itself.
fn arrange(draft: &mut Draft<'_>, kind: PageKind, prefix: &[u8], changed: &[&[u8]]) -> Result<Vec<String>, KbError> {
    let count = count(draft.rows(), kind, prefix, LINES_MAX + 1)?;
    if count <= LINES_MAX || prefix.len() >= PREFIX_BYTES_MAX {
        // It may have been parted before.
        clear(draft, kind, prefix, false)?;
        let mut list = lines(draft.rows(), kind, prefix)?;
        if count > LINES_MAX {
            list.push("- and more: `highwater kb list` has them all".to_owned());
        }
        return Ok(list);
    }
    let ends = (end(draft.rows(), FIRST, kind, prefix)?, end(draft.rows(), LAST, kind, prefix)?);
    let (Some(first), Some(last)) = ends else { return Ok(Vec::new()) };
    // All names here begin so: the first byte in which they differ parts them.
    let shared = &first[..alike(&first, &last)];
    for len in prefix.len() + 1..=shared.len() {
        forget(draft, &path(kind, &shared[..len]))?;
    }
    for key in changed {
        let same = alike(key, shared);
        if let Some(branch) = key.get(..=same).filter(|branch| branch.len() > prefix.len())
            && (same < shared.len() || self::count(draft.rows(), kind, branch, 1)? == 0)
        {
            clear(draft, kind, branch, true)?;
        }
    }
    // A name that is the beginning of all others here.
    let mut list = Vec::new();
    if first == shared {
        list.extend(lines(draft.rows(), kind, shared)?.into_iter().next());
    }
    let mut from = [shared, &[0]].concat();
    while let Some(key) = range(draft.rows(), FIRST, kind, &from, &after(shared))? {
        let branch = key[..=shared.len()].to_vec();
        let on_the_way: Vec<&[u8]> = changed.iter().copied().filter(|key| key.starts_with(&branch)).collect();
        let path = path(kind, &branch);
        if !on_the_way.is_empty() || draft.content(&path)?.is_none() {
            let list = arrange(draft, kind, &branch, &on_the_way)?;
            let page = rendered::shelf(heading(kind), &readable(&branch), &list);
            draft.write(path.clone(), page.as_bytes())?;
        }
        let name = path.as_str().trim_start_matches("wiki/").trim_end_matches(".md").to_owned();
        // Its first name changes seldom; its last, with each document of a series.
        list.push(format!("- [[{name}]]: from {}", line(&readable(&key))));
        // No name has the byte 255, which no UTF-8 has.
        let next = branch[shared.len()].saturating_add(1);
        from = [shared, &[next]].concat();
    }
    Ok(list)
}

/// Removes the shelves whose names begin so; the one of just this name only `with_itself`.
fn clear(draft: &mut Draft<'_>, kind: PageKind, prefix: &[u8], with_itself: bool) -> Result<(), KbError> {
    let own = path(kind, prefix);
    let stem = own.as_str().trim_end_matches(".md");
    for path in files_below(draft.rows(), stem)? {
        if with_itself || path != own {
            draft.remove(path);
        }
    }
    Ok(())
}

fn forget(draft: &mut Draft<'_>, path: &FilePath) -> Result<(), KbError> {
    if draft.content(path)?.is_some() {
        draft.remove(path.clone());
    }
    Ok(())
}

/// The file of a shelf. Two beginnings never have one, and one that begins another begins its file's name.
fn path(kind: PageKind, prefix: &[u8]) -> FilePath {
    let mut name = format!("{SHELVES}{}-", kind.directory());
    for byte in prefix {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(*byte)),
            _ => drop(write!(name, "~{byte:02x}")),
        }
    }
    name.push_str(".md");
    FilePath::new(name).expect("invariant: letters, digits, - and ~ are a file's name")
}

fn heading(kind: PageKind) -> &'static str {
    LISTED.iter().find(|(listed, _)| *listed == kind).map_or("", |(_, heading)| heading)
}

/// How names begin, for people: a character that is cut in two is left out.
fn readable(key: &[u8]) -> String {
    const CHARS_MAX: usize = 40;
    let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).chars().filter(|character| *character != '\u{fffd}').take(CHARS_MAX).collect()
}

/// How many bytes two names have alike at their beginning.
fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// What comes after all names that begin so.
fn after(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[0xff]].concat()
}

fn count(rows: &Connection, kind: PageKind, prefix: &[u8], limit: usize) -> Result<usize, KbError> {
    let count = || -> rusqlite::Result<u64> {
        rows.prepare_cached(COUNT)?
            .query_row((kind.type_word(), prefix, after(prefix), int(limit)), |row| crate::base::rows::count(row, 0))
    };
    let found = count().map_err(|error| told(rows, "list its pages", error))?;
    Ok(usize::try_from(found).unwrap_or(usize::MAX))
}

fn end(rows: &Connection, sql: &str, kind: PageKind, prefix: &[u8]) -> Result<Option<Vec<u8>>, KbError> {
    range(rows, sql, kind, prefix, &after(prefix))
}

fn range(rows: &Connection, sql: &str, kind: PageKind, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, KbError> {
    let look = || -> rusqlite::Result<Option<Vec<u8>>> {
        rows.prepare_cached(sql)?.query_row((kind.type_word(), from, to), |row| row.get(0)).optional()
    };
    look().map_err(|error| told(rows, "list its pages", error))
}

fn lines(rows: &Connection, kind: PageKind, prefix: &[u8]) -> Result<Vec<String>, KbError> {
    let read = || -> rusqlite::Result<Vec<(String, String, String)>> {
        rows.prepare_cached(LINES)?
            .query_map((kind.type_word(), prefix, after(prefix), int(LINES_MAX)), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
    };
    let found = read().map_err(|error| told(rows, "list its pages", error))?;
    let lines = found.into_iter().filter_map(|(name, title, description)| {
        let link = link_to(&name.parse().ok()?, &title);
        let description = line(&description);
        Some(if description.is_empty() { format!("- {link}") } else { format!("- {link}: {description}") })
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_has_a_file_of_its_own_below_that_of_what_it_is_a_part_of() {
        let name = |prefix: &[u8]| path(PageKind::Concept, prefix).to_string();
        assert_eq!(name(b"ti"), "wiki/index/concepts-ti.md");
        assert_eq!(name("é".as_bytes()), "wiki/index/concepts-~c3~a9.md");
        assert_ne!(name(b"~c3"), name(&[0xc3]));
        assert!(name(&[0xff; PREFIX_BYTES_MAX + 1]).len() < 255);
        assert_eq!(readable("日本".as_bytes().get(..4).unwrap()), "日");
        for prefix in [b"ti".as_slice(), "é-9".as_bytes(), b"~c3", &[0xff, 0], b""] {
            assert_eq!(beginning(&path(PageKind::Entity, prefix)), Some((PageKind::Entity, prefix.to_vec())));
        }
        assert_eq!(beginning(&FilePath::new("wiki/index/other-a.md").unwrap()), None);
        assert_eq!(beginning(&FilePath::new("wiki/index/concepts-~é.md").unwrap()), None);
    }
}
