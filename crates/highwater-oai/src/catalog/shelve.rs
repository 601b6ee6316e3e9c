//! The rows that hang on a record: its metadata, its sets, its work and what is searched of it. Owns writing and removing
//! them; when, is [`super::load`]'s.

use highwater_db::sqlite::rusqlite::{self, Connection, OptionalExtension as _, params};

use super::load::with_ancestors;
use super::reading::{ListOf, columns};
use super::text::searched;
use super::work::{Contributor, Identifier, Licence, Link, Work};
use crate::protocol::Datestamp;

pub(super) fn put_metadata(db: &Connection, record: i64, bytes: usize, packed: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(include_str!("shelve/put_metadata.sql"))?.execute(params![record, bytes as i64, packed])?;
    Ok(())
}

pub(super) fn remove_metadata(db: &Connection, record: i64) -> rusqlite::Result<()> {
    db.prepare_cached(include_str!("shelve/remove_metadata.sql"))?.execute([record])?;
    Ok(())
}

/// The length of a record's metadata and its packed form.
pub(super) fn metadata(db: &Connection, record: i64) -> rusqlite::Result<Option<(i64, Vec<u8>)>> {
    db.prepare_cached(include_str!("shelve/metadata.sql"))?
        .query_row([record], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

pub(super) fn join_sets(db: &Connection, record: i64, at: Datestamp, sets: &[String]) -> rusqlite::Result<()> {
    for set in with_ancestors(sets) {
        let set = known_set(db, set)?;
        db.prepare_cached(include_str!("shelve/join_set.sql"))?.execute([set, columns(at).0, record])?;
    }
    Ok(())
}

fn known_set(db: &Connection, spec: &str) -> rusqlite::Result<i64> {
    let known = db.prepare_cached(include_str!("shelve/set.sql"))?.query_row([spec], |row| row.get(0)).optional()?;
    known.map_or_else(|| db.prepare_cached(include_str!("shelve/add_set.sql"))?.insert([spec]), Ok)
}

/// Takes a record out of its sets; out of all that there are, where it is not known which they were.
pub(super) fn leave_sets(db: &Connection, record: i64, at: Datestamp, sets: Option<&[String]>) -> rusqlite::Result<()> {
    let Some(sets) = sets else {
        db.execute(include_str!("shelve/leave_every_set.sql"), [record])?;
        return Ok(());
    };
    for set in with_ancestors(sets) {
        db.prepare_cached(include_str!("shelve/leave_set.sql"))?.execute(params![set, columns(at).0, record])?;
    }
    Ok(())
}

/// Removes a work, its rows, and what is searched of it.
pub(super) fn remove_work(db: &Connection, id: i64) -> rusqlite::Result<()> {
    if db.prepare_cached(include_str!("shelve/remove_work.sql"))?.execute([id])? > 0 {
        db.prepare_cached(include_str!("shelve/remove_text.sql"))?.execute([id])?;
    }
    Ok(())
}

/// Adds a work that is not there.
pub(super) fn put_work(db: &Connection, id: i64, work: &Work) -> rusqlite::Result<()> {
    // Taken apart, so that a field that is added here is not forgotten.
    let Work {
        title,
        other_titles,
        contributors,
        publisher,
        year,
        languages,
        types,
        subjects,
        identifiers,
        links,
        licences,
        description,
    } = work;
    let (other, languages, types) = (ListOf(other_titles), ListOf(languages), ListOf(types));
    db.prepare_cached(include_str!("shelve/put_work.sql"))?.execute(params![
        id,
        title,
        other,
        languages,
        types,
        publisher,
        year,
        description
    ])?;
    let mut add = db.prepare_cached(include_str!("shelve/add_identifier.sql"))?;
    for (position, Identifier { kind, value }) in (0_i64..).zip(identifiers) {
        add.execute(params![id, position, kind, value])?;
    }
    let mut add = db.prepare_cached(include_str!("shelve/add_contributor.sql"))?;
    for (position, Contributor { name, role }) in (0_i64..).zip(contributors) {
        add.execute(params![id, position, name, role])?;
    }
    let mut add = db.prepare_cached(include_str!("shelve/add_subject.sql"))?;
    for (position, subject) in (0_i64..).zip(subjects) {
        add.execute(params![id, position, subject])?;
    }
    let mut add = db.prepare_cached(include_str!("shelve/add_licence.sql"))?;
    for (position, Licence { name, url }) in (0_i64..).zip(licences) {
        add.execute(params![id, position, name, url])?;
    }
    let mut add = db.prepare_cached(include_str!("shelve/add_link.sql"))?;
    for (position, Link { url, format, licence }) in (0_i64..).zip(links) {
        add.execute(params![id, position, url, format, licence])?;
    }
    put_text(db, id, work)
}

fn put_text(db: &Connection, id: i64, work: &Work) -> rusqlite::Result<()> {
    let mut titles = work.title.clone();
    for title in &work.other_titles {
        titles.push('\n');
        titles.push_str(title);
    }
    let names: Vec<&str> = work.contributors.iter().map(|contributor| contributor.name.as_str()).collect();
    db.prepare_cached(include_str!("shelve/put_text.sql"))?.execute(params![
        id,
        searched(&titles),
        searched(&names.join("\n")),
        searched(&work.subjects.join("\n")),
    ])?;
    Ok(())
}
