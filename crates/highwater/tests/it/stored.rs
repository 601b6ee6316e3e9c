//! `highwater episodes`: what is said of what a receiver stores, and what a person decides over it.

use std::path::Path;

use insta::assert_snapshot;

use crate::receive::{Running, config};
use crate::recorded::store;
use crate::rig::{Ended, Flock, Rig};

const COMMIT: &str = "5f3c0a5d4f9f3d3e3c2b1a0f9e8d7c6b5a493827";

fn line(key: &str, at: &str, size: u64, more: &str) -> String {
    let (host, episode) = key.split_once('/').unwrap();
    let sha256 = crate::receive::sha256(key);
    format!(
        "{{\"episode_id\":\"{episode}\",\"host_id\":\"{host}\",\"received_at_wall\":\"{at}\",\"schema_version\":1,\"sha256\":\"{sha256}\",\"size_bytes\":{size}{more}}}\n"
    )
}

/// An index of two hosts, with rows of every sort.
fn indexed() -> Rig {
    let rig = Rig::new(&config(&[("t", "lab")]));
    std::fs::create_dir_all(rig.path("received/episodes")).unwrap();
    let lines = [
        line("lab-1/ep-1", "2026-11-18T06:00:00Z", 1_500_000, &format!(",\"commit\":\"{COMMIT}\"")),
        line("lab-1/ep-2", "2026-11-19T06:00:00Z", 2_500_000, ",\"backfilled\":true,\"gate\":\"off\""),
        line("lab-2/run-09", "2026-11-19T08:30:00Z", 5_000_000_000, ",\"gate\":\"allowed\""),
        "no row at all\n".to_owned(),
        line("lab-1/ep-5", "2026-11-20T06:00:00Z", 9, ""),
        line("lab-1/ep-5", "2026-11-20T07:00:00Z", 700, ""),
        line("lab-2/run-12", "2026-11-20T08:00:00.5Z", 20, ",\"withdrawn\":\"lens \\u001b[2J cap\""),
        line("lab-2/gone", "2026-11-20T08:00:00Z", 1, ""),
        line("lab-2/gone", "2026-11-20T08:00:00Z", 1, ",\"removed\":\"lost\""),
        line("lab-2/20261120080000", "2026-11-20T09:00:00Z", 1, ""),
        line("lab-2/20261120093000", "2026-11-20T10:00:00Z", 1, ""),
        line("lab-3/torn", "2026-11-20T08:00:00Z", 1, "").split_at(40).0.to_owned(),
    ];
    rig.write("received/index.jsonl", &lines.concat());
    rig
}

fn refused(ended: &Ended, code: &str, exit: i32) {
    assert_eq!(ended.code, exit, "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains("next: "), "{ended:?}");
}

fn both(ended: &Ended) -> String {
    format!("{}--\n{}", ended.stdout, ended.stderr)
}

#[test]
fn a_list_shows_each_episode_once_with_what_is_known_of_it() {
    let rig = indexed();
    assert_snapshot!(both(&rig.ok(&["episodes", "list"])));
    assert_snapshot!(both(&rig.ok(&[
        "episodes",
        "list",
        "--host",
        "lab-2",
        "--since",
        "2026-11-20T08:00:00.5Z",
        "--csv"
    ])));
    let json = rig.ok(&["episodes", "list", "--json", "--quiet"]);
    let kept = rig.read("received/index.jsonl");
    assert!(json.stdout.lines().count() == 7 && json.stdout.lines().all(|line| !line.is_empty()), "{json:?}");
    assert!(json.stderr.is_empty() && rig.read("received/index.jsonl") == kept, "looking changes nothing");
    let none = rig.ok(&["episodes", "list", "--host", "lab-1", "--since", "2026-11-20T08:00:00Z"]);
    assert_snapshot!(both(&none));
}

#[test]
fn totals_and_what_is_missing_are_by_host_and_day() {
    let rig = indexed();
    let text = [
        rig.ok(&["episodes", "list", "--by", "host", "--quiet"]).stdout,
        rig.ok(&["episodes", "list", "--by", "day", "--quiet"]).stdout,
        rig.ok(&["episodes", "list", "--by", "host", "--csv", "--quiet"]).stdout,
        rig.ok(&["episodes", "list", "--by", "day", "--csv", "--quiet"]).stdout,
        rig.ok(&["episodes", "list", "--by", "host", "--json", "--quiet"]).stdout,
        rig.ok(&["episodes", "list", "--by", "day", "--json", "--quiet", "--host", "lab-1"]).stdout,
    ];
    assert_snapshot!(text.join("--\n"));
    let text = [
        both(&rig.ok(&["episodes", "list", "--missing"])),
        rig.ok(&["episodes", "list", "--missing", "--csv"]).stdout,
        rig.ok(&["episodes", "list", "--missing", "--json"]).stdout,
    ];
    assert_snapshot!(text.join("--\n"));
}

#[test]
fn an_export_is_there_whole_or_not_at_all() {
    let rig = indexed();
    let piped = rig.ok(&["episodes", "export", "--format", "csv", "-q"]).stdout;
    let said = rig.ok(&["episodes", "export", "--format", "csv", "--out", "rows.csv", "-q"]);
    assert_eq!((said.stdout.as_str(), rig.read("rows.csv")), ("7 rows in rows.csv\n", piped));
    rig.ok(&["episodes", "export", "--format", "json", "--root", "received", "-o", "rows.json", "-q"]);
    let marked = rig.read("rows.json");
    let lines: String = marked.split_inclusive('\n').map(|line| line.strip_prefix(' ').unwrap()).collect();
    assert_eq!(lines, rig.ok(&["episodes", "list", "--json", "-q"]).stdout);
    let said = rig.ok(&["episodes", "export", "--format", "parquet", "-o", "rows.parquet"]);
    assert_eq!(said.stdout, "7 rows in rows.parquet\n");
    let parquet = std::fs::read(rig.path("rows.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"), "{} bytes", parquet.len());
    refused(&rig.run(&["episodes", "export", "--format", "json", "--out", "nowhere/rows.json"]), "HW-CMD-062", 1);
    std::fs::create_dir(rig.path("dir")).unwrap();
    std::fs::write(rig.path("dir/kept"), "").unwrap();
    refused(&rig.run(&["episodes", "export", "--format", "json", "--out", "dir"]), "HW-EPI-205", 2);
    let left: Vec<_> = std::fs::read_dir(rig.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("export")), "{left:?}");
    assert_eq!(rig.run(&["episodes", "export", "--format", "xml"]).code, 2);
    // What is no text is not printed on a terminal.
    let terminal = rig.sh("script -qec 'highwater episodes export --format parquet' /dev/null </dev/null");
    assert!(terminal.code == 2 && terminal.stdout.contains("HW-CMD-067"), "{terminal:?}");
    // Whoever stops reading ends it.
    let head = rig.sh("highwater episodes export --format json | head -1");
    assert!(head.code == 0 && !head.stderr.contains("error["), "{head:?}");
    let full = rig.sh("highwater episodes export --format json >/dev/full");
    assert!(full.code == 1 && full.stderr.contains("HW-CMD-011"), "{full:?}");
}

#[test]
fn a_row_that_parquet_has_no_number_for_is_named_and_nothing_is_written_by_halves() {
    let rig = indexed();
    rig.ok(&["episodes", "export", "--format", "parquet", "-o", "rows.parquet", "-q"]);
    let before = std::fs::read(rig.path("rows.parquet")).unwrap();
    let size = i64::MAX as u64 + 1;
    let row = format!(
        "{{\"episode_id\":\"ep-vast\",\"host_id\":\"lab-1\",\"received_at_wall\":\"2026-11-20T12:00:00Z\",\"schema_version\":1,\
         \"sha256\":\"{}\",\"size_bytes\":{size}}}\n",
        "ab".repeat(32)
    );
    rig.write("received/index.jsonl", &(row + &rig.read("received/index.jsonl")));
    for out in [&["-o", "rows.parquet"][..], &["-o", "new.parquet"], &[]] {
        let ended = rig.run(&[&["episodes", "export", "--format", "parquet", "-q"], out].concat());
        let told = format!("lab-1/ep-vast: found size_bytes {size}, expected at most {}", i64::MAX);
        assert!(ended.code == 1 && ended.stderr.contains("error[HW-CMD-062]"), "{out:?}: {ended:?}");
        assert!(ended.stderr.contains(&told) && ended.stderr.contains("index.jsonl"), "{out:?}: {ended:?}");
        assert!(ended.stderr.contains("--format csv"), "{out:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{out:?}: not a byte of it");
    }
    assert_eq!(std::fs::read(rig.path("rows.parquet")).unwrap(), before);
    assert!(!rig.path("new.parquet").exists());
    // As it is told.
    let csv = rig.ok(&["episodes", "export", "--format", "csv", "-q"]).stdout;
    assert!(csv.contains(&size.to_string()), "{csv}");
}

#[test]
fn a_list_that_nobody_reads_to_its_end_tells_no_total() {
    let rig = indexed();
    for shape in [None, Some("--json"), Some("--csv")] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut list = std::process::Command::new(crate::rig::HIGHWATER);
        list.args(["episodes", "list"]).args(shape).current_dir(rig.dir.path()).stdout(writer);
        let ended = list.output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && !told.contains("episodes"), "{shape:?}: {told}");
    }
}

#[test]
fn an_export_replaces_an_earlier_export_and_nothing_else() {
    let rig = indexed();
    let index = rig.read("received/index.jsonl");
    let export = |format: &str, out: &str| rig.run(&["episodes", "export", "--format", format, "--out", out, "-q"]);
    for format in ["csv", "json", "parquet", "json"] {
        assert_eq!(export(format, "rows").code, 0, "an earlier export is replaced, whatever its format: {format}");
    }
    // Of another's rows, and of none.
    rig.ok(&["episodes", "export", "--format", "json", "--since", "2099-01-01T00:00:00Z", "--out", "rows", "-q"]);
    assert_eq!(export("json", "rows").code, 0);
    // A backup of an index is its lines: what it has and an export has not would be gone.
    rig.write("backup.jsonl", &index);
    rig.write("grown.jsonl", &format!("{}{index}", rig.read("rows")));
    rig.write("columns.csv", "host_id,episode_id,mine\n");
    let foreign = rig.ok(&["episodes", "export", "--format", "parquet", "--out", "rows.parquet", "-q"]);
    assert_eq!(foreign.code, 0);
    let unmarked = std::fs::read(rig.path("rows.parquet")).unwrap();
    let at = unmarked.windows(9).rposition(|part| part == b"highwater").unwrap();
    let unmarked = [&unmarked[..at], b"elsewhere", &unmarked[at + 9..]].concat();
    std::fs::write(rig.path("other.parquet"), unmarked).unwrap();
    std::fs::hard_link(rig.path("received/index.jsonl"), rig.path("hard.jsonl")).unwrap();
    rig.write("empty", "");
    assert_eq!(export("csv", "empty").code, 0);
    std::fs::create_dir_all(rig.path("other")).unwrap();
    rig.write("other/index.jsonl", &index);
    rig.write("other/index.jsonl.lock", "");
    rig.write("notes", "mine");
    std::os::unix::fs::symlink(rig.path("rows"), rig.path("link")).unwrap();
    std::os::unix::fs::symlink(rig.path("received"), rig.path("alias")).unwrap();
    rig.sh("mkfifo pipe");
    let kept = rig.read("rows");
    for (out, found) in [
        ("received/index.jsonl", "the receiver's directory"),
        ("received/new.csv", "the receiver's directory"),
        ("received/episodes/new.csv", "the receiver's directory"),
        ("alias/index.jsonl", "the receiver's directory"),
        ("other/index.jsonl", "an index"),
        ("highwater.toml", "a file without the mark of an export"),
        ("notes", "a file without the mark of an export"),
        ("backup.jsonl", "a file without the mark of an export"),
        ("grown.jsonl", "a file without the mark of an export"),
        ("columns.csv", "a file without the mark of an export"),
        ("other.parquet", "a file without the mark of an export"),
        ("hard.jsonl", "the receiver's index by another name"),
        ("link", "a link"),
        ("pipe", "a device, a pipe or a socket"),
        ("/dev/full", "a device, a pipe or a socket"),
        ("dir/", "a directory"),
    ] {
        std::fs::create_dir_all(rig.path("dir")).unwrap();
        let refusal = export("csv", out);
        refused(&refusal, "HW-EPI-205", 2);
        assert!(
            refusal.stderr.contains(&format!("{out}: --out: found {found}")) || refusal.stderr.contains(found),
            "{out}: {refusal:?}"
        );
    }
    assert_eq!((rig.read("received/index.jsonl"), rig.read("other/index.jsonl")), (index.clone(), index));
    assert_eq!((rig.read("rows"), rig.read("notes").as_str()), (kept, "mine"));
    assert!(rig.path("link").is_symlink() && !rig.path("received/new.csv").exists());
    let streamed = export("csv", "-");
    assert_eq!(streamed.stdout, rig.ok(&["episodes", "export", "--format", "csv", "-q"]).stdout);
    assert!(!rig.path("-").exists());
    assert_eq!(rig.read("backup.jsonl"), rig.read("received/index.jsonl"));
}

#[test]
fn an_export_goes_into_no_receivers_directory_by_whatever_mount() {
    let rig = indexed();
    std::fs::create_dir_all(rig.path("received/episodes/lab-1")).unwrap();
    std::fs::create_dir_all(rig.path("mnt/deep")).unwrap();
    let tried = rig.sh("unshare --mount --map-root-user true 2>&1 || unshare --mount true");
    if tried.code != 0 {
        highwater_testkit::not_here::NotHere(format!("unshare --mount: {}", tried.stdout))
            .say("an export through a mount of the receiver's directory");
        return;
    }
    let how = rig.sh("unshare --mount true").code;
    let unshare = if how == 0 { "unshare --mount" } else { "unshare --mount --map-root-user" };
    for (of, out) in
        [("received", "mnt/z.csv"), ("received/episodes", "mnt/lab-1/z.csv"), ("received/episodes/lab-1", "mnt/z.csv")]
    {
        let ended = rig.sh(&format!(
            "{unshare} sh -c 'mount --bind {of} mnt && highwater episodes export --format csv --out {out} -q'"
        ));
        refused(&ended, "HW-EPI-205", 2);
        assert!(ended.stderr.contains("the receiver's directory"), "{of}: {ended:?}");
    }
    assert_eq!(std::fs::read_dir(rig.path("received/episodes/lab-1")).unwrap().count(), 0);
}

/// A receiver's directory with real episodes, each with its row.
fn received() -> Rig {
    let rig = Rig::new(&config(&[("t", "lab-1"), ("u", "lab-2")]));
    let episodes = rig.path("received/episodes");
    store(&episodes, "lab-1/ep-1", "one", Some(COMMIT));
    store(&episodes, "lab-1/ep-2", "two", None);
    store(&episodes, "lab-2/ep-1", "three", Some(COMMIT));
    rig.ok(&["reindex"]);
    rig
}

fn file(rig: &Rig, key: &str) -> std::path::PathBuf {
    rig.path(&format!("received/episodes/{key}.tar.zst"))
}

#[test]
fn show_tells_row_archive_meta_and_whether_they_agree() {
    let rig = received();
    let shown = rig.ok(&["episodes", "show", "lab-1/ep-1"]);
    for part in ["lab-1/ep-1: row and archive agree\n", COMMIT, "made by `reindex`", "2 files", "code_version"] {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
    let json = rig.ok(&["episodes", "show", "lab-1/ep-1", "--json"]).json();
    assert_eq!((&json["agrees"], &json["meta"]["code_version"]["commit"]), (&true.into(), &COMMIT.into()));
    let verdict = |key: &str| {
        let ended = rig.run(&["episodes", "show", key, "--json"]);
        (ended.code, ended.json()["verdict"].as_str().unwrap().to_owned())
    };
    store(&rig.path("received/episodes"), "lab-1/ep-2", "altered", None);
    assert_eq!(verdict("lab-1/ep-2"), (4, "the archive is another than the row says".to_owned()));
    std::fs::write(file(&rig, "lab-1/ep-2"), "junk").unwrap();
    assert_eq!(verdict("lab-1/ep-2"), (4, "the archive cannot be read".to_owned()));
    std::fs::remove_file(file(&rig, "lab-1/ep-2")).unwrap();
    assert!(verdict("lab-1/ep-2").1.starts_with("not stored"));
    store(&rig.path("received/episodes"), "lab-9/new", "x", None);
    assert!(verdict("lab-9/new").1.starts_with("no row"));
    refused(&rig.run(&["episodes", "show", "lab-9/none"]), "HW-CMD-058", 2);
    for bad in ["lab-1", "../x/y", "lab-1/", "a/b/c"] {
        assert_eq!(rig.run(&["episodes", "show", bad]).code, 2, "{bad}");
    }
}

#[test]
fn verify_reads_everything_that_has_a_row() {
    let rig = received();
    let right = rig.ok(&["episodes", "verify"]);
    assert!(right.stdout.starts_with("all agree: 3 rows, "), "{right:?}");
    std::fs::remove_file(file(&rig, "lab-1/ep-1")).unwrap();
    let mut bytes = std::fs::read(file(&rig, "lab-2/ep-1")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file(&rig, "lab-2/ep-1"), bytes).unwrap();
    let wrong = rig.run(&["episodes", "verify", "--root", "received"]);
    assert_eq!(wrong.code, 4, "{wrong:?}");
    let lines: Vec<_> = wrong.stdout.lines().collect();
    assert!(lines[0] == "lab-1/ep-1: not stored" && lines[1].starts_with("lab-2/ep-1: stored are "), "{wrong:?}");
    assert_eq!(lines[2], "2 of 3 rows disagree with what is stored");
    assert_eq!(rig.run(&["episodes", "verify", "--host", "lab-3"]).code, 2, "of no host nothing agrees");
    let json = rig.run(&["episodes", "verify", "--json"]);
    assert_eq!((json.code, &json.json()["wrong"]), (4, &2.into()));
}

#[test]
fn verify_looks_into_archives() {
    let rig = Rig::new(&config(&[("t", "lab-1")]));
    let episodes = rig.path("received/episodes");
    for episode in ["ep-1", "ep-2", "ep-3", "ep-4"] {
        store(&episodes, &format!("lab-1/{episode}"), episode, Some(COMMIT));
    }
    rig.ok(&["reindex"]);
    rig.ok(&["episodes", "verify"]);
    // The rows of what a sender made of it: no archive, another content, other code.
    let (other, wrong) = ("f".repeat(40), "0".repeat(64));
    std::fs::write(file(&rig, "lab-1/ep-2"), "no archive at all").unwrap();
    let junk = crate::receive::sha256("no archive at all");
    let rows = rig.read("received/index.jsonl");
    let mended = rows.lines().map(|row| {
        let mut row: serde_json::Value = serde_json::from_str(row).unwrap();
        match row["episode_id"].as_str().unwrap() {
            "ep-2" => {
                row["sha256"] = junk.as_str().into();
                row["size_bytes"] = 17.into();
            }
            "ep-3" => row["content_sha256"] = wrong.as_str().into(),
            "ep-4" => row["commit"] = other.as_str().into(),
            _ => {}
        }
        format!("{row}\n")
    });
    rig.write("received/index.jsonl", &mended.collect::<String>());
    let told = rig.run(&["episodes", "verify"]);
    assert_eq!(told.code, 4, "{told:?}");
    let lines: Vec<_> = told.stdout.lines().collect();
    for (line, (key, text)) in lines.iter().zip([
        ("lab-1/ep-2", "no archive of an episode: it is no zstd"),
        ("lab-1/ep-3", "the row says 0000"),
        ("lab-1/ep-4", "code_version.commit of its meta.json is"),
    ]) {
        assert!(
            line.starts_with(&format!("{key}: its bytes are those of the row, but ")) && line.contains(text),
            "{told:?}"
        );
    }
    assert_eq!(lines[3], "3 of 4 rows disagree with what is stored");
    rig.ok(&["episodes", "verify", "--hashes-only"]);
}

fn acts(rig: &Rig) -> Vec<(String, String)> {
    let lines = rig.ok(&["events", "--json"]).stdout;
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let acts = events.map(|event| (text(&event["act"]), text(&event["why"])));
    acts.filter(|(act, _)| ["withdraw", "make-room", "resolve"].contains(&act.as_str())).collect()
}

#[test]
fn what_is_withdrawn_is_set_aside_and_cannot_be_sent_again_to_a_receiver_that_runs() {
    let rig = received();
    let receiver = Running::start(&rig);
    let before = rig.read("received/index.jsonl");
    let dry = rig.ok(&["episodes", "withdraw", "--commit", &COMMIT.to_uppercase(), "--why", "lens cap", "--dry-run"]);
    assert_eq!(dry.stdout, "lab-1/ep-1\nlab-2/ep-1\n");
    assert_eq!(rig.read("received/index.jsonl"), before);
    assert!(acts(&rig).is_empty());

    let said = rig.ok(&["episodes", "withdraw", "--commit", COMMIT, "--why", "lens cap"]);
    assert!(
        said.stdout.lines().count() == 2 && said.stdout.contains("lab-1/ep-1: withdrawn; its archive lies in "),
        "{said:?}"
    );
    assert!(!file(&rig, "lab-1/ep-1").exists() && rig.path("received/quarantine/ep-1.tar.zst.0").exists());
    assert!(rig.read("received/index.jsonl").starts_with(&before), "rows are never changed");
    for body in ["one", "another"] {
        let (status, told) = receiver.put_with("lab-1/ep-1", "t", "", body);
        assert!(status == 409 && told.contains("\"withdrawn\"") && told.contains("lens cap"), "{told}");
    }
    let again = rig.ok(&["episodes", "withdraw", "--commit", COMMIT, "--why", "lens cap"]);
    assert_eq!(again.stdout, "", "nothing is left to do: {again:?}");
    let named = rig.ok(&["episodes", "withdraw", "lab-1/ep-1", "--why", "lens cap"]);
    assert_eq!(named.stdout, "lab-1/ep-1: withdrawn already; nothing is left to do\n");
    assert_eq!(acts(&rig).len(), 1, "what changes nothing is no event");
    let dry = rig.ok(&["episodes", "withdraw", "lab-1/ep-1", "lab-1/ep-1", "--why", "lens cap", "--dry-run"]);
    assert!(
        dry.stdout.is_empty() && dry.stderr.starts_with("0 episodes to withdraw; nothing is left to do for 1 other")
    );
    rig.ok(&["reindex"]);
    rig.ok(&["episodes", "verify"]);
    // What a crash left between tombstone and quarantine is finished.
    store(&rig.path("received/episodes"), "lab-1/ep-1", "one", Some(COMMIT));
    assert_eq!(rig.run(&["episodes", "verify"]).code, 4);
    let finished = rig.ok(&["episodes", "withdraw", "lab-1/ep-1", "--why", "lens cap"]);
    assert!(finished.stdout.contains("withdrawn already; its archive lies in "), "{finished:?}");
    rig.ok(&["episodes", "verify"]);

    // To make room is another word.
    rig.ok(&["episodes", "withdraw", "lab-1/ep-2", "lab-1/ep-1", "--make-room", "--why", "the wrong one came first"]);
    assert_eq!(receiver.put("lab-1/ep-2", "t", "the right one"), 201);
    assert_eq!(receiver.put("lab-1/ep-1", "t", "mended"), 201);
    assert_eq!(receiver.stop().code, 0);
    rig.ok(&["episodes", "verify", "--hashes-only"]);
    let acts = acts(&rig);
    assert_eq!(acts[0].1, "2 episodes of commit ".to_owned() + COMMIT + " (lab-1/ep-1, lab-2/ep-1): lens cap");
    assert_eq!(acts.last().unwrap().0, "make-room");
}

#[test]
fn r15_what_cannot_be_withdrawn_or_looked_at_is_one_clear_error_and_changes_nothing() {
    let rig = received();
    let before = rig.read("received/index.jsonl");
    let withdraw = |args: &[&str]| rig.run(&[&["episodes", "withdraw", "--why", "x"], args].concat());
    refused(&withdraw(&["lab-1/none"]), "HW-CMD-058", 2);
    // Of several, none is begun where one is not there.
    refused(&withdraw(&["lab-1/ep-1", "lab-1/none"]), "HW-CMD-058", 2);
    refused(&withdraw(&["--commit", &"0".repeat(40)]), "HW-CMD-058", 2);
    refused(&withdraw(&["--commit", "HEAD"]), "HW-CMD-050", 2);
    refused(&rig.run(&["episodes", "withdraw", "lab-1/ep-1", "--why", &"x".repeat(2_049)]), "HW-CMD-059", 2);
    for usage in [&["lab-1/ep-1", "--commit", COMMIT][..], &[], &["lab-1"], &["../../etc/passwd"]] {
        assert_eq!(withdraw(usage).code, 2, "{usage:?}");
    }
    assert_eq!(rig.run(&["episodes", "withdraw", "lab-1/ep-1", "--why", " "]).code, 2);
    assert!(rig.read("received/index.jsonl") == before && file(&rig, "lab-1/ep-1").exists() && acts(&rig).is_empty());
    refused(&rig.run(&["episodes", "list", "--since", "yesterday"]), "HW-CMD-009", 2);
    refused(&rig.run(&["episodes", "list", "--root", "nowhere"]), "HW-CMD-057", 2);
    std::fs::create_dir(rig.path("empty")).unwrap();
    refused(&rig.run(&["episodes", "list", "--root", "empty"]), "HW-CMD-057", 2);
    let without = Rig::new("");
    refused(&without.run(&["episodes", "list"]), "HW-CFG-021", 2);
    refused(&without.run(&["episodes", "resolve", "ep-1", "--keep", "local"]), "HW-CMD-060", 2);
}

/// A host whose episode meets another of its name at a receiver that runs.
fn conflict() -> (Rig, Running) {
    let rig = Rig::new(&config(&[("t", "lab")]));
    std::fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/ep-1", "t", "another one"), 201);
    let job = format!(
        "[job.send]\nkind = \"ship\"\nreceiver = \"http://{}\"\nhost-id = \"lab\"\ntoken = \"t\"\nresources = [\"r\"]\n[resource.r]\nlock = \"file:r.lock\"\n",
        receiver.address
    );
    rig.write("highwater.toml", &format!("{}{job}", rig.read("highwater.toml")));
    record(&rig.path("episodes/ep-1"), "mine");
    let sent = rig.ok(&["run", "send"]);
    assert!(sent.stdout.contains("1 review"), "{sent:?}");
    (rig, receiver)
}

fn record(dir: &Path, text: &str) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("telemetry.csv"), text).unwrap();
    std::fs::write(dir.join("done.marker"), "").unwrap();
}

#[test]
fn what_is_parked_stays_in_sight_until_a_person_ends_it() {
    let (rig, receiver) = conflict();
    let again = rig.ok(&["run", "send"]);
    let told = "1 episode is parked, for a person: ep-1 (conflict); `highwater episodes resolve` lists them";
    assert!(again.stdout.contains("drained") && again.stderr.contains(told), "{again:?}");
    let doctor = rig.run(&["doctor"]);
    assert!(doctor.stdout.contains("send: 1 episode is parked, for a person: ep-1 (conflict)"), "{doctor:?}");
    assert!(doctor.stdout.contains("next: `highwater episodes resolve --job send` lists them"), "{doctor:?}");
    let listed = rig.ok(&["episodes", "resolve"]);
    assert!(listed.stdout.contains("ep-1") && listed.stdout.contains("409"), "{listed:?}");
    assert!(listed.stdout.contains("`highwater episodes resolve ID --keep local|remote`"), "{listed:?}");
    let json = rig.ok(&["episodes", "resolve", "--json"]).json();
    assert_eq!((&json["parked"][0]["episode_id"], &json["parked"][0]["parking"]), (&"ep-1".into(), &"conflict".into()));
    for half in [&["ep-1"][..], &["--keep", "local"]] {
        assert_eq!(rig.run(&[&["episodes", "resolve"], half].concat()).code, 2, "{half:?}");
    }
    rig.ok(&["episodes", "resolve", "ep-1", "--keep", "remote"]);
    assert!(rig.ok(&["episodes", "resolve"]).stdout.contains("is parked"));
    assert!(!rig.ok(&["run", "send"]).stderr.contains("parked"));
    assert!(!rig.run(&["doctor"]).stdout.contains("parked"));
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_conflict_ends_with_the_receivers_episode_and_this_hosts_is_set_aside() {
    let (rig, receiver) = conflict();
    // Not while a pass runs.
    let holder = Flock::hold(&rig.path("r.lock"));
    let busy = rig.run(&["episodes", "resolve", "ep-1", "--keep", "remote"]);
    assert!(busy.code == 3 && busy.stdout.contains("nothing was changed"), "{busy:?}");
    drop(holder);
    let said = rig.ok(&["episodes", "resolve", "ep-1", "--keep", "remote", "--why", "theirs is the whole one"]);
    assert!(said.stdout.contains("the receiver's stays; this host's lies in "), "{said:?}");
    assert_eq!(rig.read("episodes/.review/ep-1.0/telemetry.csv"), "mine");
    assert!(!rig.path("episodes/ep-1").exists() && !rig.path("outbox/ep-1.tar.zst").exists());
    assert_eq!(acts(&rig), [("resolve".to_owned(), "ep-1, keep remote: theirs is the whole one".to_owned())]);
    rig.ok(&["run", "send"]);
    refused(&rig.run(&["episodes", "resolve", "ep-1", "--keep", "remote"]), "HW-CMD-061", 2);
    // Another one of the name, the same way.
    record(&rig.path("episodes/ep-1"), "mine again");
    rig.ok(&["run", "send"]);
    rig.ok(&["episodes", "resolve", "ep-1", "--keep", "remote"]);
    assert_eq!(rig.read("episodes/.review/ep-1.1/telemetry.csv"), "mine again");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_conflict_ends_with_this_hosts_episode_once_the_receiver_has_made_room() {
    let (rig, receiver) = conflict();
    let said = rig.ok(&["episodes", "resolve", "ep-1", "--keep", "local"]);
    let word = "`highwater episodes withdraw lab/ep-1 --make-room --why …`";
    assert!(said.stdout.contains(word), "{said:?}");
    let again = rig.ok(&["run", "send"]);
    assert!(again.stdout.contains("1 review"), "it is refused as long as there is no room: {again:?}");
    rig.ok(&["episodes", "withdraw", "lab/ep-1", "--make-room", "--why", "the lab's is the right one"]);
    rig.ok(&["episodes", "resolve", "ep-1", "--keep", "local", "--job", "send"]);
    let sent = rig.ok(&["run", "send"]);
    assert!(sent.stdout.contains("1 done"), "{sent:?}");
    assert_eq!(rig.read("shipped/ep-1/telemetry.csv"), "mine");
    assert_eq!(receiver.stop().code, 0);
    rig.ok(&["episodes", "verify"]);
}

#[test]
fn an_episode_that_is_named_in_the_other_way_is_told_how_it_is_named_here() {
    let rig = Rig::new("");
    let show = rig.run(&["episodes", "show", "ep-1"]);
    assert!(show.code == 2 && show.stderr.contains("expected HOST/ID, such as lab-1/ep-1"), "{show:?}");
    let resolve = rig.run(&["episodes", "resolve", "lab-1/ep-1", "--keep", "local"]);
    assert!(resolve.code == 2 && resolve.stderr.contains("expected the ID alone"), "{resolve:?}");
    assert!(resolve.stderr.contains("calls it: ep-1"), "{resolve:?}");
    let neither = rig.run(&["episodes", "resolve", "a/b/c", "--keep", "local"]);
    assert!(neither.code == 2 && neither.stderr.contains("the first a letter or a digit"), "{neither:?}");
}
