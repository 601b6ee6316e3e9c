//! Where it is not known what a system of one's own has, nothing is planned: what is wrong is told, and nothing is changed.

use std::fs;

use rusqlite::Connection;

use super::far_side::{FarSide, PREFIX};
use super::kept::refused;
use super::own_system::{DELETED, LIVE, REPORTS, TARGET, shelf, sorted};
use crate::rig::Rig;

#[test]
fn a_query_may_give_numbers_and_nothing_and_no_other_things() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(
        &far.backfill(
            "target = { have-sql = \"SELECT no FROM book\", have-database = \"books.sqlite\", load = [\"true\"] }\n",
        )
        .replace(PREFIX, "oai:books.example.org:20.500.12854/"),
    );
    let books = Connection::open(rig.path("books.sqlite")).unwrap();
    books.execute_batch("CREATE TABLE book (no); INSERT INTO book VALUES (2), ('3'), (NULL)").unwrap();
    rig.ok(&["oai", "discover", "missing"]);
    assert_eq!(rig.read(&format!("{REPORTS}/missing.csv")), "identifier\n5\n4\n1\n");
    books.execute_batch("INSERT INTO book VALUES (x'00FF')").unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "missing", "--replace"]), @"
    error[HW-OAI-003]: [DIR]/books.sqlite: target.have-sql: found a value of type Blob in row 4; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
}

#[test]
fn r15_where_it_is_not_known_what_the_system_has_nothing_is_planned() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = shelf(&far, TARGET);
    rig.ok(&["oai", "discover", "missing"]);
    let contacts = far.contacts();
    let broken = |script: &str| {
        rig.script("have", script);
        refused(&rig, 2, &["oai", "discover", "missing", "--replace"])
    };
    insta::assert_snapshot!(broken("echo 'no route to the database' >&2; exit 1"), @"
    no route to the database
    error[HW-OAI-003]: target.have-command: `./have` ended with exit status: 1; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    // A list that broke off is no list, however much of it came.
    insta::assert_snapshot!(broken("ls shelf | sed 's:^:20.500.12854/:'; kill -9 $$"), @"
    error[HW-OAI-003]: target.have-command: `./have` ended with signal: 9 (SIGKILL); expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    insta::assert_snapshot!(broken("printf '20.500.12854/1\\n20.500.12854/\\351\\n'"), @"
    error[HW-OAI-003]: target.have-command: `./have` printed bytes that are no UTF-8 in line 2; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    insta::assert_snapshot!(broken("head -c 5000 /dev/zero | tr '\\0' x"), @"
    error[HW-OAI-003]: target.have-command: `./have` printed more than 2048 bytes in line 1; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    fs::remove_file(rig.path("have")).unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "missing", "--replace"]), @"
    error[HW-OAI-003]: target.have-command: `./have` cannot be started: No such file or directory (os error 2); expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    assert_eq!(far.contacts(), contacts, "the crawl is recent enough, and stays");
    assert_eq!(rig.log(), Vec::<String>::new());
}

#[test]
fn r15_a_file_or_a_database_that_cannot_be_read_plans_nothing() {
    let far = FarSide::new(LIVE, DELETED);
    let load = "target.load = [\"./load\"]\n";
    let rig = shelf(&far, &format!("target.have-file = \"has.txt\"\n{load}"));
    let discover = ["oai", "discover", "missing"];
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/has.txt: target.have-file: it cannot be read: No such file or directory (os error 2); expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    fs::write(rig.path("has.txt"), b"20.500.12854/1\n20.500.12854/\xE9\n").unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/has.txt:2: target.have-file: found bytes that are no UTF-8; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    fs::remove_file(rig.path("has.txt")).unwrap();
    fs::create_dir(rig.path("has.txt")).unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/has.txt:1: target.have-file: it cannot be read: Is a directory (os error 21); expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");

    let sql = |query: &str| {
        let target = format!("target.have-sql = \"{query}\"\ntarget.have-database = \"books.sqlite\"\n{load}");
        shelf(&far, &target)
    };
    let rig = sql("SELECT id FROM book");
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/books.sqlite: target.have-sql: unable to open database file: [DIR]/books.sqlite; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    assert!(!rig.path("books.sqlite").exists(), "nothing is made where nothing was");
    Connection::open(rig.path("books.sqlite")).unwrap().execute_batch("CREATE TABLE boook (id TEXT)").unwrap();
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/books.sqlite: target.have-sql: no such table: book; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    rig.write("books.sqlite", "this is a text of some length and no database at all");
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/books.sqlite: target.have-sql: file is not a database; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
    let rig = sql("DELETE FROM book RETURNING id");
    let books = Connection::open(rig.path("books.sqlite")).unwrap();
    books.execute_batch("CREATE TABLE book (id TEXT); INSERT INTO book VALUES ('20.500.12854/1')").unwrap();
    drop(books);
    insta::assert_snapshot!(refused(&rig, 2, &discover), @"
    error[HW-OAI-003]: [DIR]/books.sqlite: target.have-sql: attempt to write a readonly database; expected the identifiers that the system has
      next: mend it and call again: nothing is planned while it is not known what the system has
    ");
}

#[test]
fn a_harvest_into_a_system_of_ones_own_needs_its_day_and_begins_there() {
    let far = FarSide::new(LIVE, DELETED);
    let harvest = |since: &str| {
        far.backfill(since).replace("[job.missing]\nkind = \"oai-backfill\"", "[job.new]\nkind = \"oai-harvest\"")
    };
    let target = "target = { have-file = \"has.txt\", load = [\"./load\"] }\n";
    let rig = Rig::new(&harvest(target));
    insta::assert_snapshot!(refused(&rig, 2, &["run", "new"]), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:5: job.new.since: found a `target` without `since`; expected where the first harvest begins
      next: name the day up to which the system has everything, or do the rest with a job of kind `oai-backfill`
    ");
    assert_eq!(far.contacts(), 0);

    let day = far.books.headers()[60].datestamp.at().to_string()[..10].to_owned();
    let since: Vec<String> = far
        .books
        .headers()
        .into_iter()
        .filter(|header| header.datestamp.at().to_string()[..10] >= *day)
        .map(|header| header.identifier[PREFIX.len()..].to_owned())
        .collect();
    assert!(since.len() < far.live().len());
    rig.write("highwater.toml", &harvest(&format!("since = \"{day}\"\n{target}")));
    rig.script("load", "echo \"$HIGHWATER_ITEM\" >>log; cat >record; grep -q 'status=\"deleted\"' record && echo \"$HIGHWATER_ITEM\" >>gone; exit 0");
    rig.ok(&["run", "new"]);
    assert_eq!(sorted(rig.log()), sorted(since.clone()));
    // Tombstones are handed over too: it is for the system to say what becomes of them.
    let gone = sorted(rig.read("gone").lines().map(str::to_owned).collect());
    assert_eq!(gone, sorted(far.deleted().into_iter().filter(|local| since.contains(local)).collect()));
}
