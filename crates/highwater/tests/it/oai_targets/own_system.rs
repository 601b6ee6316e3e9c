//! Systems of one's own: what they have is said by a file, a command or a query, and records are handed to a command. Diff,
//! drain, kill and reports are what they are with the catalogue; where it is not known what the system has, nothing is planned.

use std::collections::BTreeMap;
use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use super::far_side::{FarSide, PREFIX};
use crate::rig::{KILLED, Rig, dice, wait_until};

pub(super) const LIVE: u64 = 60;
pub(super) const DELETED: u64 = 12;
/// A system that is a directory of files, each named by the number that its identifier ends with. A file is there whole or not
/// at all, and `log` says which record was handed over when.
const SHELVE: &str =
    "echo \"$HIGHWATER_ITEM\" >>log\ncat >\"shelf/.new\" && mv shelf/.new \"shelf/${HIGHWATER_ITEM##*/}\"";
pub(super) const TARGET: &str = "target.have-command = [\"./have\"]\ntarget.load = [\"./load\"]\n";
pub(super) const REPORTS: &str = ".highwater-state/oai/missing";

/// What the system has at first: a third of the live books, three that were deleted, two that the repository never had.
fn has(far: &FarSide) -> Vec<String> {
    let mut has: Vec<String> = far.live().into_iter().step_by(3).collect();
    has.extend(far.deleted().into_iter().take(3));
    has.extend(["20.500.12854/9001".to_owned(), "20.500.12854/9002".to_owned()]);
    has
}

/// A system that is a directory of files; `more` is added to the job.
pub(super) fn shelf(far: &FarSide, target: &str) -> Rig {
    let rig = Rig::new(&far.backfill(target));
    fs::create_dir(rig.path("shelf")).unwrap();
    for local in has(far) {
        rig.write(&format!("shelf/{}", number(&local)), "as it was");
    }
    rig.script("have", "ls shelf | sed 's:^:20.500.12854/:'");
    rig.script("load", SHELVE);
    rig
}

fn number(local: &str) -> &str {
    local.rsplit('/').next().unwrap()
}

/// What should be missing.
fn lacking(far: &FarSide) -> Vec<String> {
    let has = has(far);
    far.live().into_iter().filter(|local| !has.contains(local)).collect()
}

/// The three lists and the counts; not which crawl they are of, and when.
fn reports(rig: &Rig) -> Vec<String> {
    let lists = ["missing.csv", "stale.csv", "orphans.csv"].map(|name| rig.read(&format!("{REPORTS}/{name}")));
    let mut counts: Value = serde_json::from_str(&rig.read(&format!("{REPORTS}/difference.json"))).unwrap();
    for of_the_crawl in ["crawl", "finished_at"] {
        assert!(counts.as_object_mut().unwrap().remove(of_the_crawl).is_some(), "{counts}");
    }
    lists.into_iter().chain([counts.to_string()]).collect()
}

/// The outcome of each item.
fn outcomes(rig: &Rig) -> BTreeMap<String, String> {
    let listed = rig.ok(&["--json", "items", "missing"]).stdout;
    let outcome = |line: &str| {
        let item: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| item[field].as_str().unwrap_or("open").to_owned();
        (text("key"), text("outcome"))
    };
    listed.lines().map(outcome).collect()
}

fn run(rig: &Rig) -> (i32, String) {
    let ended = rig.run(&["--json", "run", "missing"]);
    (ended.code, ended.json()["reason"].as_str().unwrap_or_else(|| panic!("{ended:?}")).to_owned())
}

#[test]
fn the_reports_are_those_of_a_catalogue_whichever_way_it_is_told_what_the_system_has() {
    let far = FarSide::new(LIVE, DELETED);
    let has = has(&far);
    let catalogue = Rig::new(&far.backfill("catalog = \"books.db\"\n"));
    far.load(&catalogue.path("books.db"), &has);
    catalogue.ok(&["oai", "discover", "missing"]);
    let expected = reports(&catalogue);
    assert_eq!(expected[0].lines().skip(1).count(), lacking(&far).len());
    assert_eq!((expected[1].lines().count(), expected[2].lines().count()), (1 + 3, 1 + 2), "{expected:?}");

    let by_command = shelf(&far, TARGET);
    by_command.ok(&["oai", "discover", "missing"]);
    assert_eq!(reports(&by_command), expected);

    let load = "target.load = [\"./load\"]\n";
    let by_file = shelf(&far, &format!("target.have-file = \"has.txt\"\n{load}"));
    // With the prefix or without, in any order, twice, with what careless programs leave in a list.
    let whole: String = has.iter().rev().map(|local| format!("  {PREFIX}{local}\r\n")).collect();
    by_file.write("has.txt", &format!("\u{feff}{whole}\n\n{}", has[0]));
    by_file.ok(&["oai", "discover", "missing"]);
    assert_eq!(reports(&by_file), expected);

    let by_sql = shelf(
        &far,
        &format!(
            "target.have-sql = \"SELECT '20.500.12854/' || no FROM book WHERE gone IS NULL\"\n\
             target.have-database = \"books.sqlite\"\n{load}"
        ),
    );
    let books = Connection::open(by_sql.path("books.sqlite")).unwrap();
    books.execute_batch("CREATE TABLE book (no INTEGER, gone TEXT); INSERT INTO book VALUES (1, 'sold')").unwrap();
    for local in &has {
        books.execute("INSERT INTO book (no) VALUES (?1)", [number(local).parse::<i64>().unwrap()]).unwrap();
    }
    drop(books);
    by_sql.ok(&["oai", "discover", "missing"]);
    assert_eq!(reports(&by_sql), expected);
}

#[test]
fn a_drain_hands_over_each_missing_record_once_and_then_the_system_has_them_all() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = shelf(&far, TARGET);
    assert_eq!(run(&rig), (0, "drained".into()));
    let mut handed = rig.log();
    handed.sort();
    let mut expected = lacking(&far);
    expected.sort();
    assert_eq!(handed, expected);
    for local in &expected {
        let record = rig.read(&format!("shelf/{}", number(local)));
        assert!(record.starts_with("<?xml version=\"1.0\""), "{record}");
        assert!(record.contains(&format!("<identifier>{PREFIX}{local}</identifier>")), "{record}");
        assert!(record.contains("<oai_dc:dc"), "{record}");
    }
    // What it had is as it was, and the next plan finds nothing missing.
    assert_eq!(rig.read(&format!("shelf/{}", number(&far.live()[0]))), "as it was");
    assert_eq!(run(&rig), (0, "already_drained".into()));
    rig.ok(&["oai", "discover", "missing"]);
    assert_eq!(reports(&rig)[0], "identifier\n");
}

#[test]
fn what_the_system_got_meanwhile_is_present_without_contact() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = shelf(&far, TARGET);
    rig.ok(&["oai", "discover", "missing"]);
    let lacking = lacking(&far);
    rig.write(&format!("shelf/{}", number(&lacking[0])), "by another way");
    let before = far.contacts();
    assert_eq!(run(&rig), (0, "drained".into()));
    assert_eq!(far.contacts() - before, lacking.len() as u64 - 1);
    assert_eq!(outcomes(&rig)[&lacking[0]], "present");
    assert_eq!(rig.read(&format!("shelf/{}", number(&lacking[0]))), "by another way");
    // The same where a list says what to drain: no plan has asked the system.
    let rig = shelf(&far, &format!("ids = \"ids.txt\"\n{TARGET}"));
    rig.write("ids.txt", &far.live().iter().map(|local| format!("{local}\n")).collect::<String>());
    let before = far.contacts();
    assert_eq!(run(&rig), (0, "drained".into()));
    assert_eq!(far.contacts() - before, lacking.len() as u64);
    // It is asked once a pass, and where it does not answer nothing is contacted.
    rig.script("have", "exit 1");
    rig.ok(&["worklist", "missing", "--replace"]);
    let before = far.contacts();
    assert_eq!(run(&rig), (2, "refused".into()));
    assert_eq!(far.contacts(), before);
}

#[test]
fn what_load_is_handed_is_what_the_catalogue_takes() {
    let far = FarSide::new(9, 0);
    let rig = shelf(&far, TARGET);
    assert_eq!(run(&rig), (0, "drained".into()));
    let local = &lacking(&far)[0];
    let record = far.record(local);
    let handed = rig.read(&format!("shelf/{}", number(local)));
    let metadata = record.metadata.unwrap();
    assert!(handed.contains(&metadata), "{handed}");
    assert!(handed.contains(&record.header.datestamp.to_string()), "{handed}");
}

#[test]
fn r05_kill_9_in_the_middle_loses_nothing_and_hands_over_again_only_what_was_in_hand() {
    const KILLS: usize = 4;
    let mut dice = dice("r05_kill_9_in_the_middle_loses_nothing_and_hands_over_again_only_what_was_in_hand");
    let far = FarSide::new(LIVE, DELETED);
    let rig = shelf(&far, TARGET);
    rig.ok(&["oai", "discover", "missing"]);
    let before = reports(&rig);
    let mut killed = 0;
    for _ in 0..KILLS {
        let mut pass = rig.doom(&["run", "missing"]);
        let more = rig.log().len() + dice.usize(2..8);
        wait_until("records before a kill", || !pass.runs() || rig.log().len() >= more);
        killed += usize::from(pass.kill_9().code == KILLED);
    }
    assert!(killed > 0, "no pass was killed");
    assert_eq!(run(&rig), (0, "drained".into()));
    let mut handed = BTreeMap::new();
    rig.log().into_iter().for_each(|local| *handed.entry(local).or_insert(0) += 1);
    assert_eq!(handed.keys().cloned().collect::<Vec<_>>(), sorted(lacking(&far)));
    // One is in hand at a time, and a group of outcomes may not be recorded yet; nothing else is handed over twice.
    let twice = handed.values().filter(|times| **times > 1).count();
    assert!(handed.values().sum::<usize>() - handed.len() <= killed * 8, "{twice} more than once: {handed:?}");
    assert!(outcomes(&rig).values().all(|outcome| outcome == "done"), "{:?}", outcomes(&rig));
    assert_eq!(outcomes(&rig).len(), lacking(&far).len());
    // The reports are of the plan, and a drain does not touch them.
    assert_eq!(reports(&rig), before);
}

pub(super) fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[test]
fn the_exit_code_of_load_is_what_becomes_of_the_record() {
    let far = FarSide::new(7, 0);
    let rig = Rig::new(&far.backfill(
        "attempts-max = 2\nbreaker = { failed = \"100%\", gone = \"100%\" }\n\
         target = { have-file = \"has.txt\", load = [\"./load\"] }\n",
    ));
    rig.write("has.txt", "20.500.12854/7\n");
    rig.script(
        "load",
        "cat >/dev/null; echo \"$HIGHWATER_ITEM\" >>log\ncase ${HIGHWATER_ITEM##*/} in\n1) exit 0 ;;\n\
         2) [ -e again ] || { : >again; exit 3; } ;;\n3) exit 10 ;;\n4) echo 'no title' >&2; exit 11 ;;\n\
         5) exit 12 ;;\n6) echo 'out of paper' >&2; exit 7 ;;\nesac",
    );
    assert_eq!(run(&rig).0, 3);
    let passes = (0..4).map(|_| run(&rig)).find(|(code, _)| *code != 3);
    assert_eq!(passes, Some((0, "drained".into())));
    let shown: Vec<(String, String)> =
        outcomes(&rig).into_iter().map(|(key, outcome)| (number(&key).to_owned(), outcome)).collect();
    let expected = [("1", "done"), ("2", "done"), ("3", "gone"), ("4", "review"), ("5", "present"), ("6", "review")];
    assert_eq!(shown, expected.map(|(key, outcome)| (key.to_owned(), outcome.to_owned())));
    // Handed over as often as it must be: what failed as often as it may, what was put off once more, the rest once.
    let handed = sorted(rig.log()).iter().map(|local| number(local).to_owned()).collect::<String>();
    assert_eq!(handed, "12234566");
    let review = rig.ok(&["items", "missing", "--outcome", "review"]).stdout;
    assert!(review.contains("no title") && review.contains("out of paper"), "{review}");
}

#[test]
fn r04_a_load_that_asks_for_it_halts_the_job_until_it_is_rearmed() {
    let far = FarSide::new(6, 0);
    let rig = shelf(&far, TARGET);
    rig.script("load", "cat >/dev/null; echo 'schema moved' >&2; exit 4");
    let ended = rig.run(&["run", "missing"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stdout.contains("rearm"), "{ended:?}");
    let contacts = far.contacts();
    assert_eq!(run(&rig).0, 4);
    assert_eq!(far.contacts(), contacts, "a halted job makes no contact");
    rig.script("load", SHELVE);
    rig.ok(&["rearm", "missing", "--why", "the schema is back"]);
    assert_eq!(run(&rig), (0, "drained".into()));
    assert_eq!(sorted(rig.log()), sorted(lacking(&far)), "none was counted as tried");
}

#[test]
fn a_pass_that_is_stopped_while_the_system_lists_plans_nothing_and_ends_the_command() {
    let far = FarSide::new(LIVE, DELETED);
    let rig = shelf(&far, TARGET);
    rig.script("have", "echo 20.500.12854/1; echo $$ >have.pid; exec sleep 600");
    let pass = rig.start(&["run", "missing"]);
    wait_until("the command", || rig.read("have.pid").ends_with('\n'));
    // Twice: at once.
    crate::rig::signal(&pass, "TERM");
    crate::rig::signal(&pass, "TERM");
    let ended = crate::rig::end(pass);
    assert_eq!(ended.code, 3, "{ended:?}");
    let alive = rig.sh("kill -0 $(cat have.pid)").code == 0;
    let _ = rig.sh("kill -9 $(cat have.pid)");
    assert!(!alive, "the command outlives the pass");
    fs::remove_file(rig.path("have.pid")).unwrap();
    rig.script("have", "ls shelf | sed 's:^:20.500.12854/:'");
    assert_eq!(run(&rig), (0, "drained".into()));
    assert_eq!(sorted(rig.log()), sorted(lacking(&far)));
}
