//! Catalogues, spools and saved answers that are damaged, newer, or another program's.

use std::fs;

use rusqlite::Connection;

use super::shelved;
use crate::oai_targets::far_side::{FarSide, PREFIX};
use crate::oai_targets::kept::refused;
use crate::rig::Rig;

#[test]
fn r15_looking_into_a_catalogue_for_what_is_not_there() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill(""));
    insta::assert_snapshot!(refused(&rig, 2, &["catalog", "show", "20.500.12854/1"]), @"
    error[HW-OAI-009]: [DIR]/.highwater-state/catalog.db: there is no catalogue; expected one that was loaded
      next: run a harvest or a backfill first, or `highwater catalog load FILE…`, or correct `--catalog`
    ");
    far.load(&rig.path("books.db"), &far.live());
    insta::assert_snapshot!(refused(&rig, 2, &["catalog", "--catalog", "books.db", "show", "20.500.12854/62752"]), @r#"
    error[HW-CMD-025]: [DIR]/books.db: nothing in the catalogue is called "20.500.12854/62752"
      next: name an OAI identifier, what comes after its prefix, an ISBN or a DOI, or search: `highwater catalog search …`
    "#);
    insta::assert_snapshot!(refused(&rig, 2, &["catalog", "--catalog", ".", "show", "20.500.12854/1"]), @"
    error[HW-OAI-008]: [DIR]: the catalogue cannot be opened: [DIR] is not a SQLite database: it is not a file
      next: name another file; this one is left as it is
    ");
}

/// A saved answer, whole.
fn answer() -> String {
    let record = |n: u64| {
        format!(
            "<record><header><identifier>{PREFIX}{n}</identifier><datestamp>2021-02-12</datestamp></header><metadata>\
             <oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
             xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>Title {n}</dc:title></oai_dc:dc></metadata></record>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\">\
         <responseDate>2026-11-20T11:59:59Z</responseDate><request>http://a.example/oai</request><ListRecords>{}</ListRecords></OAI-PMH>",
        (1..=600).map(record).collect::<String>()
    )
}

#[test]
fn r15_files_that_are_no_saved_answer_load_nothing() {
    let rig = Rig::new("");
    let whole = answer();
    rig.write("whole.xml", &whole);
    rig.ok(&["catalog", "--catalog", "books.db", "load", "whole.xml"]);
    let newer = whole.replace("<datestamp>2021", "<datestamp>2022").replace("Title", "Newer");
    rig.write("newer.xml", &newer);
    rig.write("page.html", "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in</body></html>\n");
    rig.write("cut.xml", &newer[..newer.len() - 300]);
    rig.write("empty.xml", "");
    fs::write(rig.path("book.pdf"), [b"%PDF-1.7\n".as_slice(), &[0, 159, 146, 150, 255, 10]].concat()).unwrap();
    rig.write("error.xml", &error_answer());
    let load = |files: &[&str]| refused(&rig, 2, &[&["catalog", "--catalog", "books.db", "load"], files].concat());
    insta::assert_snapshot!(load(&["page.html"]), @r#"
    error[HW-CMD-026]: [DIR]/page.html: the answer is HTML ("Sign in") instead of OAI-PMH; expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    "#);
    // Also what came before in the command is not loaded: all of it is read before any of it counts.
    insta::assert_snapshot!(load(&["newer.xml", "cut.xml"]), @"
    error[HW-CMD-026]: [DIR]/cut.xml: the answer breaks off after 176702 bytes, in a tag in `<record>`; expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
    insta::assert_snapshot!(load(&["empty.xml"]), @"
    error[HW-CMD-026]: [DIR]/empty.xml: the answer is nothing instead of OAI-PMH; expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
    insta::assert_snapshot!(load(&["book.pdf"]), @"
    error[HW-CMD-026]: [DIR]/book.pdf: the answer is `%PDF-1.7 �����` instead of OAI-PMH; expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
    insta::assert_snapshot!(load(&["error.xml"]), @"
    error[HW-CMD-026]: [DIR]/error.xml: the repository refuses: noRecordsMatch: nothing; expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
    insta::assert_snapshot!(load(&["nowhere.xml"]), @"
    error[HW-CMD-026]: [DIR]/nowhere.xml: it cannot be read: No such file or directory (os error 2); expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
    insta::assert_snapshot!(load(&["."]), @"
    error[HW-CMD-026]: [DIR]: it cannot be read: Is a directory (os error 21); expected a saved answer to ListRecords or GetRecord
      next: save the answer whole, as the repository sent it; nothing was loaded
    ");
}

fn error_answer() -> String {
    "<?xml version=\"1.0\"?><OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\"><responseDate>2026-11-20T11:59:59Z\
     </responseDate><request>http://a.example/oai</request><error code=\"noRecordsMatch\">nothing</error></OAI-PMH>"
        .to_owned()
}

/// Both to one who looks and to a pass.
fn told(rig: &Rig, code: i32) -> String {
    let looked = refused(rig, code, &["catalog", "--catalog", "books.db", "figures"]);
    let passed = refused(rig, code, &["run", "missing"]);
    format!("{looked}{passed}")
}

#[test]
fn r15_a_catalogue_that_is_newer_or_another_programs_is_left_to_it() {
    let (_far, rig) = shelved();
    let sql = |statement: &str| Connection::open(rig.path("books.db")).unwrap().execute_batch(statement).unwrap();
    sql("INSERT INTO schema_migration VALUES (99, 'later', 'x', 'x')");
    insta::assert_snapshot!(told(&rig, 2), @"
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is at migration 99, and this program knows migrations up to 1: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    missing: refused (pass 1, exit 2)
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is at migration 99, and this program knows migrations up to 1: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    warning: the backup of [DIR]/books.db failed: the catalogue cannot be opened: [DIR]/books.db is at migration 99, and this program knows migrations up to 1: use the newer program
    ");
    fs::remove_file(rig.path("books.db")).unwrap();
    sql("CREATE TABLE bookmarks (url TEXT)");
    insta::assert_snapshot!(told(&rig, 2), @"
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is another program's database: its application id is none, expected HWCT
      next: name another file; this one is left as it is
    missing: refused (pass 2, exit 2)
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is another program's database: its application id is none, expected HWCT
      next: name another file; this one is left as it is
    warning: the backup of [DIR]/books.db failed: the catalogue cannot be opened: [DIR]/books.db is another program's database: its application id is none, expected HWCT
    ");
    fs::remove_file(rig.path("books.db")).unwrap();
    rig.write("books.db", &"id;title\n1;Emma\n".repeat(300));
    insta::assert_snapshot!(told(&rig, 1), @"
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
      next: put the newest of its backups in its place, they lie beside it; without one move it away, and a backfill loads it anew
    missing: failed (pass 3, exit 1)
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
      next: put the newest of its backups in its place, they lie beside it; without one move it away, and a backfill loads it anew
    warning: the backup of [DIR]/books.db failed: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
    ");
}

#[test]
fn r15_a_damaged_catalogue_is_told_and_left_as_it_is() {
    let (_far, rig) = shelved();
    let mut bytes = fs::read(rig.path("books.db")).unwrap();
    bytes[..4096].fill(0);
    fs::write(rig.path("books.db"), &bytes).unwrap();
    insta::assert_snapshot!(told(&rig, 1), @"
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
      next: put the newest of its backups in its place, they lie beside it; without one move it away, and a backfill loads it anew
    missing: failed (pass 1, exit 1)
    error[HW-OAI-008]: [DIR]/books.db: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
      next: put the newest of its backups in its place, they lie beside it; without one move it away, and a backfill loads it anew
    warning: the backup of [DIR]/books.db failed: the catalogue cannot be opened: [DIR]/books.db is not a SQLite database: its first page is not one of SQLite's
    ");
}

/// A place where a pass has made its spool.
fn spooled() -> (FarSide, Rig) {
    let (far, rig) = shelved();
    rig.ok(&["oai", "discover", "missing"]);
    (far, rig)
}

const SPOOL: &str = ".highwater-state/oai/missing.db";

#[test]
fn r15_a_spool_that_is_damaged_or_another_programs_is_told_and_left_as_it_is() {
    let (_far, rig) = spooled();
    let discover = ["oai", "discover", "missing", "--replace"];
    let whole = fs::read(rig.path(SPOOL)).unwrap();
    let mut bytes = whole.clone();
    bytes[..4096].fill(0);
    fs::write(rig.path(SPOOL), &bytes).unwrap();
    insta::assert_snapshot!(refused(&rig, 1, &discover), @"
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is not a SQLite database: its first page is not one of SQLite's
      next: free space or mend permissions; if the file is damaged move it away: what is in it is fetched again
    ");
    fs::remove_file(rig.path(SPOOL)).unwrap();
    Connection::open(rig.path(SPOOL)).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is another program's database: its application id is none, expected HWOS
      next: move it away, for a spool of this program is made in its place; nothing in it was changed
    ");
    fs::write(rig.path(SPOOL), &whole).unwrap();
    Connection::open(rig.path(SPOOL))
        .unwrap()
        .execute_batch("INSERT INTO schema_migration VALUES (99, 'later', 'x', 'x')")
        .unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is at migration 99, and this program knows migrations up to 3: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "doab"]), @"
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is at migration 99, and this program knows migrations up to 3: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    ");
    // The way out that the error names.
    fs::remove_file(rig.path(SPOOL)).unwrap();
    rig.ok(&discover);
}
