//! A knowledge base as its users have it: made, added to, killed, edited by hand, searched and taken back.

mod back;
mod bad_input;
mod full_disk;
mod gc;
mod graph;
mod late;
mod linted;
mod read_only;
mod rebuilt;
mod rebuilt_killed;
mod recompiled;
mod removed;
mod settled;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use highwater_testkit::documents;
use serde_json::Value;

use crate::rig::{Ended, Rig, dice, end, pause, wait_until};

/// A base, and a directory of documents beside it.
struct Desk(Rig);

impl Desk {
    fn new() -> Self {
        let rig = Rig::new("");
        fs::create_dir(rig.path("in")).unwrap();
        rig.ok(&["kb", "init", "notes"]);
        Self(rig)
    }

    /// One with documents of many formats, two of one stem, and some that nobody can read.
    fn full() -> Self {
        let desk = Self::new();
        for (name, bytes) in [
            ("tides.pdf", documents::pdf()),
            ("harbour.docx", documents::docx()),
            ("gauges.xlsx", documents::xlsx()),
            ("talk.pptx", documents::pptx()),
            ("book.epub", documents::epub()),
            ("stations.ods", documents::ods()),
            ("broken.pdf", b"%PDF-1.7 and nothing else".to_vec()),
            ("empty.md", Vec::new()),
            ("photo.png", b"\x89PNG\r\n\x1a\n".to_vec()),
        ] {
            fs::write(desk.0.path("in").join(name), bytes).unwrap();
        }
        for n in 0..20 {
            let text = format!(
                "# Report {n}\n\nThe tidal range is the height between high water and low water. Gauge {n} measures the tidal \
                 range at the Harbour Office every {} minutes.\n\nA storm surge adds to the tidal range.\n",
                n + 5
            );
            desk.0.write(&format!("in/report-{n:02}.md"), &text);
        }
        fs::create_dir(desk.0.path("in/zone")).unwrap();
        desk.0.write("in/zone/Tides.txt", "Tides follow the moon. The tidal range follows the tides.\n");
        desk
    }

    /// One whose addition of six documents was cut off after three; of these one was corrected since, and one removed from the base.
    fn cut_off() -> Self {
        let desk = Self::new();
        for n in 0..6 {
            desk.0.write(&format!("in/report-{n}.md"), &format!("# Report {n}\n\nGauge {n} is well.\n"));
        }
        assert_eq!(desk.add(&["--max-items", "3"]).code, 3);
        desk.0.write("in/report-0.md", "# Report 0\n\nGauge 0 was taken down.\n");
        desk.0.ok(&["kb", "remove", "report-1", "--kb", "notes"]);
        desk
    }

    fn add(&self, more: &[&str]) -> Ended {
        self.0.run(&[&["kb", "add", "in", "--kb", "notes"], more].concat())
    }

    fn ended(&self, more: &[&str]) -> Value {
        let ended = self.0.run(&[&["kb", "add", "in", "--kb", "notes", "--json"], more].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.json()
    }

    /// What the base shows, with the times of its log made alike.
    fn shown(&self) -> BTreeMap<String, Vec<u8>> {
        let mut shown = BTreeMap::new();
        for directory in ["wiki", "raw"] {
            read(&self.0.path("notes"), Path::new(directory), &mut shown);
        }
        let log = shown.get_mut("wiki/log.md").expect("a log");
        let text = String::from_utf8(std::mem::take(log)).unwrap();
        let timeless = text.lines().map(|line| match line.split_once("] ") {
            Some((at, rest)) if at.starts_with("## [") => format!("## {rest}\n"),
            _ => format!("{line}\n"),
        });
        *log = timeless.collect::<String>().into_bytes();
        shown
    }
}

fn read(root: &Path, below: &Path, shown: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            read(root, &path, shown);
        } else {
            shown.insert(path.to_string_lossy().into_owned(), fs::read(root.join(&path)).unwrap());
        }
    }
}

#[test]
fn documents_of_every_format_come_in_once_and_what_cannot_be_read_is_for_a_person() {
    let desk = Desk::full();
    let report = desk.ended(&[]);
    assert_eq!((&report["counts"]["done"], &report["counts"]["review"]), (&27.into(), &2.into()), "{report}");
    let shown = desk.shown();
    for page in ["wiki/summaries/tides.md", "wiki/sources/book.md", "wiki/concepts/tidal-range.md", "raw/harbour.docx"]
    {
        assert!(shown.contains_key(page), "{page} of {:?}", shown.keys());
    }
    assert!(shown.keys().any(|path| path.starts_with("wiki/sources/images/tides/")));
    let listed = desk.0.ok(&["kb", "list", "--kb", "notes", "--json"]);
    let names: Vec<Value> = listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names.len(), 27);
    let of = |name: &str| names.iter().find(|document| document["name"] == name).unwrap_or(&Value::Null).clone();
    assert_eq!(of("tides")["pages"], 3);
    let second =
        names.iter().find(|document| document["origin"].as_str().unwrap().ends_with("/zone/Tides.txt")).unwrap();
    assert!(second["name"].as_str().unwrap().starts_with("Tides-"), "{second}");

    // A second time there is nothing to do, and nothing is written.
    let report = desk.ended(&[]);
    assert_eq!((&report["counts"]["done"], &report["counts"]["present"]), (&0.into(), &27.into()), "{report}");
    assert_eq!(desk.shown(), shown);

    let found = desk.0.ok(&["kb", "search", "--kb", "notes", "--json", "storm", "surge"]);
    let first: Value = serde_json::from_str(found.stdout.lines().next().unwrap()).unwrap();
    assert!(first["snippet"].as_str().unwrap().contains("storm surge"), "{first}");
    assert_eq!(first["stands"], "as-generated");

    // Where a person has changed the page since, its lines are those before.
    let page = desk.0.dir.path().join("notes").join(first["path"].as_str().unwrap());
    let search = |stands: &str, said: &str| {
        let found = desk.0.ok(&["kb", "search", "--kb", "notes", "--json", "storm", "surge"]).stdout;
        let first: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
        assert_eq!(first["stands"], stands);
        let place = |answer: &str| answer.lines().next().unwrap().to_owned();
        assert!(place(&desk.0.ok(&["kb", "search", "--kb", "notes", "storm", "surge"]).stdout).ends_with(said));
        let answer = desk.0.ok(&["kb", "query", "--kb", "notes", "storm surge"]).stdout;
        assert!(place(&answer).ends_with(said), "{answer}");
    };
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, format!("Mine.\n{text}")).unwrap();
    search("edited", "(before a person edited the page)");
    fs::remove_file(&page).unwrap();
    search("gone", "(a person deleted the page)");
}

#[test]
fn r13_the_same_documents_give_the_same_bytes_however_many_are_prepared_at_once() {
    let of = |concurrency: &str| {
        let desk = Desk::full();
        desk.ended(&["--concurrency", concurrency]);
        let mut shown = desk.shown();
        // Where the documents came from is another directory each time.
        let from = desk.0.dir.path().canonicalize().unwrap();
        for bytes in shown.values_mut() {
            if let Ok(text) = std::str::from_utf8(bytes) {
                *bytes = text.replace(&*from.to_string_lossy(), "/desk").into_bytes();
            }
        }
        // The second of two names has a mark that follows from its path.
        let texts: BTreeMap<String, String> =
            shown.into_iter().map(|(path, bytes)| (marked(&path), marked(&String::from_utf8_lossy(&bytes)))).collect();
        texts
    };
    let one = of("1");
    assert!(one.len() > 60, "{}", one.len());
    for concurrency in ["2", "8"] {
        let other = of(concurrency);
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (path, text) in &one {
            assert_eq!(*text, other[path], "{path}, {concurrency} at once");
        }
    }
}

/// The text with every mark of a second `Tides` made alike.
fn marked(text: &str) -> String {
    let mut parts = text.split("Tides-");
    let mut marked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        marked.push_str("Tides-MARK");
        marked.push_str(&part[digits..]);
    }
    let mut parts = marked.split("tides-");
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        lower.push_str(if digits == 6 { "tides-MARK" } else { "tides-" });
        lower.push_str(&part[if digits == 6 { 6 } else { 0 }..]);
    }
    lower
}

#[test]
fn r05_a_pass_that_is_killed_goes_on_and_the_base_is_as_if_it_never_was() {
    let whole = Desk::full();
    whole.ended(&[]);
    let shown = whole.shown();
    let mut dice = dice("r05_a_pass_that_is_killed_goes_on");
    let desk = Desk::full();
    let mut killed = 0;
    for _ in 0..40 {
        let mut pass = desk.0.doom(&["kb", "add", "in", "--kb", "notes"]);
        // The first ones end before any pass could.
        pause(Duration::from_millis(dice.u64(1..20 + 10 * killed)));
        if !pass.runs() {
            break;
        }
        pass.kill_9();
        killed += 1;
    }
    assert!(killed > 0);
    desk.ended(&[]);
    let after = desk.shown();
    let paths = |shown: &BTreeMap<String, Vec<u8>>| shown.keys().map(|path| marked(path)).collect::<Vec<_>>();
    assert_eq!(paths(&after), paths(&shown));
    for (path, bytes) in &after {
        assert!(!bytes.is_empty(), "{path} is empty");
    }
    assert_eq!(fs::read_dir(desk.0.path("notes/.highwater/desks")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(desk.0.path("notes/.highwater/tmp")).unwrap().count(), 1, "the sign that it stands");
}

#[test]
fn what_changed_since_a_call_that_was_cut_off_comes_in_with_the_call_that_goes_on() {
    let desk = Desk::cut_off();
    let text = |page: &str| desk.shown().get(page).map(|bytes| String::from_utf8_lossy(bytes).into_owned());

    // Who limits a call is told, and has no more of it.
    let limited = desk.add(&["--max-items", "9"]);
    assert_eq!(limited.code, 0, "{limited:?}");
    assert!(limited.stderr.contains("the same call again looks for what changed since"), "{limited:?}");
    assert!(!text("wiki/sources/report-0.md").unwrap().contains("taken down"));
    let whole = desk.add(&[]);
    assert!(whole.stdout.contains("2 done") && whole.stdout.contains("4 present"), "{whole:?}");

    let desk = Desk::cut_off();
    let whole = desk.add(&[]);
    assert_eq!((whole.code, whole.stdout.lines().count()), (0, 2), "{whole:?}");
    let shown = desk.shown();
    assert!(String::from_utf8_lossy(&shown["wiki/sources/report-0.md"]).contains("taken down"));
    assert!(shown.contains_key("wiki/sources/report-1.md"));
}

#[test]
fn a_dry_run_tells_what_would_come_in_from_what_is_there() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.0.write(&format!("in/report-{n}.md"), &format!("# Report {n}\n\nGauge {n} is well.\n"));
    }
    let rehearsed = || {
        let ended = desk.add(&["--dry-run"]);
        (ended.code, ended.stdout.split_once(": ").map(|(_, told)| told.trim_end().to_owned()).unwrap_or_default())
    };
    let would = |items: &str, present: &str, first: &[&str]| {
        let first: Vec<_> = first.iter().map(|name| desk.0.path("in").join(name).display().to_string()).collect();
        format!("would drain {items} of a worklist it would pin{present}; first: {}", first.join(", "))
    };
    let all = ["report-0.md", "report-1.md", "report-2.md"];
    let (code, told) = rehearsed();
    assert!(code == 3 && told.starts_with(&would("3 items", "", &all)), "{code} {told}");
    desk.ended(&[]);
    let (code, told) = rehearsed();
    assert!(code == 0 && told.starts_with("nothing to do: 3 items listed, and present"), "{code} {told}");
    desk.0.write("in/report-1.md", "# Report 1\n\nGauge 1 was taken down.\n");
    let (code, told) = rehearsed();
    assert!(code == 3 && told.starts_with(&would("1 item", "; 2 besides are present", &all[1..2])), "{code} {told}");
}

#[test]
fn a_corrected_document_replaces_its_text_everywhere_and_pages_that_a_person_edited_are_kept() {
    let desk = Desk::full();
    desk.ended(&[]);
    // A page that is edited, one that is deleted, one that is made.
    let concept = desk.0.path("notes/wiki/concepts/tidal-range.md");
    let mine = fs::read_to_string(&concept).unwrap() + "\nMy own remark.\n";
    fs::write(&concept, &mine).unwrap();
    fs::remove_file(desk.0.path("notes/wiki/summaries/report-03.md")).unwrap();
    desk.0.write("notes/wiki/concepts/mine.md", "# Mine\n");

    desk.0.write(
        "in/report-04.md",
        "# Report 4\n\nGauge 4 was taken down. The tidal range is no longer measured there.\n",
    );
    desk.0.write("in/report-03.md", "# Report 3\n\nGauge 3 measures the tidal range in the new harbour.\n");
    let report = desk.ended(&[]);
    assert_eq!(report["counts"]["done"], 2, "{report}");
    let shown = desk.shown();
    let text = |path: &str| String::from_utf8(shown[path].clone()).unwrap();
    assert!(text("wiki/sources/report-04.md").contains("taken down"));
    assert!(text("raw/report-04.md").contains("taken down"));
    assert!(text("wiki/concepts/tidal-range.md").contains("My own remark."));
    assert_eq!(text("wiki/concepts/mine.md"), "# Mine\n");
    assert!(!shown.contains_key("wiki/summaries/report-03.md"), "what a person deleted stays deleted");
    for (path, bytes) in &shown {
        assert!(!String::from_utf8_lossy(bytes).contains("every 9 minutes"), "{path} has the old text");
    }

    // Back: the old text is there again, and so is the remark.
    desk.0.ok(&["kb", "undo", "--kb", "notes"]);
    let shown = desk.shown();
    assert!(String::from_utf8_lossy(&shown["wiki/sources/report-04.md"]).contains("every 9 minutes"));
    assert!(String::from_utf8_lossy(&shown["wiki/concepts/tidal-range.md"]).contains("My own remark."));
    let log = desk.0.ok(&["kb", "log", "--kb", "notes", "--json"]);
    let newest: Value = serde_json::from_str(log.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(newest["op"], "undo", "{log:?}");
}

#[test]
fn names_that_no_terminal_likes_and_links_are_told_plainly() {
    let desk = Desk::new();
    let odd = std::ffi::OsStr::from_bytes(b"a\nb\xff.md");
    fs::write(desk.0.path("in").join(odd), "# Odd\n\nA document with an odd name.\n").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", desk.0.path("in/out.txt")).unwrap();
    let ended = desk.add(&[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("one document is for you to look at: highwater --ledger "), "{ended:?}");
    let items = desk.0.run(&["items", &job(&ended), "--ledger", "notes/.highwater-state/ledger.db", "--json"]);
    assert!(items.stdout.contains("a%0Ab%FF.md"), "{items:?}");
    assert!(items.stdout.contains("it is a symlink: name the file itself"), "{items:?}");
    assert!(desk.shown().contains_key("wiki/summaries/a-b\u{fffd}.md"), "{:?}", desk.shown().keys());
}

/// The job's name, as the report begins with it.
fn job(ended: &Ended) -> String {
    ended.stdout.split(':').next().unwrap().to_owned()
}

/// The answer of a call, without the directory of this run.
fn told(rig: &Rig, args: &[&str]) -> String {
    let ended = rig.run(args);
    let from = rig.dir.path().canonicalize().unwrap();
    let text = format!("exit {}\n{}{}", ended.code, ended.stdout, ended.stderr);
    let text = text.replace(&*from.to_string_lossy(), "/desk").replace(&*rig.dir.path().to_string_lossy(), "/desk");
    // A job is called by a mark of its paths.
    match text.split_once("kb-add-") {
        Some((before, after)) => {
            format!("{before}kb-add-MARK{}", after.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
        }
        None => text,
    }
}

#[test]
fn files_that_go_while_others_are_prepared_halt_nothing() {
    let desk = Desk::new();
    // Long enough to be at it while the others go.
    desk.0.write("in/a.md", &"a line of a long text about the tides\n\n".repeat(200_000));
    desk.0.write("in/b.md", "# B\n");
    desk.0.write("in/c.md", "# C\n");
    let adding = desk.0.start(&["kb", "add", "in", "--kb", "notes", "--concurrency", "1", "--json"]);
    let desks = desk.0.path("notes/.highwater/desks");
    wait_until("the first is prepared", || {
        let passes = fs::read_dir(&desks).into_iter().flatten().flatten();
        let mut there = passes.flat_map(|pass| fs::read_dir(pass.path())).flatten().flatten();
        there.any(|entry| entry.file_name() != "lease")
    });
    for gone in ["in/b.md", "in/c.md"] {
        fs::remove_file(desk.0.path(gone)).unwrap();
    }
    let ended = end(adding);
    assert_eq!(ended.code, 0, "{ended:?}");
    let said: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&said["reason"], &said["counts"]["gone"]), (&"drained".into(), &2.into()), "{said}");
}
