//! Searching titles, names and subjects. Owns what a person's words mean; they are never an error.

use highwater_db::sqlite::rusqlite::{self, Connection, params};

use super::identifier;
use super::shown::contributors;
use super::text::{clean, searched};
use super::work::Contributor;

/// Words and phrases of a query that count; people type fewer.
pub const QUERY_TERMS_MAX: usize = 32;
/// Characters of a query that count.
pub const QUERY_CHARS_MAX: usize = 1_000;
/// Up to so many works are ordered by how well they match. Of more, where a match says little, the newest come first.
pub const RANKED_WORKS_MAX: u64 = 10_000;

/// Most works that are found by an identifier; one that more have identifies none.
const CALLED_WORKS_MAX: usize = 1_000;

/// A work that matches.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Hit {
    /// The OAI id of its record.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Who made it.
    pub contributors: Vec<Contributor>,
    /// The year it was published in.
    pub year: Option<u16>,
    /// Who published it.
    pub publisher: Option<String>,
}

/// Some of the works that match.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SearchPage {
    /// These.
    pub hits: Vec<Hit>,
    /// How many match in all.
    pub total: u64,
}

/// The works in which all words and phrases are; where there are none, those that are called so.
pub(super) fn search(db: &Connection, query: &str, limit: usize, offset: u64) -> rusqlite::Result<SearchPage> {
    let Some(expression) = expression(query) else { return Ok(SearchPage { hits: Vec::new(), total: 0 }) };
    let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let total = db.prepare_cached(include_str!("search/count.sql"))?.query_row([&expression], count)?.unsigned_abs();
    let mut statement = db.prepare_cached(if total <= RANKED_WORKS_MAX {
        include_str!("search/best.sql")
    } else {
        include_str!("search/newest.sql")
    })?;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    if total == 0 {
        return called(db, query.trim(), limit, offset);
    }
    let found = statement.query_map(params![expression, limit as i64, offset], |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
    let hits = found.into_iter().map(|work| hit(db, work)).collect::<rusqlite::Result<_>>()?;
    Ok(SearchPage { hits, total })
}

/// The works with this ISBN, DOI or other identifier, in any spelling.
fn called(db: &Connection, id: &str, limit: usize, offset: i64) -> rusqlite::Result<SearchPage> {
    let (as_isbn, as_doi) = (identifier::isbn(id).value, identifier::doi(id).value);
    let mut statement = db.prepare_cached(include_str!("search/called.sql"))?;
    let found = statement.query_map(params![id, as_isbn, as_doi, CALLED_WORKS_MAX as i64], |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
    let total = found.len() as u64;
    let shown = found.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(limit);
    Ok(SearchPage { hits: shown.map(|work| hit(db, work)).collect::<rusqlite::Result<_>>()?, total })
}

fn hit(db: &Connection, work: i64) -> rusqlite::Result<Hit> {
    let mut hit = db.prepare_cached(include_str!("search/hit.sql"))?.query_row([work], |row| {
        Ok(Hit {
            id: row.get(0)?,
            title: row.get(1)?,
            year: row.get(2)?,
            publisher: row.get(3)?,
            contributors: Vec::new(),
        })
    })?;
    hit.contributors = contributors(db, work)?;
    Ok(hit)
}

/// A query in FTS5's syntax, of which nothing but its quotes and stars is let through: `"`phrases`"` in double quotes, and
/// a `*` at the end of a word or phrase for what begins so. `None` where there is nothing to search for.
///
/// # Source
/// <https://sqlite.org/fts5.html#full_text_query_syntax>
fn expression(query: &str) -> Option<String> {
    let query = clean(&query.chars().take(QUERY_CHARS_MAX).collect::<String>())?;
    let mut terms = Vec::new();
    let mut rest = query.as_str();
    while terms.len() < QUERY_TERMS_MAX {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (term, after) = match rest.strip_prefix('"') {
            // A phrase that is not ended goes on to the end.
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find([' ', '"']).unwrap_or(rest.len())),
        };
        let (is_prefix, after) = match after.strip_prefix('*') {
            Some(after) => (true, after),
            None => (term.ends_with('*'), after),
        };
        rest = after;
        // Without a letter or digit it has no words, and would match nothing.
        if term.contains(char::is_alphanumeric) {
            terms.push(format!("\"{}\"{}", searched(term).trim_ascii(), if is_prefix { "*" } else { "" }));
        }
    }
    (!terms.is_empty()).then(|| terms.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_prefixes_are_what_they_look_like() {
        for (query, expected) in [
            ("open access", r#""open" "access""#),
            (r#""open access" book*"#, r#""open access" "book*"*"#),
            (r#""open acc"*"#, r#""open acc"*"#),
            (r#"open"access""#, r#""open" "access""#),
            (r#""open access"#, r#""open access""#),
            ("NEAR(a b) OR title:c ^d -e", r#""NEAR(a" "b)" "OR" "title:c" "^d" "-e""#),
            ("a\u{0}b\tc", r#""a" "b" "c""#),
        ] {
            assert_eq!(expression(query).as_deref(), Some(expected), "{query}");
        }
    }

    #[test]
    fn a_query_without_words_is_none() {
        for query in ["", "  ", "\"", "\"\"", "* - \"!\"", "\u{0}"] {
            assert_eq!(expression(query), None, "{query:?}");
        }
    }

    #[test]
    fn a_query_has_a_bound() {
        let terms = |query: &str| expression(query).map_or(0, |terms| terms.split(' ').count());
        assert_eq!(terms(&"a ".repeat(QUERY_TERMS_MAX)), QUERY_TERMS_MAX);
        assert_eq!(terms(&"a ".repeat(QUERY_TERMS_MAX + 1)), QUERY_TERMS_MAX);
        assert_eq!(expression(&"a".repeat(QUERY_CHARS_MAX + 1)).map(|terms| terms.len()), Some(QUERY_CHARS_MAX + 2));
    }
}
