//! Rows that are made again from the manifests and the objects.

use std::sync::Arc;

use highwater_db::sqlite::rusqlite::Connection;
use highwater_kb::{Directory, Home, Snapshot};

use crate::home::now;
use crate::library::{Library, Paper};

/// Every row that follows from manifests and objects, but for numbers that nobody sees.
pub(crate) fn rows(directory: &std::path::Path) -> Vec<String> {
    const TABLES: [&str; 12] = [
        "generation",
        "file",
        "own",
        "document",
        "registered",
        "contribution",
        "page",
        "mention",
        "link",
        "logged",
        "tally",
        "(SELECT page, heading, begin_line, end_line, first_page, last_page FROM passage)",
    ];
    let rows = Connection::open(directory.join(".highwater/kb.db")).unwrap();
    let mut all = Vec::new();
    for table in TABLES {
        let mut select = rows.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = select.column_count();
        let mut found: Vec<String> = select
            .query_map([], |row| {
                (0..columns).map(|n| row.get_ref(n).map(|value| format!("{value:?}"))).collect::<Result<Vec<_>, _>>()
            })
            .unwrap()
            .map(|row| format!("{table}: {}", row.unwrap().join(" | ")))
            .collect();
        found.sort();
        all.extend(found);
    }
    all
}

/// What readers are told.
pub(crate) fn answers(home: &Arc<dyn Home>) -> String {
    let snapshot = Snapshot::open(home.clone()).unwrap();
    let asked = ["tides", "itself", "version", "What", "paper says", "東京"];
    let hits = asked.map(|asked| snapshot.search(asked, 20).unwrap());
    format!("{hits:#?} {:?} {:?}", snapshot.documents(0, 100).unwrap(), snapshot.counts().unwrap())
}

#[test]
fn rows_that_are_destroyed_are_made_again_with_all_that_follows_from_them() {
    let directory = tempfile::tempdir().unwrap();
    let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
    let mut library = Library::new(home.clone());
    let paper = |n: u32, version: u32| {
        let text = format!("# Paper {n}\n\nVersion {version} of 東京 and tides.\n");
        let own = format!("concepts/own-{n}");
        let link = format!("concepts/own-{}", n + 1);
        Paper::new(
            &format!("paper-{n}"),
            &text,
            &[("concepts/tides", false, &[&link]), (&own, n.is_multiple_of(2), &[])],
        )
    };
    library.add(&[&paper(1, 1), &paper(2, 1)]);
    library.add(&[&paper(3, 1)]);
    library.add(&[&paper(1, 2)]);
    library.remove("paper-2");
    library.add(&[&paper(4, 1), &paper(5, 1)]);
    library.undo(5);
    library.change("query", "kept", |draft| {
        draft.write(crate::home::file("wiki/explorations/q.md"), b"# What tides\n\n[[summaries/paper-1]]\n")
    });
    let (had, said) = (rows(directory.path()), answers(&home));
    assert!(had.iter().any(|row| row.starts_with("mention")) && said.contains("Exploration"), "{said}");
    drop(library);
    for file in ["kb.db", "kb.db-wal", "kb.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(".highwater").join(file));
    }
    let held = home.try_lock().unwrap().unwrap();
    drop(highwater_kb::base::rebuild(home.clone(), &held, now()).unwrap());
    drop(held);
    let made = rows(directory.path());
    assert_eq!(made, had);
    assert_eq!(answers(&home), said);
    let mut library = Library::open(home);
    library.add(&[&paper(6, 1)]);
    assert_eq!(library.base.document(&paper(6, 1).name).unwrap().unwrap().sequence, 6, "no sequence is given twice");
}
