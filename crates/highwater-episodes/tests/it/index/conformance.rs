//! What every index promises; each kind of index is put through it.

use highwater_episodes::index::{Appended, Cursor, Index, IndexLock, JsonlIndex, PageAsk, Row};
use highwater_fs::RealFs;
use highwater_testkit::sim_fs::SimFs;

use crate::rows::{key, path, row};

/// Puts an index through everything; `again` opens the same one as another process would.
fn conforms(index: &dyn Index, again: &dyn Fn() -> Box<dyn Index>) {
    // Nothing is there at first.
    assert_eq!(index.find(&key("lab/a")).unwrap(), None);
    assert_eq!(index.append(&[]).unwrap(), []);

    // What is appended is found, by others too.
    let [a, b, other] = [row("lab/a", b"a"), row("lab/b", b"b"), row("lab2/a", b"other")];
    let became = index.append(&[a.clone(), b.clone(), other.clone()]).unwrap();
    assert_eq!(became, [Appended::New; 3]);
    assert_eq!(index.find(&key("lab/a")).unwrap().as_ref(), Some(&a));
    assert_eq!(
        again().find(&key("lab2/a")).unwrap().as_ref(),
        Some(&other),
        "the same id of two hosts is two episodes"
    );

    // The same again is left out, in one call and across calls; what differs counts from here on.
    let mut later = a.clone();
    later.received_at_wall = "2026-11-20T11:00:00Z".parse().unwrap();
    let became = index.append(&[later, row("lab/c", b"c"), row("lab/c", b"c")]).unwrap();
    assert_eq!(became, [Appended::Present, Appended::New, Appended::Present]);
    let changed = after(row("lab/b", b"bb"), 1);
    assert_eq!(index.append(std::slice::from_ref(&changed)).unwrap(), [Appended::New]);
    assert_eq!(index.find(&key("lab/b")).unwrap().as_ref(), Some(&changed));

    // What another appended meanwhile is seen, and not appended twice.
    let beside = again();
    beside.append(&[row("lab/d", b"d")]).unwrap();
    assert_eq!(index.append(&[row("lab/d", b"d")]).unwrap(), [Appended::Present]);
    beside.append(&[row("lab/e", b"e")]).unwrap();
    assert!(index.find(&key("lab/e")).unwrap().is_some());

    // A tombstone takes the place of the row.
    let mut gone = after(row("lab/c", b"c"), 1);
    gone.withdrawn = Some("lens cap".to_owned());
    assert_eq!(index.append(std::slice::from_ref(&gone)).unwrap(), [Appended::New]);
    assert_eq!(beside.find(&key("lab/c")).unwrap().as_ref(), Some(&gone));

    // Pages: in the order in which they came, each key once, and going on from a cursor shows what came since.
    let mut ask = PageAsk { rows_max: 2, ..PageAsk::default() };
    let mut keys = Vec::new();
    loop {
        let page = index.page(&ask).unwrap();
        assert!(page.rows.len() <= 2);
        keys.extend(page.rows.iter().map(|row| row.key().to_string()));
        ask.cursor = page.next;
        if page.complete {
            break;
        }
    }
    assert_eq!(keys, ["lab/a", "lab2/a", "lab/b", "lab/d", "lab/e", "lab/c"]);
    beside.append(&[row("lab/f", b"f")]).unwrap();
    let page = index.page(&ask).unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].key(), key("lab/f"));
    let of_lab2 = PageAsk { hosts: Some(vec![key("lab2/x").host]), rows_max: 10, ..PageAsk::default() };
    assert_eq!(index.page(&of_lab2).unwrap().rows, [other]);
    let since = Some("2026-11-20T10:00:02Z".parse().unwrap());
    assert_eq!(index.page(&PageAsk { since, rows_max: 10, ..PageAsk::default() }).unwrap().rows, []);
    assert_eq!(index.page(&PageAsk { cursor: Cursor { at: u64::MAX, after: None }, ..ask }).unwrap().rows, []);

    assert_eq!(index.figures().unwrap().keys, 7);
    assert_eq!(again().figures().unwrap().keys, 7);

    // What was withdrawn stays so, whoever sends it and in whatever bytes.
    for bytes in [&b"c"[..], b"cc"] {
        assert_eq!(index.append(&[row("lab/c", bytes)]).unwrap(), [Appended::Withdrawn]);
    }
    assert_eq!(beside.find(&key("lab/c")).unwrap().as_ref(), Some(&gone));

    // What no longer holds is left out, and what is asked is asked of what would be appended alone.
    let mut asked = Vec::new();
    let mut only_g = |row: &Row| {
        asked.push(row.key().to_string());
        Ok(row.key() == key("lab/g"))
    };
    let became =
        index.append_where(&[row("lab/a", b"a"), row("lab/g", b"g"), row("lab/h", b"h")], &mut only_g).unwrap();
    assert_eq!(became, [Appended::Present, Appended::New, Appended::Outrun]);
    assert_eq!(asked, ["lab/g", "lab/h"]);
    assert_eq!(index.find(&key("lab/h")).unwrap(), None);

    // A key whose row was removed has none, for everybody, until it gets one again; the same in one call.
    let removed = |name: &str, bytes: &[u8]| Row { removed: Some("lost".to_owned()), ..row(name, bytes) };
    assert_eq!(
        index.append(&[removed("lab/a", b"a"), removed("lab/h", b"h")]).unwrap(),
        [Appended::New, Appended::Present]
    );
    for index in [index, &*again(), &*beside] {
        assert_eq!(index.find(&key("lab/a")).unwrap(), None);
        assert_eq!(index.figures().unwrap().keys, 7);
        let all = index.page(&PageAsk { rows_max: 100, ..PageAsk::default() }).unwrap().rows;
        assert!(all.len() == 7 && all.iter().all(|row| row.key() != key("lab/a")), "{all:?}");
    }
    // Each is later than those of its key before it, whatever the clock says.
    assert_eq!(beside.append(&[a.clone(), removed("lab/a", b"a"), a.clone()]).unwrap(), [Appended::New; 3]);
    let back = again().find(&key("lab/a")).unwrap().unwrap();
    assert!(back.received_at_wall > a.received_at_wall);
    assert_eq!(Row { received_at_wall: a.received_at_wall, ..back }, a);
    // What was withdrawn is not removed, unless a person made its name free.
    let freed = Row { withdrawn: Some("no more".to_owned()), ..removed("lab/c", b"c") };
    assert_eq!(index.append(&[removed("lab/c", b"c"), row("lab/c", b"cc")]).unwrap(), [Appended::Withdrawn; 2]);
    assert_eq!(index.append(&[freed, row("lab/c", b"cc")]).unwrap(), [Appended::New; 2]);
    assert_eq!(again().find(&key("lab/c")).unwrap().unwrap().sha256, row("lab/c", b"cc").sha256);
}

/// So many seconds later.
fn after(row: Row, secs: i64) -> Row {
    let at = row.received_at_wall.checked_add(jiff::SignedDuration::from_secs(secs)).unwrap();
    Row { received_at_wall: at, ..row }
}

#[test]
fn an_index_in_a_file_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let fs = RealFs::open(dir.path()).unwrap();
        let lock = IndexLock::at(dir.path().join("index.jsonl.lock"));
        JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), lock).unwrap().0
    };
    conforms(&open(), &|| Box::new(open()));
}

#[test]
fn an_index_in_a_file_of_a_simulated_disk_conforms() {
    let fs = SimFs::new();
    let open = || JsonlIndex::open(fs.clone(), path("index.jsonl"), path("quarantine"), IndexLock::alone()).unwrap().0;
    conforms(&open(), &|| Box::new(open()));
}
