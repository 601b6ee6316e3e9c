//! Bad input to OAI jobs and commands (R15): one error with file, line, field, what was expected and what to do, and nothing is
//! changed. What is wrong with snapshots and with systems of one's own is shown beside them.

use std::fs;
use std::net::TcpListener;

use rusqlite::Connection;

use crate::oai_targets::far_side::{FarSide, PREFIX};
use crate::oai_targets::kept::{assert_well_told, refused, said};
use crate::rig::Rig;

const REPOSITORY: &str = "repository = { base-url = \"https://books.example.org/oai\" }\n";

fn harvest(fields: &str) -> String {
    format!("[job.new]\nkind = \"oai-harvest\"\n{fields}")
}

fn backfill(fields: &str) -> String {
    format!("[job.missing]\nkind = \"oai-backfill\"\n{fields}")
}

/// Refused as it stands in the file.
fn config(text: &str) -> String {
    refused(&Rig::new(text), 2, &["run", "--all"])
}

#[test]
fn r15_a_repository_that_is_not_named_or_no_address() {
    insta::assert_snapshot!(config(&harvest("")), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:1: job.new.repository: found no `repository`, expected a table
      next: add `repository = …`. Which repository, and what of it.
    ");
    insta::assert_snapshot!(config(&backfill("repository = { set = \"books\" }\n")), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:3: job.missing.repository.base-url: found no `base-url`, expected a URL
      next: add `base-url = …`. Where requests go, without a query.
    ");
    insta::assert_snapshot!(config(&harvest("repository = { base-url = \"ftp://books.example.org/oai\" }\n")), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.new.repository.base-url: found string "ftp://books.example.org/oai", expected an address that starts with http:// or https://
      next: correct the value
    "#);
    insta::assert_snapshot!(config(&backfill("repository = { base-url = \"books.example.org/oai\" }\n")), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.missing.repository.base-url: found string "books.example.org/oai", expected an address that starts with http:// or https://
      next: correct the value
    "#);
    insta::assert_snapshot!(config(&backfill("repository = \"https://books.example.org/oai\"\n")), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:3: job.missing.repository: found a string, expected a table
      next: write its keys below `[job.missing.repository]`, or remove `repository`
    ");
}

#[test]
fn r15_keys_that_nothing_takes_come_with_a_suggestion() {
    insta::assert_snapshot!(config(&harvest("repositroy = { base-url = \"https://books.example.org/oai\" }\n")), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:3: job.new.repositroy: found a key that is not known here
      next: did you mean `repository`?
    ");
    insta::assert_snapshot!(
        config(&backfill("repository = { base-url = \"https://books.example.org/oai\", metadata-prefx = \"oai_dc\" }\n")),
        @"
    error[HW-CFG-004]: [DIR]/highwater.toml:3: job.missing.repository.metadata-prefx: found a key that is not known here
      next: did you mean `metadata-prefix`?
    "
    );
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}since = \"2026-01-31\"\n"))), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.missing.since: found a key that is not known here
      next: move it to `[job.NAME]` of kind `oai-harvest`
    ");
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}order = \"newest-first\"\n"))), @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.new.order: found a key that is not known here
      next: move it to `[job.NAME]` of kind `oai-backfill`
    ");
    insta::assert_snapshot!(
        config(&backfill(&format!("{REPOSITORY}target = {{ have-fiel = \"has.txt\", load = [\"./load\"] }}\n"))),
        @"
    error[HW-CFG-004]: [DIR]/highwater.toml:4: job.missing.target.have-fiel: found a key that is not known here
      next: did you mean `have-file`?
    "
    );
}

#[test]
fn r15_values_that_do_not_fit() {
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}since = \"31.1.2026\"\n"))), @r#"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.new.since: found "31.1.2026", expected a day such as 2026-01-31
      next: write it as YYYY-MM-DD
    "#);
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}types = \"book\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.new.types: found string "book", expected a list
      next: correct the value, or remove `types`
    "#);
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}order = \"newest\"\n"))), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.order: found `newest`, expected one of `newest-first`, `oldest-first`, `as-given`
      next: did you mean `newest-first`?
    ");
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}min-recognised = \"120%\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.min-recognised: found string "120%", expected a percentage from "0%" to "100%" with at most two decimals, such as "5%"
      next: correct the value, or remove `min-recognised` for the default, `"99%"`
    "#);
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}number-min = 500\nnumber-max = 20\n"))), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:5: job.missing.number-max: found 20, below `number-min` = 500; no identifier is in between
      next: correct one of the two
    ");
    insta::assert_snapshot!(config(&backfill(&format!("{REPOSITORY}number-min = -1\n"))), @"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.number-min: found integer `-1`, expected a whole number of at least 0
      next: correct the value, or remove `number-min`
    ");
    insta::assert_snapshot!(config(&harvest(&format!("{REPOSITORY}overlap = \"1\"\n"))), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.new.overlap: found string "1", expected a duration with a unit, such as "30s", "5m", "45 min" or "3 days" (no months, no years; at most 10 years)
      next: correct the value, or remove `overlap` for the default, `"1h"`
    "#);
}

#[test]
fn r15_a_target_that_says_too_little_or_too_much() {
    let target = |fields: &str| config(&backfill(&format!("{REPOSITORY}target = {{ {fields} }}\n")));
    insta::assert_snapshot!(target("load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one
      next: keep the one that says what the system has
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\", have-command = [\"./have\"], load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one
      next: keep the one that says what the system has
    ");
    insta::assert_snapshot!(target("have-sql = \"SELECT id FROM book\", load = [\"./load\"]"), @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.target: found one of `have-sql` and `have-database` without the other
      next: name the query and the SQLite database that it is put to
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\""), @"
    error[HW-CFG-006]: [DIR]/highwater.toml:4: job.missing.target.load: found no `load`, expected a list of strings
      next: add `load = …`. A command that takes one record's XML on stdin, its identifier in `HIGHWATER_ITEM`. Exit codes as with `exec`: 0 loaded, 3 try again, 4 halt, 10 gone, 11 review, 12 there already, any other a failure.
    ");
    insta::assert_snapshot!(target("have-file = \"has.txt\", load = []"), @r#"
    error[HW-CFG-005]: [DIR]/highwater.toml:4: job.missing.target.load: found an empty list, expected a list of strings, the program first, such as ["./load", "{}"]
      next: correct the value
    "#);
    insta::assert_snapshot!(
        config(&backfill(&format!(
            "{REPOSITORY}catalog = \"books.db\"\ntarget = {{ have-file = \"has.txt\", load = [\"./load\"] }}\n"
        ))),
        @"
    error[HW-CFG-011]: [DIR]/highwater.toml:4: job.missing.catalog: found both `catalog` and `target`, expected one
      next: keep the one that records are loaded into
    "
    );
    insta::assert_snapshot!(
        config(&harvest(&format!("{REPOSITORY}target = {{ have-file = \"has.txt\", load = [\"./load\"] }}\n"))),
        @"
    error[HW-CFG-011]: [DIR]/highwater.toml:1: job.new.since: found a `target` without `since`; expected where the first harvest begins
      next: name the day up to which the system has everything, or do the rest with a job of kind `oai-backfill`
    "
    );
}

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
fn r15_commands_on_jobs_that_cannot_take_them() {
    let rig = Rig::new(&format!("{}\n{}", harvest(REPOSITORY), backfill(REPOSITORY)));
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "new"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "new", "doab"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "import", "new", "doab"]), @"
    error[HW-CMD-020]: [DIR]/highwater.toml:1: job.new.kind: found new, a job of kind `oai-harvest`; expected one of kind `oai-backfill`
      next: name a backfill: it is what compares and drains
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "discover", "mising"]), @r#"
    error[HW-CFG-014]: [DIR]/highwater.toml: found no job "mising", expected one of `new`, `missing`
      next: did you mean `missing`?
    "#);
}

#[test]
fn r15_a_crawl_that_is_not_of_the_repository_plans_nothing() {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill("").replace(PREFIX, "oai:moved.example.org:"));
    let said = refused_crawl(&rig, &far);
    insta::assert_snapshot!(said, @r#"
    error[HW-OAI-011]: 0 of 5 identifiers of [URL] begin with "oai:moved.example.org:", expected 99% of them; the first that do not: oai:books.example.org:20.500.12854/5, oai:books.example.org:20.500.12854/2, oai:books.example.org:20.500.12854/4
      next: the namespace moved: correct `repository.identifier-prefix`, and look whether the target's identifiers moved too
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
fn r15_serving_what_cannot_be_served() {
    let rig = Rig::new("");
    let serve = |more: &[&str]| {
        let args = [&["oai", "serve", "--generated", "9", "--listen", "127.0.0.1:0"], more].concat();
        refused(&rig, 2, &args)
    };
    insta::assert_snapshot!(serve(&["--fault", "teapot@3"]), @r#"
    error[HW-CMD-024]: --fault: the fault "teapot@3" has no name that is known (429, 503, 500, 403, 404, html, redirect, hang, drop, cut, truncate, slow, endless, expired-token, repeat-token, odd-token, repeat-page, overlap, empty-last-page, short-list, no-total, wrong-total, cursor-pages, unordered, finer-datestamps, second-prolog, leading-newline, control-chars, bad-utf8, dtd-entity, wrong-namespace, poison-xml, poison-500); it is written NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4
      next: `--fault list` prints all that there is
    "#);
    insta::assert_snapshot!(serve(&["--fault", "html@soon"]), @r#"
    error[HW-CMD-024]: --fault: the fault "html@soon" strikes at "soon", which is none of N, N..M, *N, verb:VERB, id:SUFFIX and token; it is written NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4
      next: `--fault list` prints all that there is
    "#);
    insta::assert_snapshot!(serve(&["--page-size", "0"]), @"
    error: invalid value '0' for '--page-size <N>': expected 1 to 10000

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(serve(&["--rate", "0"]), @"
    error: invalid value '0' for '--rate <N>': expected a whole number from 1 to 4294967295

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--listen", "127.0.0.1:0"]), @"
    error: the following required arguments were not provided:
      <--catalog <FILE>|--generated <N>>

    Usage: highwater oai serve --listen <ADDRESS> <--catalog <FILE>|--generated <N>>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--generated", "9", "--listen", "localhost"]), @"
    error: invalid value 'localhost' for '--listen <ADDRESS>': expected an address and a port, such as 127.0.0.1:8411 or [::1]:8411

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "serve", "--catalog", "books.db"]), @"
    error[HW-OAI-009]: [DIR]/books.db: there is no catalogue; expected one that was loaded
      next: run a harvest or a backfill first, or `highwater catalog load FILE…`, or correct `--catalog`
    ");
    insta::assert_snapshot!(
        refused(&rig, 1, &["oai", "serve", "--generated", "9", "--listen", "127.0.0.1:0", "--access-log", "no/where.log"]),
        @"
    error[HW-LOG-001]: no/where.log: --access-log: the access log cannot be opened: No such file or directory (os error 2)
      next: make its directory
    "
    );
}

#[test]
fn r15_an_address_that_is_taken() {
    let rig = Rig::new("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&rig, 1, &["oai", "serve", "--generated", "9", "--listen", &address]);
    insta::assert_snapshot!(said.replace(&address, "[ADDRESS]"), @"
    error[HW-CMD-023]: --listen: [ADDRESS] cannot be listened at: Address already in use (os error 98)
      next: name a free port and an address of this machine, or port 0
    ");
}

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

/// A place with a catalogue of five books, and a job that loads into it.
fn shelved() -> (FarSide, Rig) {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill("catalog = \"books.db\"\n"));
    far.load(&rig.path("books.db"), &far.live());
    (far, rig)
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
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is at migration 99, and this program knows migrations up to 1: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    ");
    insta::assert_snapshot!(refused(&rig, 2, &["oai", "snapshot", "export", "missing", "doab"]), @"
    error[HW-OAI-001]: [DIR]/.highwater-state/oai/missing.db is at migration 99, and this program knows migrations up to 1: use the newer program
      next: use the highwater that wrote it, or a newer one; it is left as it is
    ");
    // The way out that the error names.
    fs::remove_file(rig.path(SPOOL)).unwrap();
    rig.ok(&discover);
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
