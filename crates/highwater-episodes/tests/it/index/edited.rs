//! An index that somebody edits while it is in use: what counted and is taken out is missed until it is back, whatever was done to the file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use highwater_episodes::index::{
    Appended, Index, IndexError, IndexLock, JsonlIndex, Missed, PageAsk, Row, View, lost_note,
};
use highwater_fs::{Fs as _, Op, RealFs};
use highwater_testkit::sim_fs::{Fault, FaultKind, SimFs};
use tempfile::TempDir;

use crate::rows::{key, path, row};

pub(super) fn open(dir: &TempDir) -> JsonlIndex<RealFs> {
    let fs = RealFs::open(dir.path()).unwrap();
    let lock = IndexLock::at(dir.path().join("index.jsonl.lock"));
    JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), lock).unwrap().0
}

pub(super) fn withdrawn(name: &str, bytes: &[u8]) -> Row {
    Row { withdrawn: Some("lens cap".to_owned()), ..row(name, bytes) }
}

/// As `--make-room` writes it.
pub(super) fn freed(name: &str, bytes: &[u8]) -> Row {
    Row { removed: Some("recorded anew".to_owned()), withdrawn: Some("no more".to_owned()), ..row(name, bytes) }
}

/// As `--prune` writes it.
pub(super) fn pruned(name: &str, bytes: &[u8]) -> Row {
    Row { removed: Some("its episode is no longer stored".to_owned()), ..row(name, bytes) }
}

pub(super) fn at(row: Row, minute: i8) -> Row {
    let at = jiff::civil::date(2026, 11, 20).at(12, minute, 0, 0).in_tz("UTC").unwrap().timestamp();
    Row { received_at_wall: at, ..row }
}

pub(super) fn all(index: &dyn Index) -> Result<usize, IndexError> {
    index.page(&PageAsk { rows_max: 99, ..PageAsk::default() }).map(|page| page.rows.len())
}

/// In place, as an editor writes that keeps the file; or another file of its name.
pub(super) fn write(dir: &TempDir, text: &str, in_place: bool) {
    if in_place {
        fs::write(dir.path().join("index.jsonl"), text).unwrap();
    } else {
        fs::write(dir.path().join("new"), text).unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("index.jsonl")).unwrap();
    }
}

#[test]
fn one_row_that_is_missed_is_told_as_one() {
    for (lost, said) in [(1, "1 of its rows is not there"), (2, "2 of its rows are not there")] {
        let told = IndexError::Edited { path: "index.jsonl".into(), lost }.to_string();
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_tombstone_that_was_taken_out_is_missed_and_nothing_takes_its_place() {
    for in_place in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let index = open(&dir);
        let tombstone = at(withdrawn("lab/a", b"a"), 1);
        index.append(&[row("lab/a", b"a"), row("lab/b", b"b"), tombstone.clone()]).unwrap();
        // The row before it is in force again, and says otherwise.
        write(&dir, &format!("{}{}", row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line()), in_place);
        assert!(matches!(all(&index), Err(IndexError::Edited { lost: 1, .. })));
        let figures = index.figures().unwrap();
        assert_eq!((figures.lost, figures.lost_withdrawn), (1, 1));
        let missed = index.missed(&key("lab/a")).unwrap();
        assert!(matches!(missed, Some(Missed::Withdrawn { why, row: Some(_) }) if why == "lens cap"));
        assert_eq!(index.missed(&key("lab/b")).unwrap(), None);
        for bytes in [&b"a"[..], b"aa"] {
            assert_eq!(index.append(&[row("lab/a", bytes)]).unwrap(), [Appended::Withdrawn]);
        }
        // Another process knows it from the file beside the index, also after all that knew it have ended.
        drop(index);
        let index = open(&dir);
        assert_eq!(index.lost_tombstones().unwrap(), std::slice::from_ref(&tombstone));
        let view = View::read(&dir.path().join("index.jsonl")).unwrap();
        assert_eq!(view.lost_tombstones().unwrap(), std::slice::from_ref(&tombstone));
        assert_eq!(index.give_up_lost().unwrap(), 0, "what was withdrawn is not given up");
        assert_eq!(index.append(&[row("lab/a", b"a")]).unwrap(), [Appended::Withdrawn]);
        assert_eq!(index.append(&index.lost_tombstones().unwrap()).unwrap(), [Appended::New]);
        assert_eq!((all(&index).unwrap(), lost_note(&dir.path().join("index.jsonl")).unwrap()), (2, None));
    }
}

/// Writes into the file, which stays as long; whatever the clock of its file system is, its times are others then.
fn overwrite(dir: &TempDir, at: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("index.jsonl")).unwrap();
    file.write_all_at(bytes, at).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() + Duration::from_secs(1)).unwrap();
}

#[test]
fn what_is_written_into_the_file_is_known_at_once_although_it_is_as_long() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let [a, b, other] = ["lab/a", "lab/b", "lab/x"].map(|name| row(name, b"1"));
    index.append(&[a.clone(), b]).unwrap();
    overwrite(&dir, 0, other.to_line().as_bytes());
    // Nobody asked for the one that is gone.
    assert_eq!(index.figures().unwrap().lost, 1);
    assert!(matches!(all(&index), Err(IndexError::Edited { lost: 1, .. })));
    assert_eq!(index.find(&key("lab/x")).unwrap(), Some(other.clone()));
    assert_eq!(index.append(std::slice::from_ref(&other)).unwrap(), [Appended::Present]);
    assert_eq!(index.append(std::slice::from_ref(&a)).unwrap(), [Appended::New]);
    assert_eq!(all(&index).unwrap(), 3);
    // Also where the first who looks is one who appends.
    overwrite(&dir, 0, a.to_line().as_bytes());
    assert_eq!(index.append(std::slice::from_ref(&other)).unwrap(), [Appended::New]);
    // A time alone loses nothing.
    overwrite(&dir, 0, b"");
    assert_eq!((all(&index).unwrap(), index.figures().unwrap().lost), (3, 0));
}

#[test]
fn what_the_index_writes_itself_is_not_read_again() {
    let fs = Arc::new(SimFs::new());
    let lock = IndexLock::alone;
    let open = || JsonlIndex::open(Arc::clone(&fs), path("index.jsonl"), path("quarantine"), lock()).unwrap().0;
    let (index, whole) = (open(), row("lab/a", b"1"));
    index.append(std::slice::from_ref(&whole)).unwrap();
    let reads = |act: &dyn Fn()| {
        let before = fs.trace().len();
        act();
        fs.trace()[before..].iter().filter(|step| step.op == Op::Read).count()
    };
    assert_eq!(reads(&|| assert!(index.figures().is_ok())), 0, "after it appended");
    let before = fs.operations();
    index.append(&[row("lab/b", b"2")]).unwrap();
    let sync = fs.trace()[before..].iter().position(|step| step.op == Op::Sync).unwrap();
    fs.inject(Fault::once(fs.operations() + sync, FaultKind::Enospc));
    index.append(&[row("lab/c", b"3")]).unwrap_err();
    assert_eq!(reads(&|| assert!(index.figures().is_ok())), 0, "after it cut back");
    let mut torn = fs.append(&path("index.jsonl")).unwrap();
    torn.append(b"{\"torn").unwrap();
    let index = open();
    assert_eq!(reads(&|| assert!(index.figures().is_ok())), 0, "after it mended");
}

#[test]
fn a_name_is_made_free_although_its_tombstone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (index, other) = (open(&dir), open(&dir));
    index.append(&[row("lab/b", b"b"), withdrawn("lab/a", b"a"), row("lab/c", b"c")]).unwrap();
    write(&dir, &row("lab/b", b"b").to_line(), false);
    assert_eq!(index.figures().unwrap().lost, 2);
    drop(other);
    let other = open(&dir);
    assert_eq!(other.append(&[freed("lab/a", b"a")]).unwrap(), [Appended::New]);
    let figures = index.figures().unwrap();
    assert_eq!((figures.lost, figures.lost_withdrawn), (1, 0), "what another misses is not its to forget");
    assert_eq!(index.append(&[row("lab/a", b"aa")]).unwrap(), [Appended::New]);
    // What nothing gives back a person gives up, by another process; the one that missed it goes on.
    assert_eq!(other.give_up_lost().unwrap(), 1);
    assert_eq!((all(&index).unwrap(), index.figures().unwrap().lost), (2, 0));
    assert!(!dir.path().join("index.jsonl.lost").exists());
}

#[test]
fn a_row_that_counted_is_missed_although_an_older_one_comes_to_light() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let (old, new) = (row("lab/a", b"a"), row("lab/a", b"aa"));
    index.append(std::slice::from_ref(&old)).unwrap();
    index.append(std::slice::from_ref(&new)).unwrap();
    write(&dir, &old.to_line(), true);
    assert!(matches!(all(&index), Err(IndexError::Edited { lost: 1, .. })));
    assert!(index.missed(&key("lab/a")).unwrap().is_some_and(|missed| missed.is_said_by(&new)));
    assert_eq!(index.append(std::slice::from_ref(&new)).unwrap(), [Appended::New]);
    assert_eq!(all(&index).unwrap(), 1);
}

#[test]
fn a_cursor_goes_on_in_the_file_that_it_is_of_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let rows = ["lab/1", "lab/2", "lab/3", "lab/4", "lab/5"].map(|name| row(name, name.as_bytes()));
    index.append(&rows).unwrap();
    let ask = |cursor| PageAsk { rows_max: 3, cursor, ..PageAsk::default() };
    let first = index.page(&ask(Default::default())).unwrap();
    let go_on = |index: &dyn Index| index.page(&ask(first.next)).map(|page| page.rows);
    assert_eq!(go_on(&index).unwrap(), rows[3..]);
    assert_eq!(first.next.to_string().parse(), Ok(first.next));
    // Also when it was started again, and with what came since.
    index.append(&[row("lab/6", b"6")]).unwrap();
    assert_eq!(go_on(&open(&dir)).unwrap().len(), 3);
    let line = |at: usize| rows[at].to_line();
    let sixth = row("lab/6", b"6").to_line();
    // The first was taken out, and given back at the end: from the same byte on, the fourth would be passed over.
    let turned = [line(1), line(2), line(3), line(4), sixth.clone(), line(0)].concat();
    write(&dir, &turned, false);
    assert!(matches!(go_on(&index), Err(IndexError::Outdated)));
    assert!(matches!(go_on(&open(&dir)), Err(IndexError::Outdated)));
    assert_eq!(all(&index).unwrap(), 6);
    // As long as before: two that changed places behind the cursor are no matter, before it they are.
    let behind = [line(0), line(1), line(2), line(4), line(3), sixth.clone()].concat();
    write(&dir, &behind, false);
    assert_eq!(go_on(&index).unwrap()[0], rows[4]);
    let before = [line(1), line(0), line(2), line(3), line(4), sixth].concat();
    write(&dir, &before, false);
    assert!(matches!(go_on(&index), Err(IndexError::Outdated)));
    let end = index.page(&PageAsk { rows_max: 99, ..PageAsk::default() }).unwrap().next;
    write(&dir, "", true);
    index.append(&rows[..1]).unwrap();
    index.give_up_lost().unwrap();
    assert!(matches!(index.page(&ask(end)), Err(IndexError::Outdated)), "it lies beyond the end");
}

/// What an index should know, told from the lines of its file.
#[derive(Default)]
struct Model {
    lines: Vec<Row>,
    /// What is missed.
    lost: BTreeMap<String, Row>,
}

fn says(one: &Row, other: &Row) -> bool {
    (one.withdrawn.is_some(), one.withdrawn.is_none().then_some(one.sha256))
        == (other.withdrawn.is_some(), other.withdrawn.is_none().then_some(other.sha256))
}

/// Whether a row that is there is the one that is missed: an older tombstone is not.
fn is_back(lost: &Row, row: &Row) -> bool {
    says(lost, row) && (lost.withdrawn.is_none() || row.received_at_wall >= lost.received_at_wall)
}

impl Model {
    fn counts(&self) -> BTreeMap<String, Row> {
        // Where there is a tombstone, it counts, wherever it stands; else the latest by its time.
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_by_key(|row| (row.withdrawn.is_some(), row.received_at_wall));
        lines.into_iter().map(|row| (row.key().to_string(), row.clone())).collect()
    }

    /// Other lines are in the file now.
    fn edited(&mut self, lines: Vec<Row>) {
        for (key, row) in self.counts() {
            self.lost.entry(key).or_insert(row);
        }
        self.lines = lines;
        self.lost.retain(|key, lost| !self.lines.iter().any(|row| row.key().to_string() == *key && is_back(lost, row)));
    }

    /// A line is there more, at the end.
    fn grown(&mut self, row: Row) {
        let name = row.key().to_string();
        if self.lost.get(&name).is_some_and(|lost| lost.withdrawn.is_none() || is_back(lost, &row)) {
            self.lost.remove(&name);
        }
        self.lines.push(row);
    }

    fn text(&self) -> String {
        self.lines.iter().map(Row::to_line).collect()
    }
}

#[test]
fn whatever_is_done_to_the_file_what_counted_is_missed_until_it_is_back() {
    for seed in 0..25 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let (mut index, mut model) = (open(&dir), Model::default());
        let mut aside: Vec<Row> = Vec::new();
        for step in 0..50 {
            let which = dice.u8(0..5);
            let (name, bytes) = (format!("lab/{which}"), [which, dice.u8(0..2)]);
            let new = if dice.u8(0..4) == 0 { withdrawn(&name, &bytes) } else { row(&name, &bytes) };
            let new = at(new, step);
            let (in_place, did) = (dice.bool(), dice.u8(0..9));
            match did {
                // The index appends.
                0..=2 => {
                    let became = index.append(std::slice::from_ref(&new)).unwrap()[0];
                    let is_kept = new.withdrawn.is_none()
                        && (model.lost.get(&name).is_some_and(|lost| lost.withdrawn.is_some())
                            || model.counts().get(&name).is_some_and(|row| row.withdrawn.is_some()));
                    assert!(!is_kept || became == Appended::Withdrawn, "{seed}.{step}: {became:?}");
                    if became == Appended::New {
                        model.grown(new);
                    }
                }
                // Another process does.
                3 => {
                    let became = open(&dir).append(std::slice::from_ref(&new)).unwrap()[0];
                    if became == Appended::New {
                        model.grown(new);
                    }
                }
                // A line is taken out.
                4 | 5 if !model.lines.is_empty() => {
                    let mut lines = model.lines.clone();
                    aside.push(lines.remove(dice.usize(0..lines.len())));
                    model.edited(lines);
                    write(&dir, &model.text(), in_place);
                }
                // A line is put back, somewhere.
                6 if !aside.is_empty() => {
                    let mut lines = model.lines.clone();
                    let back = aside.remove(dice.usize(0..aside.len()));
                    lines.insert(dice.usize(0..=lines.len()), back.clone());
                    if lines.last() == Some(&back) && lines[..lines.len() - 1] == model.lines && in_place {
                        model.grown(back);
                    } else {
                        model.edited(lines);
                    }
                    write(&dir, &model.text(), in_place);
                }
                // The file is renamed, or copied and truncated.
                7 if !model.lines.is_empty() => {
                    aside.extend(model.lines.clone());
                    model.edited(Vec::new());
                    if in_place {
                        fs::copy(dir.path().join("index.jsonl"), dir.path().join("index.jsonl.1")).unwrap();
                        fs::write(dir.path().join("index.jsonl"), "").unwrap();
                    } else {
                        fs::rename(dir.path().join("index.jsonl"), dir.path().join("index.jsonl.1")).unwrap();
                    }
                }
                // It is started again: what was withdrawn stays missed, all else is forgotten.
                8 => {
                    drop(index);
                    index = open(&dir);
                    index.give_up_lost().unwrap();
                    model.lost.retain(|_, lost| lost.withdrawn.is_some());
                }
                _ => {}
            }
            let told = format!("{seed}.{step}: {did} {name} {in_place}");
            let figures = index.figures().unwrap();
            let missed = model.lost.values().filter(|lost| lost.withdrawn.is_some()).count() as u64;
            assert_eq!((figures.lost, figures.lost_withdrawn), (model.lost.len() as u64, missed), "{told}");
            let note = lost_note(&dir.path().join("index.jsonl")).unwrap();
            assert_eq!(note.is_some(), !model.lost.is_empty(), "{told}");
            match all(&index) {
                Ok(rows) => assert!(model.lost.is_empty() && rows == model.counts().len(), "{told}: {rows}"),
                Err(error) => assert!(!model.lost.is_empty(), "{told}: {error}"),
            }
            for (name, row) in model.counts() {
                assert_eq!(index.find(&key(&name)).unwrap(), Some(row), "{told}");
            }
        }
    }
}

#[test]
fn what_is_lost_is_noted_again_as_long_as_somebody_knows_it() {
    for goes in ["removed", "could not be written"] {
        let dir = tempfile::tempdir().unwrap();
        let index = open(&dir);
        index.append(&[row("lab/a", b"a"), row("lab/b", b"b"), withdrawn("lab/a", b"a")]).unwrap();
        let note = dir.path().join("index.jsonl.lost");
        if goes == "could not be written" {
            fs::create_dir(&note).unwrap();
        }
        write(&dir, &format!("{}{}", row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line()), false);
        let missed = index.missed(&key("lab/a")).unwrap();
        assert!(matches!(missed, Some(Missed::Withdrawn { why, row: Some(_) }) if why == "lens cap"));
        if goes == "removed" {
            fs::remove_file(&note).unwrap();
        } else {
            fs::remove_dir(&note).unwrap();
        }
        // One that knows nothing of it prunes meanwhile.
        assert_eq!(open(&dir).append(&[pruned("lab/a", b"a")]).unwrap(), [Appended::New]);
        assert_eq!(index.figures().unwrap().lost_withdrawn, 1, "{goes}: that is no word on what was withdrawn");
        assert!(note.is_file(), "{goes}");
        assert_eq!(index.append(&[row("lab/a", b"aa")]).unwrap(), [Appended::Withdrawn]);
        // Another puts it back, behind what was pruned.
        let other = open(&dir);
        assert_eq!(other.append(&other.lost_tombstones().unwrap()).unwrap(), [Appended::New]);
        for index in [&index, &other, &open(&dir)] {
            assert!(index.find(&key("lab/a")).unwrap().is_some_and(|row| row.withdrawn.is_some()), "{goes}");
        }
        assert!(all(&index).is_ok() && !note.exists(), "{goes}");
    }
}

#[test]
fn what_was_given_up_beside_a_tombstone_that_is_back_stays_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.append(&[row("lab/a", b"a"), row("lab/b", b"b"), row("lab/c", b"c"), withdrawn("lab/a", b"a")]).unwrap();
    write(&dir, &format!("{}{}", row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line()), true);
    assert_eq!(index.figures().unwrap().lost, 2);
    // What `reindex --prune` does, in one call, while nobody asks the receiver.
    let other = open(&dir);
    assert_eq!(other.append(&other.lost_tombstones().unwrap()).unwrap(), [Appended::New]);
    assert_eq!(other.give_up_lost().unwrap(), 1);
    assert_eq!((index.figures().unwrap().lost, all(&index).unwrap()), (0, 2));
    assert!(!dir.path().join("index.jsonl.lost").exists());
}

#[test]
fn what_is_looked_at_is_withdrawn_where_its_tombstone_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    index.append(&[row("lab/a", b"a"), row("lab/b", b"b"), withdrawn("lab/a", b"a")]).unwrap();
    write(&dir, &format!("{}{}", row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line()), false);
    assert_eq!(index.figures().unwrap().lost, 1);
    let view = View::read(&dir.path().join("index.jsonl")).unwrap();
    assert!(view.has(&key("lab/a")) && view.find(&key("lab/a")).unwrap().unwrap().withdrawn.is_some());
    let mut seen = Vec::new();
    let tell = |row: Row| (row.episode_id.to_string(), row.withdrawn.is_some());
    view.each(&PageAsk::default(), tell, |row| {
        Ok::<_, IndexError>({
            seen.push(row);
            true
        })
    })
    .unwrap();
    assert_eq!(seen, [("b".to_owned(), false), ("a".to_owned(), true)]);
    assert_eq!(view.figures().unwrap().keys, 2);
}
