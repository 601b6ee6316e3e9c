//! What a commit stores goes to the disk together: how many files at a time, and what holds meanwhile.

use std::collections::BTreeSet;

use highwater_fs::{Fs, Op, RelPath};
use highwater_kb::{Base, BaseLock, ContentId, KbError};
use highwater_testkit::sim_fs::{At, Fault, FaultKind, SimFs, Step, Survival};

use crate::home::{Simulated, file, now, opened};

/// The most files that are open at a time: those that wait, and the manifest.
const OPEN_MAX: usize = 65;
/// More pages than go to the disk together.
const PAGES: usize = 150;

fn base() -> (SimFs, Base, BaseLock) {
    let fs = SimFs::new().with_atomic_renames();
    let home = Simulated::home(&fs);
    Base::init(home.clone(), now()).unwrap();
    let (base, held) = opened(&home).unwrap();
    (fs, base, held)
}

fn page(n: usize) -> (String, String) {
    (format!("wiki/concepts/page-{n:03}.md"), format!("What page {n} says.\n"))
}

fn partial_of(text: &str) -> RelPath {
    RelPath::new(format!(".highwater/objects/.{}.0.hw-partial", ContentId::of(text.as_bytes()))).unwrap()
}

/// Writes the pages of a generation, whatever becomes of any of them.
fn write_deaf(base: &mut Base, held: &BaseLock, heard: &mut Vec<String>) -> Result<(), KbError> {
    let committed = base.commit(held, now(), "add", "a test", |draft| {
        for (path, text) in (0..PAGES).map(page) {
            heard.extend(draft.write(file(&path), text.as_bytes()).err().map(|error| error.to_string()));
            draft.place(file(&path), ContentId::of(text.as_bytes()));
        }
        Ok(())
    })?;
    assert!(committed.is_some());
    Ok(())
}

#[test]
fn the_files_of_a_commit_are_synced_some_at_a_time_and_named_only_then() {
    let (fs, mut base, held) = base();
    let before = fs.trace().len();
    write_deaf(&mut base, &held, &mut Vec::new()).unwrap();
    let (mut open, mut most, mut batches) = (BTreeSet::new(), 0, 0);
    let mut last = Op::Create;
    for Step { op, path } in fs.trace().split_off(before) {
        let name = path.to_string();
        if !name.starts_with(".highwater/objects/") && !name.starts_with(".highwater/tmp/") {
            continue;
        }
        match op {
            Op::Create => assert!(open.insert(path)),
            Op::Sync => {
                batches += usize::from(last != Op::Sync);
                assert!(open.remove(&path), "{name} is synced once");
            }
            Op::Rename if name.starts_with(".highwater/objects/") => assert!(open.is_empty(), "{name}: {open:?}"),
            Op::Rename if name.ends_with(".plan") => assert!(open.is_empty(), "{name}: {open:?}"),
            _ => {}
        }
        most = most.max(open.len());
        last = op;
    }
    assert!(open.is_empty() && most <= OPEN_MAX, "{most}");
    // Three of objects, three of what is staged, and the plan.
    assert_eq!(batches, 7);
}

#[test]
fn what_waits_to_be_stored_is_read_like_what_is_stored() {
    let (fs, mut base, held) = base();
    let (path, text) = page(1);
    let commit = base.commit(&held, now(), "add", "a test", |draft| {
        draft.write(file(&path), text.as_bytes())?;
        let partials = fs.list(&RelPath::new(".highwater/objects").unwrap())?;
        assert_eq!(partials, [], "it waits");
        assert!(draft.has(ContentId::of(text.as_bytes()))?);
        assert_eq!(draft.read(&file(&path), 100)?.unwrap(), text.as_bytes());
        Ok(())
    });
    assert!(commit.unwrap().is_some());
    assert_eq!(base.read(&file(&path)).unwrap().unwrap(), text.as_bytes());
}

#[test]
fn r05_what_could_not_be_stored_is_stored_anew_before_the_commit_even_where_nobody_heard_of_it() {
    let (fs, mut base, held) = base();
    let step = Step { op: Op::Sync, path: partial_of(&page(7).1) };
    fs.inject(Fault { at: At::Step(step), kind: FaultKind::Eio, sticky: false });
    let mut heard = Vec::new();
    write_deaf(&mut base, &held, &mut heard).unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    drop((base, held));

    let fs = fs.reboot(Survival::Nothing);
    let (base, _held) = opened(&Simulated::home(&fs)).unwrap();
    for (path, text) in (0..PAGES).map(page) {
        assert_eq!(base.read(&file(&path)).unwrap().unwrap(), text.as_bytes(), "{path}");
        assert_eq!(fs.read(&file(&path).to_rel(), 100).unwrap(), text.as_bytes(), "{path}");
    }
}

#[test]
fn r05_what_cannot_be_stored_ends_the_commit_and_leaves_nothing_half_written() {
    let (fs, mut base, held) = base();
    let step = Step { op: Op::Sync, path: partial_of(&page(7).1) };
    fs.inject(Fault { at: At::Step(step), kind: FaultKind::Eio, sticky: true });
    let mut heard = Vec::new();
    let error = write_deaf(&mut base, &held, &mut heard).unwrap_err();
    assert!(error.to_string().contains("sync") || matches!(error, KbError::Fs(_)), "{error}");
    assert!(!heard.is_empty());
    assert_eq!(base.head().unwrap(), None);
    let left = fs.list(&RelPath::new(".highwater/objects").unwrap()).unwrap();
    assert!(left.iter().all(|entry| !highwater_fs::is_partial(&entry.name)), "{left:?}");
}
