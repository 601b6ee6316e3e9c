//! Crawls: lists of all identifiers, page by page. Owns their rows, that a page and where the list goes on are one transaction, and
//! that the list is sorted once, when it came to its end.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Spool, SpoolResult, Synced, count, from_json, micros, moment, to_json, whole};
use crate::client::Walk;
use crate::identifier::number;

/// The number of a crawl in its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CrawlId(pub i64);

/// Where a crawl comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CrawlSource {
    /// This host asked the repository.
    Crawl,
    /// Another one did.
    Snapshot,
}

/// A crawl that is to begin.
#[derive(Debug, Clone)]
pub struct NewCrawl {
    /// What snapshots of it are called by.
    pub name: String,
    /// Where it comes from.
    pub source: CrawlSource,
    /// The repository.
    pub base_url: String,
    /// The format that was asked for.
    pub metadata_prefix: String,
    /// The set; empty for all.
    pub set: String,
}

/// A crawl as it is.
#[derive(Debug, Clone)]
pub struct Crawl {
    /// Its number.
    pub id: CrawlId,
    /// What it was begun as.
    pub new: NewCrawl,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When its list came to its end.
    pub finished_at: Option<Timestamp>,
    /// The repository's time on its first page.
    pub first_response_at: Option<Timestamp>,
    /// The repository's time on its last page.
    pub last_response_at: Option<Timestamp>,
    /// Where the list goes on.
    pub walk: Option<Walk>,
    /// Pages read.
    pub pages: u64,
    /// Headers read, duplicates included.
    pub listed: u64,
    /// Those of another shape than the prefix.
    pub unrecognised: u64,
    /// The first of them.
    pub unrecognised_named: Vec<String>,
    /// How many headers the repository had promised, where the list ended before.
    pub short_of: Option<u64>,
}

/// One header of a page, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The identifier after the prefix.
    pub local: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// How many identifiers of another shape are named.
const NAMED_MAX: usize = 3;

/// The columns of `crawl/newest.sql`: id, what it was begun as, times, walk, counts, names, what it is short of.
type CrawlRow = (i64, NewCrawl, [Option<i64>; 4], Option<String>, [i64; 3], String, Option<i64>);

fn read(row: &Row<'_>) -> rusqlite::Result<CrawlRow> {
    let source: String = row.get(2)?;
    let new = NewCrawl {
        name: row.get(1)?,
        source: if source == "snapshot" { CrawlSource::Snapshot } else { CrawlSource::Crawl },
        base_url: row.get(3)?,
        metadata_prefix: row.get(4)?,
        set: row.get(5)?,
    };
    let times = [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?];
    Ok((row.get(0)?, new, times, row.get(10)?, [row.get(11)?, row.get(12)?, row.get(13)?], row.get(14)?, row.get(15)?))
}

fn newest(db: &Connection) -> SpoolResult<Option<Crawl>> {
    let row = db.prepare_cached(include_str!("crawl/newest.sql"))?.query_row([], read).optional()?;
    let Some((id, new, [begun, finished, first, last], walk, [pages, listed, unrecognised], named, short_of)) = row
    else {
        return Ok(None);
    };
    Ok(Some(Crawl {
        id: CrawlId(id),
        new,
        begun_at: moment(begun.unwrap_or_default())?,
        finished_at: finished.map(moment).transpose()?,
        first_response_at: first.map(moment).transpose()?,
        last_response_at: last.map(moment).transpose()?,
        walk: walk.as_deref().map(from_json).transpose()?,
        pages: count(pages),
        listed: count(listed),
        unrecognised: count(unrecognised),
        unrecognised_named: named.lines().map(str::to_owned).collect(),
        short_of: short_of.map(count),
    }))
}

fn list_headers(db: &Connection, crawl: CrawlId, from: u64, headers: &[Listed]) -> SpoolResult<()> {
    let mut list = db.prepare_cached(include_str!("crawl/list_header.sql"))?;
    for (header, no) in headers.iter().zip(from..) {
        list.execute(params![whole(no), crawl.0, header.local, whole(number(&header.local)), header.deleted])?;
    }
    Ok(())
}

/// Forgets older crawls and begins one.
fn begin(db: &Connection, new: &NewCrawl, at: Timestamp) -> SpoolResult<CrawlId> {
    db.execute("DELETE FROM crawl", [])?;
    let NewCrawl { name, source, base_url, metadata_prefix, set } = new;
    let source = if *source == CrawlSource::Snapshot { "snapshot" } else { "crawl" };
    db.execute(include_str!("crawl/begin.sql"), params![name, source, base_url, metadata_prefix, set, micros(at)])?;
    Ok(CrawlId(db.last_insert_rowid()))
}

/// Identifiers as they are read from the spool.
pub type Identifiers<'r> = dyn Iterator<Item = SpoolResult<String>> + 'r;

/// Adds identifiers to a list that is imported.
pub struct AddHeader<'c> {
    db: &'c Connection,
    crawl: CrawlId,
    added: u64,
}

/// What adding an identifier came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedHeader {
    /// It is in the list now.
    New,
    /// It was there already.
    Twice,
    /// It was there as the other: live and deleted at once.
    Overlap,
}

impl AddHeader<'_> {
    /// How many are in the list now.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub fn add(&mut self, local: &str, deleted: bool) -> SpoolResult<AddedHeader> {
        let mut add = self.db.prepare_cached(include_str!("crawl/import_header.sql"))?;
        let no = whole(self.added);
        if add.execute(params![self.crawl.0, local, no, whole(number(local)), deleted])? > 0 {
            self.added += 1;
            return Ok(AddedHeader::New);
        }
        let known: bool = self
            .db
            .prepare_cached("SELECT deleted FROM header WHERE crawl = ?1 AND identifier = ?2")?
            .query_row(params![self.crawl.0, local], |row| row.get(0))?;
        Ok(if known == deleted { AddedHeader::Twice } else { AddedHeader::Overlap })
    }
}

impl Spool {
    /// The newest crawl, finished or not.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn newest_crawl(&self) -> SpoolResult<Option<Crawl>> {
        self.read(newest).await
    }

    /// Forgets every crawl, so that a plan begins one; the caller holds the job's locks.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn forget_crawls(&self) -> SpoolResult<()> {
        self.write(|db| {
            db.execute("DELETE FROM crawl", [])?;
            Ok(())
        })
        .await
    }

    /// Begins a crawl; older ones are forgotten.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn begin_crawl(&self, new: NewCrawl, at: Timestamp) -> SpoolResult<CrawlId> {
        self.write(move |db| begin(db, &new, at)).await
    }

    /// Adds a page: its headers, those of another shape, and where the list goes on. A power cut may take the latest pages and
    /// leave the list where it was before them: they are asked for again.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn add_page(
        &self,
        crawl: &Crawl,
        headers: Vec<Listed>,
        unrecognised: Vec<String>,
        walk: &Walk,
        response_at: Option<Timestamp>,
    ) -> SpoolResult<Crawl> {
        let (id, from, mut named) = (crawl.id, crawl.listed, crawl.unrecognised_named.clone());
        named.extend(
            unrecognised.iter().take(NAMED_MAX.saturating_sub(named.len())).map(|id| id.replace(['\n', '\r'], " ")),
        );
        let listed = headers.len() + unrecognised.len();
        let walk = to_json(walk);
        self.write_synced(Synced::WithTheNext, move |db| {
            list_headers(db, id, from, &headers)?;
            db.prepare_cached(include_str!("crawl/add_page.sql"))?.execute(params![
                id.0,
                walk,
                whole(listed as u64),
                whole(unrecognised.len() as u64),
                named.join("\n"),
                response_at.map(micros),
            ])?;
            Ok(newest(db)?.expect("invariant: the crawl whose page was added"))
        })
        .await
    }

    /// The list came to its end and is sorted; `short_of` is what the repository had promised, where that is more.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn finish_crawl(&self, crawl: CrawlId, short_of: Option<u64>, at: Timestamp) -> SpoolResult<()> {
        self.write(move |db| {
            db.execute(include_str!("crawl/sort.sql"), params![crawl.0])?;
            // Of no other crawl: there is one at a time, and without a condition no row is looked at.
            db.execute("DELETE FROM listed", [])?;
            db.execute(include_str!("crawl/finish.sql"), params![crawl.0, micros(at), short_of.map(whole)])?;
            Ok(())
        })
        .await
    }

    /// Forgets what was read of a crawl whose list broke off for good; it begins anew.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn restart_crawl(&self, crawl: CrawlId) -> SpoolResult<()> {
        self.write(move |db| {
            db.execute("DELETE FROM listed", [])?;
            db.execute(include_str!("crawl/restart.sql"), params![crawl.0])?;
            Ok(())
        })
        .await
    }

    /// Takes a finished list over from elsewhere, in place of the crawl that was there; if `read` fails, nothing is changed. `read`
    /// gets what adds an identifier.
    ///
    /// # Errors
    /// [`super::SpoolError`]; what `read` says is within.
    pub async fn import_crawl<E: Send + 'static>(
        &self,
        new: NewCrawl,
        [first, last]: [Option<Timestamp>; 2],
        at: Timestamp,
        read: impl FnOnce(&mut AddHeader<'_>) -> Result<(), E> + Send + 'static,
    ) -> SpoolResult<Result<Crawl, E>> {
        self.try_write(move |db| {
            let id = begin(db, &new, at)?;
            let mut add = AddHeader { db, crawl: id, added: 0 };
            if let Err(error) = read(&mut add) {
                return Ok(Err(error));
            }
            let added = add.added;
            db.execute(
                include_str!("crawl/imported.sql"),
                params![id.0, micros(at), first.map(micros), last.map(micros), whole(added)],
            )?;
            Ok(Ok(newest(db)?.expect("invariant: the crawl that was imported")))
        })
        .await
    }

    /// How many different identifiers of a crawl are live, and how many deleted.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn crawl_counts(&self, crawl: CrawlId) -> SpoolResult<(u64, u64)> {
        self.read(move |db| {
            let counts: (i64, i64) =
                db.query_row(include_str!("crawl/counts.sql"), params![crawl.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((count(counts.0), count(counts.1)))
        })
        .await
    }

    /// Hands the live and the deleted identifiers of the newest crawl to `take`, in a snapshot's order: by number, then as text.
    /// Both are of one moment, also while a pass begins another crawl; `None` where `crawl` is no longer the newest.
    ///
    /// # Errors
    /// [`super::SpoolError`].
    pub async fn with_lists<T: Send + 'static>(
        &self,
        crawl: CrawlId,
        take: impl FnOnce([&mut Identifiers<'_>; 2]) -> T + Send + 'static,
    ) -> SpoolResult<Option<T>> {
        self.read(move |db| {
            let _one_moment = db.unchecked_transaction()?;
            if newest(db)?.is_none_or(|newest| newest.id != crawl) {
                return Ok(None);
            }
            let sql = include_str!("crawl/sorted.sql");
            let (mut live, mut dead) = (db.prepare(sql)?, db.prepare(sql)?);
            let mut live = live.query_map(params![crawl.0, false], |row| row.get(0))?.map(|row| Ok(row?));
            let mut dead = dead.query_map(params![crawl.0, true], |row| row.get(0))?.map(|row| Ok(row?));
            Ok(Some(take([&mut live, &mut dead])))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn new() -> NewCrawl {
        NewCrawl {
            name: "a crawl".to_owned(),
            source: CrawlSource::Snapshot,
            base_url: "https://a.example/oai".to_owned(),
            metadata_prefix: "oai_dc".to_owned(),
            set: String::new(),
        }
    }

    #[tokio::test]
    async fn both_lists_are_of_one_moment_while_another_process_begins_a_crawl() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let open = || Spool::open(&dir.path().join("spool.db"), now).unwrap();
        let (ours, theirs) = (open(), open());
        let read = |add: &mut AddHeader<'_>| {
            for (local, deleted) in [("1", false), ("2", false), ("3", true)] {
                assert_eq!(add.add(local, deleted).unwrap(), AddedHeader::New);
            }
            Ok::<_, ()>(())
        };
        let crawl = ours.import_crawl(new(), [None; 2], now, read).await.unwrap().unwrap();
        let (handle, beside) = (tokio::runtime::Handle::current(), theirs.clone());
        let lists = ours.with_lists(crawl.id, move |[live, dead]| {
            let live: Vec<_> = live.map(Result::unwrap).collect();
            handle.block_on(beside.begin_crawl(new(), now)).unwrap();
            (live, dead.map(Result::unwrap).collect::<Vec<_>>())
        });
        assert_eq!(lists.await.unwrap().unwrap(), (vec!["1".to_owned(), "2".to_owned()], vec!["3".to_owned()]));
        assert!(ours.with_lists(crawl.id, |_| ()).await.unwrap().is_none(), "it is forgotten now");
        drop(theirs);
    }
}
