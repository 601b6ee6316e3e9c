//! Connections to rows that are an image on a simulated disk. Owns that an image is put into a connection that is open already: half of
//! what a run takes is else SQLite reading its schema and preparing its statements.
//!
//! The rows lie in a file in memory, which nothing locks and nothing syncs. SQLite sees by the counter in its header that it was changed,
//! reads its pages anew, and keeps what it knows of the schema, which is that of every image.

use std::cell::{Cell, RefCell};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use highwater_db::sqlite::rusqlite::config::DbConfig;
use highwater_db::sqlite::rusqlite::{Connection, OpenFlags};
use highwater_db::sqlite::{Error, migrate};
use highwater_kb::base::MIGRATIONS;
use tempfile::TempDir;

use crate::home::now;

/// Where files lie in memory, on Linux.
const IN_MEMORY: &str = "/dev/shm";
/// An image is copied at each COMMIT, and most of its pages hardly have anything.
const PAGE_BYTES: u32 = 512;
/// How many statements a connection keeps ready: all there are.
const STATEMENTS_MAX: usize = 256;
/// How many connections a thread keeps that nobody uses.
const IDLE_MAX: usize = 8;
/// Where the header has the counter of changes, and the same again beside the size that goes with it.
///
/// # Source
/// <https://sqlite.org/fileformat2.html#file_change_counter>
const COUNTERS: [usize; 2] = [24, 92];
/// Where it has the number of pages.
const PAGES: usize = 28;
/// How much of a file is mapped: all of it.
const MAPPED_BYTES: u32 = 1 << 24;
/// What the counter is in every image: images of the same rows are the same.
const COUNTER: u32 = 1;
/// More changes than are made to one image while it is in a connection.
const COUNTER_STEP: u32 = 256;

thread_local! {
    static DIRECTORY: TempDir = {
        let directory = Path::new(IN_MEMORY);
        if directory.is_dir() { tempfile::tempdir_in(directory) } else { tempfile::tempdir() }.unwrap()
    };
    static IDLE: RefCell<Vec<(Connection, Rows)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<(u32, u32)> = const { Cell::new((0, COUNTER)) };
}

/// The file of a connection, which goes with this.
#[derive(Debug)]
pub(crate) struct Rows(PathBuf);

impl Rows {
    /// Whether it is the file of this connection.
    pub(crate) fn are_of(&self, rows: &Connection) -> bool {
        rows.path().is_some_and(|path| Path::new(path) == self.0)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // What is left goes with its directory.
        let _ = fs::remove_file(&self.0);
    }
}

/// A connection to the rows of an image.
pub(crate) fn with(image: &[u8]) -> Result<(Connection, Rows), Error> {
    let idle = IDLE.with_borrow_mut(Vec::pop);
    let (rows, file) = idle.map_or_else(opened, Ok)?;
    let (files, counter) = NEXT.get();
    let counter = counter.wrapping_add(COUNTER_STEP);
    NEXT.set((files, counter));
    let mut image = image.to_vec();
    stamp(&mut image, counter);
    // One that was longer stays so: it is mapped, and the header says where the rows end.
    let put = || OpenOptions::new().write(true).open(&file.0)?.write_all_at(&image, 0);
    put().map_err(|source| Error::Io { path: file.0.clone(), action: "write", source: source.into() })?;
    Ok((rows, file))
}

/// One to the rows of a base in which nothing happened yet.
pub(crate) fn with_nothing() -> Result<(Connection, Rows), Error> {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    let made = || {
        let (mut rows, _file) = opened().unwrap();
        migrate(&mut rows, MIGRATIONS, now(), |_| Ok(())).unwrap();
        image_of(&rows).unwrap()
    };
    with(EMPTY.get_or_init(made))
}

/// The image of what is committed.
pub(crate) fn image_of(rows: &Connection) -> io::Result<Vec<u8>> {
    let mut image = fs::read(rows.path().expect("it has a file"))?;
    let pages = image.get(PAGES..PAGES + 4).and_then(|pages| pages.try_into().ok()).map_or(0, u32::from_be_bytes);
    image.truncate((pages * PAGE_BYTES) as usize);
    stamp(&mut image, COUNTER);
    Ok(image)
}

/// Keeps a connection for the next.
pub(crate) fn give_back(rows: Connection, file: Rows) {
    // A reader's transaction, and one that a crash cut short.
    if rows.is_autocommit() || rows.execute_batch("ROLLBACK").is_ok() {
        IDLE.with_borrow_mut(|idle| {
            if idle.len() < IDLE_MAX {
                idle.push((rows, file));
            }
        });
    }
}

fn opened() -> Result<(Connection, Rows), Error> {
    let (files, counter) = NEXT.get();
    NEXT.set((files + 1, counter));
    let path = DIRECTORY.with(|directory| directory.path().join(format!("{files}.db")));
    let told = |source| Error::from_sqlite(&path, source);
    let rows = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), "unix-none").map_err(told)?;
    rows.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Else a statement is prepared anew for each value that is bound to it.
    rows.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(told)?;
    let numbers = [("page_size", PAGE_BYTES), ("mmap_size", MAPPED_BYTES)];
    let numbers = numbers.map(|(pragma, number)| (pragma, number.to_string()));
    let words = [("journal_mode", "MEMORY"), ("synchronous", "OFF")].map(|(pragma, word)| (pragma, word.to_owned()));
    for (pragma, value) in numbers.into_iter().chain(words) {
        rows.pragma_update(None, pragma, value).map_err(told)?;
    }
    Ok((rows, Rows(path)))
}

fn stamp(image: &mut [u8], counter: u32) {
    for at in COUNTERS {
        if let Some(place) = image.get_mut(at..at + 4) {
            place.copy_from_slice(&counter.to_be_bytes());
        }
    }
}

#[test]
fn an_image_that_is_put_into_a_connection_is_what_it_then_has() {
    let (rows, file) = with_nothing().unwrap();
    let count = |rows: &Connection| {
        rows.prepare_cached("SELECT count(*) FROM generation")
            .unwrap()
            .query_row([], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let empty = image_of(&rows).unwrap();
    rows.execute("INSERT INTO generation VALUES (1, '', '', '', x'')", []).unwrap();
    let one = image_of(&rows).unwrap();
    assert_eq!(count(&rows), 1);
    rows.execute("INSERT INTO generation VALUES (2, '', '', '', x'')", []).unwrap();
    let two = image_of(&rows).unwrap();
    give_back(rows, file);
    for (image, has) in [(&empty, 0), (&two, 2), (&one, 1), (&two, 2), (&empty, 0)] {
        let (rows, file) = with(image).unwrap();
        assert_eq!(count(&rows), has);
        assert_eq!(image_of(&rows).unwrap(), *image, "nothing was changed");
        give_back(rows, file);
    }
}
