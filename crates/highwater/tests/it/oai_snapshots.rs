//! Snapshots: one crawl serves every host. Whatever is wrong with the files is refused with file, line and reason, and what was
//! there before stays.

use std::fs;

use serde_json::Value;

use crate::oai_targets::far_side::FarSide;
use crate::oai_targets::kept::{Kept, refused, said};
use crate::rig::{Flock, Rig};

const LIVE: u64 = 60;
const DELETED: u64 = 12;

/// A host that has every third of the live books and two of the deleted ones.
fn host(far: &FarSide) -> Rig {
    let rig = Rig::new(&far.backfill(""));
    let mut has: Vec<String> = far.live().into_iter().step_by(3).collect();
    has.extend(far.deleted().into_iter().take(2));
    fs::create_dir(rig.path(".highwater-state")).unwrap();
    far.load(&rig.path(".highwater-state/catalog.db"), &has);
    rig
}

/// A host that crawled, and exported the snapshot `doab`.
fn exported(far: &FarSide) -> Rig {
    let rig = host(far);
    rig.ok(&["oai", "discover", "missing"]);
    rig.ok(&["oai", "snapshot", "export", "missing", "doab"]);
    rig
}

fn copy(from: &Rig, to: &Rig, name: &str) {
    for ending in ENDINGS {
        fs::copy(from.path(&format!("doab{ending}")), to.path(&format!("{name}{ending}"))).unwrap();
    }
}

const ENDINGS: [&str; 3] = [".active", ".deleted", ".manifest.json"];

fn bytes(rig: &Rig, name: &str) -> Vec<Vec<u8>> {
    ENDINGS.iter().map(|ending| fs::read(rig.path(&format!("{name}{ending}"))).unwrap()).collect()
}

/// The worklist, in order.
fn worklist(rig: &Rig) -> Vec<String> {
    let listed = rig.ok(&["--json", "items", "missing"]).stdout;
    let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
    listed.lines().map(key).collect()
}

fn reports(rig: &Rig) -> Vec<String> {
    ["missing.csv", "stale.csv", "orphans.csv"]
        .iter()
        .map(|name| fs::read_to_string(rig.path(&format!(".highwater-state/oai/missing/{name}"))).unwrap())
        .collect()
}

#[test]
fn two_exports_of_one_state_are_the_same_bytes_and_so_are_the_lists_of_two_crawls() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = exported(&far);
    rig.ok(&["oai", "snapshot", "export", "missing", "again.active"]);
    assert_eq!(bytes(&rig, "doab"), bytes(&rig, "again"));
    let other = exported(&far);
    assert_eq!(bytes(&rig, "doab")[..2], bytes(&other, "doab")[..2]);
    // In the order of the numbers, not of the text.
    let listed: Vec<u64> =
        rig.read("doab.active").lines().map(|id| id.rsplit('/').next().unwrap().parse().unwrap()).collect();
    assert_eq!(listed.len() as u64, LIVE);
    assert!(listed.windows(2).all(|pair| pair[0] < pair[1]), "{listed:?}");
}

#[test]
fn another_host_imports_the_same_missing_set_without_one_contact() {
    let far = FarSide::new(LIVE, DELETED);
    let one = exported(&far);
    let two = host(&far);
    copy(&one, &two, "doab");
    let before = far.contacts();
    let told = two.ok(&["oai", "snapshot", "import", "missing", "doab"]);
    assert_eq!(far.contacts(), before, "{}", told.stdout);
    insta::assert_snapshot!(said(&two, &told), @"
    missing: 60 active and 12 deleted there, 22 here
      missing         40  live there and not here: the worklist
      stale            2  deleted there and still here
      orphans          0  here and unknown there
      lists: [DIR]/.highwater-state/oai/missing
      next: `highwater run missing`
    ");
    assert_eq!(worklist(&two), worklist(&one));
    assert_eq!(reports(&two), reports(&one));
    // And it is drained: each missing record is asked for once, and no list is.
    let drained = two.ok(&["--json", "run", "missing"]);
    assert_eq!(drained.json()["reason"], "drained");
    let asked = far.asked();
    assert_eq!(asked, worklist(&two));
    assert_eq!(far.contacts() - before, asked.len() as u64);
}

#[test]
fn files_of_other_programs_without_a_manifest_are_taken_with_a_warning() {
    let far = FarSide::new(LIVE, DELETED);
    let one = exported(&far);
    let two = host(&far);
    // Prefixes left on, DOS line ends, a byte order mark, no end of the last line.
    let foreign = |name: &str| {
        let lines = one.read(name);
        let lines: Vec<_> = lines.lines().map(|id| format!("oai:books.example.org:{id}")).collect();
        two.write(name, &format!("\u{feff}{}", lines.join("\r\n")));
    };
    foreign("doab.active");
    foreign("doab.deleted");
    let before = far.contacts();
    let told = two.ok(&["oai", "snapshot", "import", "missing", "doab"]);
    insta::assert_snapshot!(said(&two, &told), @"
    missing: 60 active and 12 deleted there, 22 here
      missing         40  live there and not here: the worklist
      stale            2  deleted there and still here
      orphans          0  here and unknown there
      lists: [DIR]/.highwater-state/oai/missing
      next: `highwater run missing`
      warning: [DIR]/doab.manifest.json is not there: nothing shows that the two files are of one crawl, or whole
    ");
    assert_eq!(far.contacts(), before);
    assert_eq!((worklist(&two), reports(&two)), (worklist(&one), reports(&one)));
}

/// A host that planned from a snapshot and has an open worklist, with a good snapshot `doab` beside.
fn planned(far: &FarSide) -> Rig {
    let rig = exported(far);
    rig.ok(&["oai", "snapshot", "import", "missing", "doab", "--replace"]);
    rig
}

fn lines(rig: &Rig, name: &str) -> Vec<String> {
    rig.read(name).lines().map(str::to_owned).collect()
}

fn write_lines(rig: &Rig, name: &str, lines: &[String]) {
    rig.write(name, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// Imports over everything that is there, and is refused.
fn refused_import(rig: &Rig) -> String {
    refused(rig, 2, &["oai", "snapshot", "import", "missing", "doab", "--replace"])
}

#[test]
fn r15_a_pair_of_two_crawls_is_refused() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    far.books.delete("oai:books.example.org:20.500.12854/5", "2026-11-20T12:00:00Z".parse().unwrap());
    let later = exported(&far);
    fs::copy(later.path("doab.deleted"), rig.path("doab.deleted")).unwrap();
    insta::assert_snapshot!(refused_import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/doab.deleted:1: found "20.500.12854/5", which the file of live records has too; a record is live or deleted, not both
      next: these are files of two crawls: take both from one
    "#);
    // Without a manifest it is the overlap that shows it.
    fs::remove_file(rig.path("doab.manifest.json")).unwrap();
    insta::assert_snapshot!(refused_import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/doab.deleted:1: found "20.500.12854/5", which the file of live records has too; a record is live or deleted, not both
      next: these are files of two crawls: take both from one
    "#);
}

#[test]
fn r15_a_malformed_line_is_refused_by_its_number() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    let whole = lines(&rig, "doab.active");
    fs::remove_file(rig.path("doab.manifest.json")).unwrap();
    for (malformed, no) in [("20.500.12854/7 Emma", 8), ("", 3), ("a\u{7}b", 1)] {
        let mut lines = whole.clone();
        lines[no - 1] = malformed.to_owned();
        write_lines(&rig, "doab.active", &lines);
        let said = refused_import(&rig);
        assert!(
            said.contains(&format!("[DIR]/doab.active:{no}: found {malformed:?}, expected one identifier")),
            "{said}"
        );
    }
    write_lines(&rig, "doab.active", &[&whole[..4], &["x".repeat(2000)]].concat());
    insta::assert_snapshot!(refused_import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/doab.active:5: found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", expected one identifier and the end of the line
      next: export the snapshot again where it was crawled, and copy all three files
    "#);
    fs::write(rig.path("doab.active"), b"20.500.12854/1\n20.500.12854/\xE9\n").unwrap();
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.active:2: found bytes that are no UTF-8, expected one identifier and the end of the line
      next: export the snapshot again where it was crawled, and copy all three files
    ");
}

#[test]
fn r15_a_record_that_is_live_and_deleted_at_once_is_refused() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    fs::remove_file(rig.path("doab.manifest.json")).unwrap();
    let mut deleted = lines(&rig, "doab.deleted");
    deleted.push(lines(&rig, "doab.active")[7].clone());
    write_lines(&rig, "doab.deleted", &deleted);
    insta::assert_snapshot!(refused_import(&rig), @r#"
    error[HW-OAI-005]: [DIR]/doab.deleted:13: found "20.500.12854/9", which the file of live records has too; a record is live or deleted, not both
      next: these are files of two crawls: take both from one
    "#);
}

#[test]
fn r15_a_file_that_was_cut_short_or_grew_is_refused() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    let whole = rig.read("doab.active");
    rig.write("doab.active", &whole[..whole.len() - 5]);
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.active:60: found a line without its end, expected one identifier and the end of the line
      next: export the snapshot again where it was crawled, and copy all three files
    ");
    let at_a_line = whole[..whole.len() - 1].rfind('\n').unwrap();
    rig.write("doab.active", &whole[..=at_a_line]);
    let cut = refused_import(&rig);
    rig.write("doab.active", &format!("{whole}20.500.12854/999\n"));
    let grown = refused_import(&rig);
    rig.write("doab.active", "");
    let empty = refused_import(&rig);
    for (said, found) in [(cut, "59"), (grown, "61"), (empty, "0")] {
        assert!(said.contains(&format!("[DIR]/doab.active: found {found} lines with SHA-256 ")), "{said}");
        assert!(said.contains(", expected 60 with "), "{said}");
    }
    rig.write("doab.active", &whole);
    rig.ok(&["oai", "snapshot", "import", "missing", "doab", "--replace"]);
}

#[test]
fn r15_another_repositorys_snapshot_is_refused_by_what_differs() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    let manifest = rig.read("doab.manifest.json");
    for (field, other) in [
        ("base-url", "https://elsewhere.example.org/oai"),
        ("metadata-prefix", "marcxml"),
        ("set", "books:law"),
        ("identifier-prefix", "oai:elsewhere.example.org:"),
    ] {
        let mut changed: Value = serde_json::from_str(&manifest).unwrap();
        changed[field] = Value::from(other);
        rig.write("doab.manifest.json", &changed.to_string());
        let said = refused_import(&rig);
        assert!(
            said.contains(&format!(
                "[DIR]/doab.manifest.json: {field}: found a snapshot of {other:?}, expected one of "
            )),
            "{said}"
        );
    }
}

#[test]
fn r15_a_manifest_that_is_newer_or_none_is_refused() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    let manifest = rig.read("doab.manifest.json");
    rig.write("doab.manifest.json", &manifest.replacen("\"format\": 1", "\"format\": 2", 1));
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.manifest.json: format: found format 2, expected 1
      next: use the highwater that wrote it, or a newer one
    ");
    // A newer one may have fields that this one does not know: that it is newer is what must be told.
    rig.write("doab.manifest.json", "{ \"format\": 2, \"shards\": [] }");
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.manifest.json: format: found format 2, expected 1
      next: use the highwater that wrote it, or a newer one
    ");
    rig.write("doab.manifest.json", "{ \"format\": 1,\n  \"crawl\": 7 }");
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.manifest.json:2: found invalid type: integer `7`, expected a string; expected the manifest of a snapshot
      next: export the snapshot again where it was crawled, and copy all three files
    ");
    rig.write("doab.manifest.json", "");
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.manifest.json:1: found EOF while parsing a value; expected the manifest of a snapshot
      next: export the snapshot again where it was crawled, and copy all three files
    ");
}

#[test]
fn r15_files_that_are_not_there_or_are_no_files_are_refused() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "import", "missing", "dbao", "--replace"]), @"
    error[HW-OAI-005]: [DIR]/dbao.active: it cannot be read: No such file or directory (os error 2)
      next: correct the snapshot's name, or copy all of its files here
    ");
    fs::remove_file(rig.path("doab.deleted")).unwrap();
    fs::create_dir(rig.path("doab.deleted")).unwrap();
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.deleted: it cannot be read: Is a directory (os error 21)
      next: let this user read it, or copy it again
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "import", "missing", ".", "--replace"]), @"
    error[HW-OAI-014]: [DIR]: found a directory, expected the name of a snapshot
      next: name the snapshot in it, such as `backlog/doab`: its files are `doab.active`, `doab.deleted` and `doab.manifest.json`
    ");
}

#[test]
fn r15_an_empty_snapshot_is_refused_and_the_crawl_before_it_stays() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    fs::remove_file(rig.path("doab.manifest.json")).unwrap();
    rig.write("doab.active", "");
    rig.write("doab.deleted", "");
    insta::assert_snapshot!(refused_import(&rig), @"
    error[HW-OAI-005]: [DIR]/doab.active: found no identifier in either file, expected at least one
      next: export the snapshot again: with an empty list everything here would look like an orphan
    ");
}

#[test]
fn r15_a_pinned_worklist_in_the_way_is_refused_until_a_word_about_it() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = exported(&far);
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "import", "missing", "doab"]), @"
    error[HW-CMD-021]: missing has a pinned worklist with 40 open items; expected none, or a word about it
      next: `highwater oai snapshot import missing … --replace` leaves its outcomes behind; `highwater run missing` drains it first
    ");
    rig.ok(&["oai", "snapshot", "import", "missing", "doab", "--replace"]);
    rig.ok(&["run", "missing"]);
    // One that is drained is in nobody's way.
    rig.ok(&["oai", "snapshot", "import", "missing", "doab"]);
}

#[test]
fn r01_an_import_or_a_new_crawl_beside_a_pass_touches_nothing() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = planned(&far);
    rig.write("old.json", "{\"outcomes\": {\"20.500.12854/1\": \"ok\"}}");
    rig.write("old.ids", "20.500.12854/1\n");
    rig.write("old.active", "20.500.12854/1\n");
    rig.write("old.deleted", "");
    let before = Kept::of(&rig);
    let contacts = far.contacts();
    for args in [
        ["oai", "snapshot", "import", "missing", "doab", "--replace"].as_slice(),
        &["oai", "discover", "missing", "--recrawl", "--replace"],
        &["import", "backfill-state", "old.json", "--replace"],
    ] {
        let flock = Flock::hold(&rig.path("books.lock"));
        let ended = rig.run(&[&["--json"], args].concat());
        drop(flock);
        assert_eq!((ended.code, ended.json()["report"]["reason"].as_str()), (3, Some("lock_held")), "{ended:?}");
        before.assert_same(&Kept::of(&rig), &args.join(" "));
    }
    assert_eq!(far.contacts(), contacts);
}

#[test]
fn r15_a_snapshot_that_cannot_be_written_is_told_with_its_path() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = host(&far);
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "doab"]), @"
    error[HW-CMD-022]: missing has no finished crawl; expected one to export
      next: `highwater oai discover missing` makes one
    ");
    rig.ok(&["oai", "discover", "missing"]);
    fs::create_dir(rig.path("backlog")).unwrap();
    insta::assert_snapshot!(refused(&rig, 1, &["oai", "snapshot", "export", "missing", "nowhere/doab"]), @"
    error[HW-OAI-004]: [DIR]/nowhere/doab.active: cannot enter [DIR]/nowhere: No such file or directory (os error 2)
      next: make its directory, let this user write there, free space, and call again
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "backlog"]), @"
    error[HW-OAI-014]: [DIR]/backlog: found a directory, expected the name of a snapshot
      next: name the snapshot in it, such as `backlog/doab`: its files are `doab.active`, `doab.deleted` and `doab.manifest.json`
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "later/"]), @"
    error[HW-OAI-014]: [DIR]/later/: found a directory, expected the name of a snapshot
      next: name the snapshot in it, such as `backlog/doab`: its files are `doab.active`, `doab.deleted` and `doab.manifest.json`
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "."]), @"
    error[HW-OAI-014]: [DIR]: found a directory, expected the name of a snapshot
      next: name the snapshot in it, such as `backlog/doab`: its files are `doab.active`, `doab.deleted` and `doab.manifest.json`
    ");
    fs::create_dir(rig.path("doab.active")).unwrap();
    insta::assert_snapshot!(refused(&rig, 1, &["oai", "snapshot", "export", "missing", "doab"]), @"
    error[HW-OAI-004]: [DIR]/doab.active: cannot rename [DIR]/.doab.active.0.hw-partial to [DIR]/doab.active: Is a directory (os error 21)
      next: make its directory, let this user write there, free space, and call again
    ");
}
