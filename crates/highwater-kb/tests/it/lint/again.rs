//! Bytes of pages that follow from the rows as a whole: they are made again, beside whatever a person wrote there.

use highwater_kb::page::rendered;
use highwater_kb::resolve::{Side, resolve};

use super::*;

const OF_BASE: [&str; 3] = ["wiki/index.md", "wiki/log.md", "wiki/AGENTS.md"];

fn content(desk: &Desk, path: &str) -> ContentId {
    desk.library.base.content(&file(path)).unwrap().unwrap()
}

/// What is said of a file.
fn finding(linted: &Linted, path: &str) -> Finding {
    linted.findings.iter().find(|finding| finding.file == path).unwrap_or_else(|| panic!("{linted:#?}")).clone()
}

/// Takes the bytes of a file from the base, or alters them.
fn lose(desk: &Desk, path: &str, is_damaged: bool) {
    let object = desk.object(content(desk, path));
    match is_damaged {
        true => std::fs::write(object, "other bytes").unwrap(),
        false => std::fs::remove_file(object).unwrap(),
    }
}

#[test]
fn what_is_lost_of_a_page_of_the_base_is_made_again_and_its_edit_stays() {
    for (path, is_damaged) in OF_BASE.into_iter().flat_map(|path| [(path, false), (path, true)]) {
        let mut desk = Desk::new();
        let before = std::fs::read(desk.object(content(&desk, path))).unwrap();
        desk.append(path, "\nMine.\n");
        lose(&desk, path, is_damaged);
        let linted = desk.look_into(true);
        let word = if is_damaged { "object-damaged" } else { "object-missing" };
        assert_eq!(told(&linted), [format!("{path} {word} (fix)"), format!("{path} edited")]);
        let mended = desk.mend(&linted, false);
        assert_eq!((mended.committed, mended.findings.len()), (None, 1), "{path}");
        assert_eq!(std::fs::read(desk.object(content(&desk, path))).unwrap(), before, "{path}");
        assert_eq!(told(&desk.look_into(true)), [format!("{path} edited")]);
        // What comes meets the edit as it would have.
        let fates = desk.add(&paper(4));
        assert!(fates.values().all(|fate| *fate != Fate::Conflict), "{path}: {fates:?}");
        assert!(desk.read(path).ends_with("\nMine.\n"), "{path}");
        assert!(desk.read("wiki/index.md").contains("summaries/report-4"));
        desk.undo(3);
        assert!(desk.read(path).ends_with("\nMine.\n"), "{path}");
        assert!(!desk.read("wiki/index.md").contains("summaries/report-4"));
        assert_eq!(desk.look_into(true).faults(), 0, "{path}");
    }
}

#[test]
fn shelves_and_earlier_pages_of_the_log_are_made_again_too() {
    let mut desk = Desk::new();
    let held = desk.home().try_lock().unwrap().unwrap();
    let many = |draft: &mut highwater_kb::Draft<'_>| {
        (0..230).try_for_each(|n| {
            let n = format!("{:02x}-{n}", n * 7 % 256);
            let own = format!("concepts/é-{n}");
            draft.log("add", n.as_str());
            Paper::new(&n, "x", &[(&own, true, &[])]).fold(draft)
        })
    };
    desk.library.base.commit(&held, now(), "add", "many", many).unwrap();
    drop(held);
    let files = desk.library.base.files().unwrap();
    let lost: Vec<_> = files
        .iter()
        .filter(|(path, _)| ["wiki/index", "wiki/log"].iter().any(|begin| path.as_str().starts_with(begin)))
        .collect();
    assert!(lost.len() > 10 && lost.iter().any(|(path, _)| path.as_str() == "wiki/log/2026-11-1.md"), "{lost:?}");
    let had: Vec<Vec<u8>> = lost.iter().map(|(_, id)| std::fs::read(desk.object(*id)).unwrap()).collect();
    for (path, id) in &lost {
        desk.append(path.as_str(), "\nMine.\n");
        let _ = std::fs::remove_file(desk.object(*id));
    }
    let linted = desk.look();
    assert_eq!(linted.counts.get(&Kind::ObjectMissing), Some(&(lost.len() as u64)));
    let mended = desk.mend(&linted, false);
    assert_eq!((mended.committed, mended.findings.len()), (None, lost.len()));
    for ((path, id), had) in lost.iter().zip(had) {
        assert_eq!(std::fs::read(desk.object(*id)).unwrap(), had, "{path}");
    }
    assert_eq!(desk.look_into(true).faults(), 0);
}

#[test]
fn a_page_of_the_base_that_is_rendered_otherwise_now_is_committed_as_it_is_now() {
    let path = "wiki/AGENTS.md";
    let mut desk = Desk::new();
    let now_rendered = content(&desk, path);
    let held = desk.home().try_lock().unwrap().unwrap();
    desk.library.base.commit(&held, now(), "older", "", |draft| draft.write(file(path), b"# As it was\n")).unwrap();
    drop(held);
    desk.append(path, "Mine.\n");
    lose(&desk, path, false);
    let linted = desk.look();
    let mended = desk.mend(&linted, false);
    assert_eq!(mended.committed.unwrap().fates[&file(path)], Fate::Conflict);
    assert_eq!((content(&desk, path), desk.read(path).as_str()), (now_rendered, "# As it was\nMine.\n"));
    assert_eq!(desk.read("wiki/AGENTS.conflict.md"), rendered::guide());
    assert_eq!(told(&desk.look_into(false)), ["wiki/AGENTS.conflict.md conflict", "wiki/AGENTS.md edited"]);
}

#[test]
fn an_index_that_lists_other_than_the_base_has_is_told_with_the_way_back() {
    let path = "wiki/index.md";
    let between = "between its two markers it is not what the base has";
    let mut desk = Desk::new();
    desk.append(path, "\nMine.\n");
    assert!(!finding(&desk.look(), path).what.contains(between));
    desk.write(path, &desk.read(path).replace("Documents: 3", "Documents: three"));
    assert_eq!(desk.add(&paper(4))[&file(path)], Fate::Conflict);
    let held = desk.home().try_lock().unwrap().unwrap();
    resolve(&mut desk.library.base, &held, now(), &file(path), Side::Mine).unwrap();
    drop(held);
    // Theirs stays, and lists no paper that came since.
    assert!(desk.read(path).contains("Documents: three") && !desk.read(path).contains("report-4"));
    let found = finding(&desk.look(), path);
    assert!(found.kind == Kind::Edited && found.what.contains(between), "{found:?}");
    assert!(found.mends.contains("move it elsewhere, then `highwater kb resolve wiki/index.md --theirs`"), "{found:?}");
    std::fs::rename(desk.path(path), desk.path("index.md")).unwrap();
    let held = desk.home().try_lock().unwrap().unwrap();
    resolve(&mut desk.library.base, &held, now(), &file(path), Side::Theirs).unwrap();
    drop(held);
    assert_eq!(desk.read(path), desk.library.page(path).unwrap());
    assert!(desk.read(path).contains("report-4"));
    assert_eq!(told(&desk.look()), Vec::<String>::new());
}
