//! Works as they are read back: found by what a person calls them, and put together from their rows.

use highwater_db::sqlite::rusqlite::{self, Connection, OptionalExtension as _, Row, params};

use super::identifier;
use super::reading::{List, State, header, is_row_damage};
use super::view::{Shown, WorkView};
use super::work::{Contributor, Identifier, Licence, Link, Work};

/// What a person calls `id`: an OAI id, what follows its namespace, an ISBN in any spelling, a DOI, or another identifier.
pub(super) fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<Shown>> {
    let id = id.trim();
    let as_isbn = identifier::isbn(id);
    let as_doi = identifier::doi(id);
    let row = db
        .prepare_cached(include_str!("shown/find.sql"))?
        .query_row(params![id, as_isbn.value, as_doi.value], |row| row.get(0))
        .optional()?;
    row.map(|row| shown(db, row)).transpose()
}

fn shown(db: &Connection, id: i64) -> rusqlite::Result<Shown> {
    let mut statement = db.prepare_cached(include_str!("shown/record.sql"))?;
    let (header, state, review) = statement
        .query_row([id], |row| Ok((header(row, 0)?, row.get::<_, State>(4)?, row.get::<_, Option<String>>(5)?)))?;
    Ok(match state {
        State::Live => Shown::Work(Box::new(WorkView::new(header, work(db, id)?))),
        State::Deleted => Shown::Deleted(header),
        State::Review => Shown::Review { header, why: review.unwrap_or_default() },
    })
}

/// Works after one, in the order in which they came, and the last one's number. One that is damaged costs itself (R14).
pub(super) fn page(
    db: &Connection,
    after: i64,
    limit: usize,
) -> rusqlite::Result<(Vec<WorkView>, Vec<String>, Option<i64>)> {
    let mut statement = db.prepare_cached(include_str!("shown/page.sql"))?;
    let ids = statement.query_map(params![after, limit as i64], |row| row.get(0))?;
    let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
    let (mut works, mut damaged) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in &ids {
        match shown(db, *id) {
            Ok(Shown::Work(work)) => works.push(*work),
            Ok(Shown::Deleted(header) | Shown::Review { header, .. }) => damaged.push(header.identifier),
            Err(error) if is_row_damage(&error) => {
                tracing::warn!(work = id, %error, "a work of the catalogue cannot be read and is left out");
                damaged.push(format!("work {id}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((works, damaged, ids.last().copied()))
}

/// What is stored of a work.
pub(super) fn work(db: &Connection, id: i64) -> rusqlite::Result<Work> {
    let mut work = db.prepare_cached(include_str!("shown/work.sql"))?.query_row([id], |row| {
        Ok(Work {
            title: row.get(0)?,
            other_titles: row.get::<_, List>(1)?.0,
            languages: row.get::<_, List>(2)?.0,
            types: row.get::<_, List>(3)?.0,
            publisher: row.get(4)?,
            year: row.get(5)?,
            description: row.get(6)?,
            ..Work::default()
        })
    })?;
    work.identifiers = all(db, include_str!("shown/identifiers.sql"), id, |row| {
        Ok(Identifier { kind: row.get(0)?, value: row.get(1)? })
    })?;
    work.contributors = contributors(db, id)?;
    work.subjects = all(db, include_str!("shown/subjects.sql"), id, |row| row.get(0))?;
    work.licences =
        all(db, include_str!("shown/licences.sql"), id, |row| Ok(Licence { name: row.get(0)?, url: row.get(1)? }))?;
    work.links = all(db, include_str!("shown/links.sql"), id, |row| {
        Ok(Link { url: row.get(0)?, format: row.get(1)?, licence: row.get(2)? })
    })?;
    Ok(work)
}

/// Who made a work.
pub(super) fn contributors(db: &Connection, work: i64) -> rusqlite::Result<Vec<Contributor>> {
    all(db, include_str!("shown/contributors.sql"), work, |row| {
        Ok(Contributor { name: row.get(0)?, role: row.get(1)? })
    })
}

fn all<T>(
    db: &Connection,
    sql: &str,
    work: i64,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare_cached(sql)?.query_map([work], read)?.collect()
}
