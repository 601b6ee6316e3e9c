//! Lists: of identifiers to drain, of a crawl, of what is reported.

use std::fs;

use super::shelved;
use crate::oai_targets::far_side::{FarSide, PREFIX};
use crate::oai_targets::kept::{assert_well_told, refused, said};
use crate::rig::Rig;

#[test]
fn r15_a_list_of_identifiers_that_cannot_be_drained() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill("ids = \"ids.txt\"\n"));
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @"
    missing: refused (pass 1, exit 2)
    error[HW-WRK-010]: [DIR]/ids.txt: the worklist cannot be opened: No such file or directory (os error 2)
      next: make the file, or correct its path: in a configuration a relative one counts from the file's own directory
    ");
    rig.write("ids.txt", "20.500.12854/1\n20.500.12854/2 # a note\n");
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @r#"
    missing: refused (pass 2, exit 2)
    error[HW-OAI-006]: [DIR]/ids.txt:2: found "20.500.12854/2 # a note", expected an identifier of at most 512 bytes without white space
      next: correct the line; the worklist is not pinned
    "#);
    rig.write("ids.txt", &format!("20.500.12854/1\n{PREFIX}\n"));
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @r#"
    missing: refused (pass 3, exit 2)
    error[HW-OAI-006]: [DIR]/ids.txt:2: found "oai:books.example.org:", expected an identifier of at most 512 bytes without white space
      next: correct the line; the worklist is not pinned
    "#);
    rig.write("ids.txt", &format!("20.500.12854/1\n{}\n", "9".repeat(600)));
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @r#"
    missing: refused (pass 4, exit 2)
    error[HW-OAI-006]: [DIR]/ids.txt:2: found "999999999999999999999999999999999999999999999999999999999999…", expected an identifier of at most 512 bytes without white space
      next: correct the line; the worklist is not pinned
    "#);
    fs::write(rig.path("ids.txt"), b"20.500.12854/1\n20.500.12854/\xE9\n").unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @"
    missing: refused (pass 5, exit 2)
    error[HW-WRK-014]: [DIR]/ids.txt:2: found a byte that is no UTF-8 (byte 14), expected UTF-8
      next: convert it, for example `iconv -f LATIN1 -t UTF-8 OLD > NEW`
    ");
    rig.write("ids.txt", "");
    insta::assert_snapshot!(refused(&rig, 2, &["run", "missing"]), @"
    missing: refused (pass 6, exit 2)
    error[HW-WRK-012]: [DIR]/ids.txt: it holds no items, expected at least one: nothing would run, and the job would count as drained
      next: fill the list and call again, or set `recurring = true` if it is empty at times
    ");
    assert_eq!(far.contacts(), 0);
}

#[test]
fn r15_a_crawl_that_is_not_of_the_repository_plans_nothing() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill("").replace(PREFIX, "oai:moved.example.org:"));
    let said = refused_crawl(&rig, &far);
    insta::assert_snapshot!(said, @r#"
    error[HW-OAI-011]: 0 of 5 identifiers of [URL] are of the shape "oai:moved.example.org:…" without white space, expected 99% of them; the first that are not: "oai:books.example.org:20.500.12854/5", "oai:books.example.org:20.500.12854/2", "oai:books.example.org:20.500.12854/4"
      next: where the namespace moved correct `repository.identifier-prefix`, and look whether the target's identifiers moved too; where these few are to be left out lower `min-recognised`
    "#);
    let far = FarSide::new(0, 0);
    let rig = Rig::new(&far.backfill(""));
    insta::assert_snapshot!(refused_crawl(&rig, &far), @"
    error[HW-OAI-010]: the crawl of [URL] found no header at all; expected at least one
      next: check `base-url` and `set`: with an empty list everything here would look like an orphan
    ");
}

/// A crawl is kept, for the refusal is of what it found; the worklist is not.
fn refused_crawl(rig: &Rig, far: &FarSide) -> String {
    let ended = rig.run(&["oai", "discover", "missing"]);
    let said = said(rig, &ended).replace(&far.url, "[URL]");
    assert_eq!(ended.code, 2, "{said}");
    assert_well_told("a crawl", &said);
    assert_eq!(rig.run(&["items", "missing"]).stdout, "", "nothing is pinned");
    said
}

#[test]
fn r15_reports_that_cannot_be_written_pin_nothing() {
    let (_far, rig) = shelved();
    fs::create_dir_all(rig.path(".highwater-state/oai")).unwrap();
    rig.write(".highwater-state/oai/missing", "a file where a directory should be");
    let ended = rig.run(&["oai", "discover", "missing"]);
    let said = said(&rig, &ended);
    insta::assert_snapshot!(said, @"
    error[HW-OAI-007]: [DIR]/.highwater-state/oai/missing: found a file where the directory of the reports should be
      next: move that file away
    ");
    assert_eq!(ended.code, 1);
    assert_well_told("reports", &said);
    assert_eq!(rig.run(&["items", "missing"]).stdout, "", "nothing is pinned");
}
