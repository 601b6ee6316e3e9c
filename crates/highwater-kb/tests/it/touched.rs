//! What a commit of one document costs in a small base and in a large one: in operations on the disk and in rows, not in time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_db::sqlite::{Error, migrate};
use highwater_fs::Fs;
use highwater_kb::base::MIGRATIONS;
use highwater_kb::{BaseLock, Home};
use highwater_testkit::sim_fs::SimFs;
use jiff::Timestamp;

use crate::library::{Library, Paper, Says};

/// How many documents there are first, and then.
const SMALL: u32 = 100;
const LARGE: u32 = 10_000;
/// How many documents share a commit while the base grows.
const GROUP: u32 = 64;
/// Over how many commits the cost is told.
const SAMPLE: u32 = 16;

/// A base in memory that says how many rows its commits changed.
#[derive(Debug)]
struct Counting {
    fs: SimFs,
    rows: AtomicU64,
}

impl Home for Counting {
    fn fs(&self) -> &dyn Fs {
        &self.fs
    }
    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        let mut rows = Connection::open_in_memory().unwrap();
        rows.set_prepared_statement_cache_capacity(64);
        migrate(&mut rows, MIGRATIONS, now, |_| Ok(()))?;
        Ok(rows)
    }
    fn open_reader(&self) -> Result<Connection, Error> {
        unreachable!("nobody reads here")
    }
    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        self.rows.store(rows.total_changes(), Ordering::Relaxed);
        Ok(())
    }
    fn try_lock(&self) -> io::Result<Option<BaseLock>> {
        Ok(Some(BaseLock::new(())))
    }
}

/// A document that shares one page with all others, one with a few, and has one alone.
fn paper(n: u32) -> Paper {
    let (few, own) = (format!("concepts/few-{:05}", n / 4), format!("entities/own-{n:05}"));
    let says: [Says<'_>; 3] = [("concepts/common", false, &[]), (&few, false, &[]), (&own, true, &[])];
    Paper::new(&format!("paper-{n:05}"), &format!("# Paper {n}\n\nSome text of a paper.\n"), &says)
}

#[test]
fn a_commit_of_one_document_costs_the_same_in_a_base_of_any_size() {
    let home = Arc::new(Counting { fs: SimFs::new().with_atomic_renames(), rows: AtomicU64::new(0) });
    let lent: Arc<dyn Home> = home.clone();
    let mut library = Library::new(lent);
    let mut n = 0;
    let mut cost = |library: &mut Library, size: u32| {
        let mut next = |library: &mut Library, count: u32| {
            let papers: Vec<Paper> = (n..n + count).map(paper).collect();
            n += count;
            library.add(&papers.iter().collect::<Vec<_>>());
            n
        };
        while next(library, GROUP) < size {}
        let before = (home.fs.trace().len(), home.rows.load(Ordering::Relaxed));
        for _ in 0..SAMPLE {
            next(library, 1);
        }
        (home.fs.trace().len() - before.0, home.rows.load(Ordering::Relaxed) - before.1)
    };
    let small = cost(&mut library, SMALL);
    let large = cost(&mut library, LARGE);
    eprintln!("{SAMPLE} commits: {small:?} operations and rows at {SMALL} documents, {large:?} at {LARGE}");
    assert!(large.0 <= small.0 * 6 / 5, "operations: {small:?} {large:?}");
    assert!(large.1 <= small.1 * 6 / 5, "rows: {small:?} {large:?}");
}
