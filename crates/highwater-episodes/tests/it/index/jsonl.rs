//! The index in a file: damage, others beside it, crashes, and how much of it there can be.

use std::fs::{self, File};
use std::io::Write as _;

use highwater_episodes::index::{
    Appended, Cursor, Index, IndexError, IndexLock, JsonlIndex, PageAsk, Recovered, Row, View,
};
use highwater_fs::{Fs, RealFs};
use highwater_testkit::sim_fs::{
    Fault, FaultKind, Scenario, SimFs, Survival, crash_everywhere, forget_each_sync, tree,
};
use tempfile::TempDir;

use crate::rows::{key, path, row};

fn open(dir: &TempDir) -> (JsonlIndex<RealFs>, Recovered) {
    let fs = RealFs::open(dir.path()).unwrap();
    let lock = IndexLock::at(dir.path().join("index.jsonl.lock"));
    JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), lock).unwrap()
}

fn with(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("index.jsonl"), bytes).unwrap();
    dir
}

fn bytes(dir: &TempDir) -> Vec<u8> {
    fs::read(dir.path().join("index.jsonl")).unwrap()
}

#[test]
fn r14_a_torn_end_is_cut_off_into_quarantine_and_the_rest_goes_on() {
    let whole = row("lab/a", b"a").to_line();
    let dir = with(format!("{whole}{}", &row("lab/b", b"b").to_line()[..40]).as_bytes());
    let (index, found) = open(&dir);
    let torn = found.torn.unwrap();
    assert_eq!(found.keys, 1);
    assert_eq!(fs::read(dir.path().join(torn.path.as_path())).unwrap().len(), 40);
    let why = fs::read_to_string(dir.path().join(torn.reason.as_path())).unwrap();
    assert_eq!(why, format!("the torn end of index.jsonl, 40 bytes from byte {}\n", whole.len()));
    assert_eq!(bytes(&dir), whole.as_bytes());
    index.append(&[row("lab/b", b"b")]).unwrap();
    let again = open(&dir).1;
    assert_eq!((again.keys, again.torn.is_none(), again.unreadable), (2, true, 0));
}

#[test]
fn a_byte_order_mark_at_the_beginning_costs_no_row() {
    let (a, b) = (row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line());
    let file = format!("\u{feff}{a}{b}");
    let dir = with(file.as_bytes());
    let (index, found) = open(&dir);
    assert_eq!((found.keys, found.unreadable), (2, 0));
    assert!(index.find(&key("lab/a")).unwrap().is_some());
    let view = View::read(&dir.path().join("index.jsonl")).unwrap();
    assert_eq!((view.figures().unwrap().keys, view.figures().unwrap().unreadable), (2, 0));
    assert!(view.find(&key("lab/a")).unwrap().is_some());
    assert_eq!(bytes(&dir), file.as_bytes(), "nothing of it is changed");
    // Elsewhere it is part of a line, which is no row.
    let dir = with(format!("{a}\u{feff}{b}").as_bytes());
    assert_eq!((open(&dir).1.keys, open(&dir).1.unreadable), (1, 1));
}

#[test]
fn the_first_line_that_is_no_row_is_named_and_empty_ones_are_none() {
    let (a, b) = (row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line());
    let file = format!("{a}\n  \r\n{{\"torn\n{b}\nnone\n\n");
    let dir = with(file.as_bytes());
    let view = View::read(&dir.path().join("index.jsonl")).unwrap();
    assert_eq!((view.figures().unwrap().keys, view.figures().unwrap().unreadable), (2, 2));
    let first = view.first_unreadable().unwrap().unwrap();
    assert!(first.line == 4 && first.why.starts_with("it is no row: EOF"), "{first:?}");
    let (_, found) = open(&dir);
    assert_eq!((found.unreadable, found.named[0].line, found.named[1].line), (2, 4, 7));
    assert_eq!(found.named[0], first);
    assert_eq!(bytes(&dir), file.as_bytes(), "nothing of it is changed");
    let dir = with(format!("\n{a}{b}").as_bytes());
    assert_eq!(View::read(&dir.path().join("index.jsonl")).unwrap().first_unreadable().unwrap(), None);
}

#[test]
fn r14_lines_that_cannot_be_read_are_named_kept_and_skipped() {
    let (a, b) = (row("lab/a", b"a").to_line(), row("lab/b", b"b").to_line());
    let file = [a.as_bytes(), b"{\"torn\n", &[0; 600], b"\n", &[b'x'; 20_000], b"\n", b.as_bytes()].concat();
    let dir = with(&file);
    let (index, found) = open(&dir);
    assert_eq!((found.keys, found.unreadable), (2, 3));
    let named: Vec<_> = found.named.iter().map(|line| line.line).collect();
    assert_eq!(named, [2, 3, 4]);
    assert_eq!(found.named[2].why, "it is longer than 16384 bytes");
    assert!(index.find(&key("lab/b")).unwrap().is_some());
    assert_eq!(bytes(&dir), file, "nothing of it is changed");
    let lines = index.rows(Cursor::default()).unwrap();
    assert_eq!(lines.map(|line| line.unwrap().is_ok()).collect::<Vec<_>>(), [true, false, false, false, true]);
}

#[test]
fn a_last_row_that_lacks_nothing_but_its_end_is_a_row() {
    let line = row("lab/a", b"a").to_line();
    let dir = with(line.trim_end().as_bytes());
    let (index, found) = open(&dir);
    assert_eq!((found.keys, found.torn.is_none()), (1, true));
    assert!(index.find(&key("lab/a")).unwrap().is_some());
    assert_eq!(bytes(&dir), line.as_bytes());
}

#[test]
fn a_torn_end_of_another_process_does_not_spoil_what_comes_after_it() {
    let dir = with(b"");
    let (index, _) = open(&dir);
    index.append(&[row("lab/a", b"a")]).unwrap();
    let mut other = File::options().append(true).open(dir.path().join("index.jsonl")).unwrap();
    other.write_all(b"{\"half").unwrap();
    index.append(&[row("lab/b", b"b")]).unwrap();
    let found = open(&dir).1;
    assert_eq!((found.keys, found.unreadable), (2, 0));
    assert!(dir.path().join("quarantine/index.jsonl.0").exists());
}

fn all(index: &dyn Index) -> Result<usize, IndexError> {
    index.page(&PageAsk { rows_max: 9, ..PageAsk::default() }).map(|page| page.rows.len())
}

#[test]
fn a_row_that_was_taken_out_is_missed_however_the_file_was_written() {
    let rows = ["lab/a", "lab/b", "lab/c"].map(|name| row(name, name.as_bytes()));
    let line = |at: usize| rows[at].to_line();
    let grown = |n: u64| row(&format!("lab/new-{n}"), b"new").to_line();
    let without_b = format!("{}{}", line(0), line(2));
    for (what, text) in [
        ("shorter", without_b.clone()),
        ("shorter, without the last", format!("{}{}", line(0), line(1))),
        ("longer", format!("{without_b}{}{}", grown(1), grown(2))),
        ("as long", format!("{}{}{}", line(0), " ".repeat(line(1).len() - 1) + "\n", line(2))),
        ("empty", String::new()),
    ] {
        for in_place in [true, false] {
            let dir = with(b"");
            let (index, _) = open(&dir);
            index.append(&rows).unwrap();
            assert_eq!(all(&index).unwrap(), 3);
            if in_place {
                // As an editor does that keeps the file: the same inode.
                fs::write(dir.path().join("index.jsonl"), &text).unwrap();
            } else {
                fs::write(dir.path().join("new"), &text).unwrap();
                fs::rename(dir.path().join("new"), dir.path().join("index.jsonl")).unwrap();
            }
            let missed = all(&index);
            assert!(matches!(missed, Err(IndexError::Edited { lost: 1.., .. })), "{what}, {in_place}: {missed:?}");
            let lost = index.figures().unwrap().lost;
            assert_eq!(lost, if text.is_empty() { 3 } else { 1 }, "{what}, {in_place}");
            // Who indexes anew gives it back, also by another process.
            let other = open(&dir).0;
            other.append(&rows).unwrap();
            assert!(all(&index).unwrap() >= 3 && index.figures().unwrap().lost == 0, "{what}, {in_place}");
        }
    }
}

#[test]
fn what_others_append_is_no_change() {
    let dir = with(b"");
    let (index, _) = open(&dir);
    let other = open(&dir).0;
    for n in 0..20 {
        let name = format!("lab/{n}");
        let by: &dyn Index = if n % 3 == 0 { &index } else { &other };
        by.append(&[row(&name, b"x")]).unwrap();
        assert_eq!((all(&index).unwrap(), index.figures().unwrap().lost), (usize::min(n + 1, 9), 0));
    }
}

#[test]
fn a_file_that_took_the_place_of_the_index_is_read_anew() {
    let dir = with(b"");
    let (index, _) = open(&dir);
    index.append(&[row("lab/a", b"a"), row("lab/b", b"b")]).unwrap();
    fs::write(dir.path().join("new"), row("lab/b", b"b").to_line()).unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("index.jsonl")).unwrap();
    assert_eq!(index.find(&key("lab/a")).unwrap(), None);
    assert!(index.find(&key("lab/b")).unwrap().is_some());
    // Also where it is as long and has the same number.
    let swapped = [row("lab/c", b"c").to_line()].concat();
    fs::write(dir.path().join("index.jsonl"), &swapped).unwrap();
    assert_eq!(index.find(&key("lab/b")).unwrap(), None);
    assert!(index.find(&key("lab/c")).unwrap().is_some());
}

#[test]
fn two_who_append_at_once_write_each_row_once_and_tear_none() {
    let dir = with(b"");
    let count = 40;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (index, _) = open(&dir);
                for n in 0..count {
                    let name = format!("lab/{n}");
                    index.append(&[row(&name, name.as_bytes())]).unwrap();
                }
            });
        }
    });
    let (index, found) = open(&dir);
    assert_eq!((found.keys, found.unreadable), (count, 0));
    assert_eq!(index.rows(Cursor::default()).unwrap().count() as u64, count, "no row is there twice");
}

#[test]
fn a_hundred_thousand_rows_are_opened_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = std::io::BufWriter::new(File::create(dir.path().join("index.jsonl")).unwrap());
    for n in 0..100_000_u32 {
        file.write_all(row(&format!("lab-{}/ep-{n}", n % 7), &n.to_le_bytes()).to_line().as_bytes()).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let (index, found) = open(&dir);
    assert_eq!((found.keys, found.unreadable), (100_000, 0));
    let last = index.find(&key("lab-4/ep-99999")).unwrap().unwrap();
    assert_eq!(last, row("lab-4/ep-99999", &99_999_u32.to_le_bytes()));
}

fn sim(fs: &dyn Fs) -> Result<JsonlIndex<&dyn Fs>, String> {
    let opened = JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), IndexLock::alone());
    opened.map(|(index, _)| index).map_err(|error| error.to_string())
}

const STEPS: [&str; 3] = ["lab/a", "lab/b", "lab2/a"];

/// Three rows are appended, one after another.
struct Appends;

impl Scenario for Appends {
    fn before(&self) -> SimFs {
        SimFs::new()
    }

    fn steps(&self) -> usize {
        STEPS.len()
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(index) = sim(fs) else { return 0 };
        STEPS.iter().take_while(|step| index.append(&[row(step, step.as_bytes())]).is_ok()).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        sim(fs).map(drop)
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let index = sim(fs)?;
        let there = |step: &str| index.find(&key(step)).unwrap().is_some();
        match STEPS[..acknowledged].iter().find(|step| !there(step)) {
            Some(lost) => Err(format!("{lost} was acknowledged and is lost")),
            None => Ok(()),
        }
    }
}

#[test]
fn r09_a_row_that_was_acknowledged_survives_a_crash_at_any_operation() {
    let tally = crash_everywhere(&Appends).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.disks > 20, "{tally:?}");
}

#[test]
fn r09_every_sync_of_an_append_is_needed() {
    let omissions = forget_each_sync(&Appends).unwrap_or_else(|found| panic!("{found}"));
    let in_work = omissions.iter().filter(|omission| !omission.in_recovery);
    let unneeded: Vec<_> = in_work.filter(|o| o.noticed.is_none()).map(|o| o.step.to_string()).collect();
    assert_eq!(unneeded, Vec::<String>::new());
}

#[test]
fn r09_a_row_that_another_process_died_over_is_made_durable_before_it_counts() {
    let fs = SimFs::new();
    let index = sim(&fs).unwrap();
    index.append(&[row("lab/a", b"a")]).unwrap();
    // Written and not synced: what a kill between the two leaves.
    fs.append(&path("index.jsonl")).unwrap().append(row("lab/b", b"b").to_line().as_bytes()).unwrap();
    assert!(sim(&fs.reboot(Survival::Nothing)).unwrap().find(&key("lab/b")).unwrap().is_none());
    assert!(index.find(&key("lab/b")).unwrap().is_some());
    let after = fs.reboot(Survival::Nothing);
    assert!(sim(&after).unwrap().find(&key("lab/b")).unwrap().is_some());
}

#[test]
fn r09_a_row_whose_sync_failed_is_written_anew_and_not_taken_for_saved() {
    // The kernel calls the bytes of a failed sync clean: a second sync of them saves nothing.
    for kind in [FaultKind::Eio, FaultKind::LostAnswer, FaultKind::Enospc, FaultKind::ShortWrite] {
        let rehearsal = SimFs::new();
        assert_eq!(Appends.work(&rehearsal), STEPS.len());
        for at in 0..rehearsal.trace().len() {
            let fs = SimFs::new();
            fs.inject(Fault::once(at, kind));
            let Ok(index) = sim(&fs) else { continue };
            let mut acknowledged = Vec::new();
            for step in STEPS {
                // As a sender does: again, until it is told that it is there.
                let appended = (0..3).any(|_| index.append(&[row(step, step.as_bytes())]).is_ok());
                assert!(appended, "{step}, {kind:?} at {at}");
                acknowledged.push(step);
                let after = fs.reboot(Survival::Nothing);
                let after = sim(&after).unwrap();
                for step in &acknowledged {
                    assert!(after.find(&key(step)).unwrap().is_some(), "{step} is lost, {kind:?} at {at}");
                }
            }
            assert_eq!(index.append(&[row(STEPS[0], STEPS[0].as_bytes())]).unwrap(), [Appended::Present]);
            let rows = tree(&fs).unwrap().remove(&path("index.jsonl")).flatten().unwrap();
            assert_eq!(rows.iter().filter(|byte| **byte == b'\n').count(), STEPS.len(), "{kind:?} at {at}");
        }
    }
}

#[test]
fn a_lock_that_another_process_holds_for_ever_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.jsonl.lock");
    let lock = || IndexLock::at(&file).waiting(std::time::Duration::from_millis(50));
    let open = || JsonlIndex::open(RealFs::open(dir.path()).unwrap(), path("index.jsonl"), path("quarantine"), lock());
    let (index, _) = open().unwrap();
    let other = std::fs::File::open(&file).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = index.append(&[row("lab/a", b"a")]).unwrap_err();
    let told = highwater_engine::diagnosis::with_causes(&error);
    assert!(told.contains("index.jsonl.lock") && told.contains("another process has held it"), "{told}");
    assert!(open().is_err());
    drop(other);
    assert_eq!(index.append(&[row("lab/a", b"a")]).unwrap(), [Appended::New]);
}

#[test]
fn a_view_shows_what_counts_as_it_lies_there_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.jsonl");
    assert_eq!(View::read(&file).unwrap().figures().unwrap().keys, 0);
    assert!(!file.exists(), "nothing was made");
    let keys_of = |view: &View| {
        let mut keys = Vec::new();
        let made = |row: Row| (row.key().to_string(), row.size_bytes);
        view.each(&PageAsk::default(), made, |made| {
            keys.push(made);
            Ok::<_, IndexError>(true)
        })
        .unwrap();
        keys
    };
    let removed = Row { removed: Some("lost".to_owned()), ..row("lab/c", b"c") };
    let lines: String = [row("lab/a", b"a"), row("lab/b", b"b"), row("lab/c", b"c"), row("lab/a", b"aa"), removed]
        .iter()
        .map(Row::to_line)
        .collect();
    let torn = row("lab/d", b"d").to_line();
    for (ending, unreadable, more) in [
        ("", 0, None),
        (&torn[..40], 0, None),
        (torn.trim_end(), 0, Some(("lab/d".to_owned(), 1))),
        (&*format!("no row\n{}\n", "x".repeat(100_000)), 2, None),
    ] {
        let text = format!("{lines}{ending}");
        std::fs::write(&file, &text).unwrap();
        let view = View::read(&file).unwrap();
        let expected: Vec<_> = [("lab/b".to_owned(), 1), ("lab/a".to_owned(), 2)].into_iter().chain(more).collect();
        assert_eq!(keys_of(&view), expected, "{ending:.60}");
        assert_eq!(view.figures().unwrap().unreadable, unreadable);
        assert_eq!(view.find(&key("lab/a")).unwrap().unwrap().size_bytes, 2);
        assert_eq!(view.find(&key("lab/c")).unwrap(), None);
        let paged = view.page(&PageAsk { rows_max: 1, ..PageAsk::default() }).unwrap();
        let next = view.page(&PageAsk { rows_max: 9, cursor: paged.next, ..PageAsk::default() }).unwrap();
        assert_eq!((paged.rows.len(), next.rows.len(), next.complete), (1, expected.len() - 1, true));
        assert!(view.append(&[row("lab/z", b"z")]).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn a_view_of_many_parts_has_each_row_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.jsonl");
    // Lines of all lengths, so that parts begin anywhere in one, and one longer than a part.
    let mut text = String::new();
    let mut expected = Vec::new();
    let mut n = 0_u64;
    while text.len() < 26 << 20 {
        let key = format!("lab/ep-{n}");
        let with = Row { withdrawn: Some("x".repeat((n as usize * 7919) % 12_000)), ..row(&key, b"x") };
        text.push_str(&with.to_line());
        expected.push(key);
        n += 1;
        if n == 1_000 {
            text.push_str(&"y".repeat(9 << 20));
            text.push('\n');
        }
    }
    // Some again, far behind.
    for again in [3_usize, 700] {
        let again = Row { withdrawn: Some("again".to_owned()), ..row(&expected[again].clone(), b"again") };
        text.push_str(&again.to_line());
    }
    let moved: Vec<_> = [3, 700].map(|again: usize| expected[again].clone()).into();
    expected.retain(|key| !moved.contains(key));
    expected.extend(moved);
    std::fs::write(&file, &text).unwrap();
    let view = View::read(&file).unwrap();
    let mut keys = Vec::new();
    view.each(
        &PageAsk::default(),
        |row| row.key().to_string(),
        |key| {
            keys.push(key);
            Ok::<_, IndexError>(true)
        },
    )
    .unwrap();
    assert!(keys == expected, "{} rows, expected {}", keys.len(), expected.len());
    let figures = view.figures().unwrap();
    assert_eq!((figures.keys, figures.unreadable), (n, 1));
    let mut few = 0;
    view.each(&PageAsk::default(), drop, |()| {
        few += 1;
        Ok::<_, IndexError>(few < 5)
    })
    .unwrap();
    assert_eq!(few, 5, "it ends where no more is wanted");
}
