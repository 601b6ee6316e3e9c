//! Questions: answered by the model from what the base says, with sources that are checked; or, without one, by the base alone.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use highwater_testkit::faulty_http::Answer;
use serde_json::Value;

use super::endpoint::{Endpoint, said};
use super::{Desk, KEY, well};
use crate::rig::{Ended, Rig};

/// A model that compiles, and answers questions so.
fn answers(with: &'static str) -> Desk {
    let endpoint = Endpoint::start(move |asked| match asked.document().as_str() {
        "" => said(with),
        name => said(&well(name)),
    });
    let desk = Desk::new(3, endpoint);
    assert_eq!(desk.pass(&[]).0, 0);
    desk
}

fn questions(desk: &Desk) -> Vec<String> {
    desk.endpoint.asked().iter().filter(|asked| asked.document().is_empty()).map(|asked| asked.words()).collect()
}

#[test]
fn an_answer_says_where_it_is_from_and_what_leads_nowhere_is_left_out() {
    let desk = answers(
        "It is **2 m** [1], not 7 m [99]. See [[concepts/tidal-range|the range]] and [[concepts/nowhere|nothing]].\u{1b}[31m",
    );
    let ended = desk.call(&["kb", "query", "how much water did gauge 2 measure"], &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.starts_with("It is **2 m** [1], not 7 m. See [[concepts/tidal-range|the range]] and nothing."),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("\n[1] ") && !ended.stdout.contains("\n[2] ") && !ended.stdout.contains('\u{1b}'),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("2 citations or links led nowhere"), "{ended:?}");
    let asked = &questions(&desk)[0];
    assert!(
        asked.contains("The question: how much water did gauge 2 measure") && asked.contains("The gauge measured"),
        "{asked}"
    );

    // Asked again, it costs nothing; `--json` has all of it.
    let json = desk.call(&["kb", "query", "how much water did gauge 2 measure"], &["--json"]).json();
    assert_eq!(questions(&desk).len(), 1);
    assert_eq!((&json["dropped"], &json["sources"][0]["cited"]), (&2.into(), &true.into()), "{json}");
    assert_eq!(json["tokens"], 0);
    assert!(json["sources"].as_array().unwrap().iter().skip(1).all(|source| source["cited"] == false), "{json}");

    let nothing = desk.call(&["kb", "query", "xylophone"], &[]);
    assert!(nothing.code == 0 && nothing.stderr.contains("nothing in the base"), "{nothing:?}");
    assert_eq!(questions(&desk).len(), 1, "nobody is asked about nothing");
}

#[test]
fn an_answer_that_is_saved_is_a_page_and_a_generation_of_its_own() {
    let desk = answers("It is **2 m** [1].\n\n# Big\n\n[out](https://evil.example) <script>x</script> ![[index]]");
    let save = |question: &str| {
        let ended = desk.call(&["kb", "query", question], &["--save"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended
    };
    assert!(save("How much water?").stderr.contains("saved as wiki/explorations/how-much-water.md"));
    let page = desk.shown()["wiki/explorations/how-much-water.md"].clone();
    assert!(page.starts_with("---\ntype: exploration\n"), "{page}");
    assert!(page.contains("# How much water?") && page.contains("It is **2 m** [["), "{page}");
    assert!(page.contains("\n## Sources\n") && page.contains("Answered by small."), "{page}");
    for kept_out in ["](http", "<script", "# Big", "![["] {
        assert!(!page.contains(kept_out), "{page}");
    }
    for (at, _) in page.match_indices("[[") {
        let target = page[at + 2..].split(['|', ']']).next().unwrap();
        assert!(desk.shown().contains_key(&format!("wiki/{target}.md")), "{target}");
    }
    assert!(save("How much water?").stderr.contains("says that already"));
    // Another question of the same name has a page of its own.
    save("How much: water");
    let names: Vec<String> = desk.shown().into_keys().filter(|path| path.starts_with("wiki/explorations/")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // An answer is no source of the next.
    let json = desk.call(&["kb", "query", "how much water?"], &["--json"]).json();
    let is_kept = |source: &Value| source["page"].as_str().unwrap().starts_with("explorations/");
    assert!(!json["sources"].as_array().unwrap().iter().any(is_kept), "{json}");
    desk.rig.ok(&["kb", "undo", "--kb", "notes"]);
    assert_eq!(desk.shown().keys().filter(|path| path.starts_with("wiki/explorations/")).count(), 1);
    let log = desk.rig.ok(&["kb", "log", "--kb", "notes"]).stdout;
    assert!(log.contains("query") && log.contains("How much: water"), "{log}");
}

#[test]
fn an_exploration_that_a_person_edited_is_kept() {
    let desk = answers("It is 2 m [1].");
    desk.call(&["kb", "query", "how much water"], &["--save"]);
    let path = desk.rig.path("notes/wiki/explorations/how-much-water.md");
    fs::write(&path, "mine alone\n").unwrap();
    let other = Endpoint::start(|_| said("It is 3 m [1]."));
    let url = other.url();
    let ended: Ended = desk
        .command(&desk.args(&["kb", "query", "how much water"], &url, &["--save", "--llm-context", "9000"]))
        .output()
        .unwrap()
        .into();
    assert!(ended.code == 0 && ended.stderr.contains("was edited, and stays"), "{ended:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine alone\n");
    assert!(desk.shown()["wiki/explorations/how-much-water.conflict.md"].contains("3 m"));
}

#[test]
fn without_a_model_the_places_themselves_are_shown() {
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    rig.write("tides.md", "# Tides\n\nThe tidal range is the height between high water and low water.\n");
    rig.ok(&["kb", "add", "tides.md", "--kb", "notes"]);
    let ended = rig.ok(&["kb", "query", "What is the tidal range?", "--kb", "notes"]);
    assert!(ended.stdout.starts_with("[1] "), "{ended:?}");
    assert!(
        ended.stdout.contains("sources/tides: Tides, lines ") && ended.stdout.contains("the height between"),
        "{ended:?}"
    );
    let json = rig.ok(&["kb", "query", "What is the tidal range?", "--kb", "notes", "--json"]).json();
    assert!(json["answer"].is_null() && json["sources"][0]["text"].as_str().unwrap().contains("tidal range"), "{json}");
    for (args, code) in [
        (&["kb", "query", "tides", "--save", "--kb", "notes"][..], "HW-KB-040"),
        (&["kb", "chat", "--kb", "notes"], "HW-KB-040"),
    ] {
        let ended = rig.run(args);
        assert!(ended.code == 2 && ended.stderr.contains(code), "{ended:?}");
    }
    assert!(!rig.path("notes/.highwater-state/chat").exists());
}

#[test]
fn a_question_that_nobody_answers_ends_as_it_should() {
    let mut turns = 0;
    let desk = Desk::new(
        1,
        Endpoint::start(move |asked| match asked.document().as_str() {
            "" => {
                turns += 1;
                match turns {
                    1 => Answer::hang_up(),
                    2 => said("<think>for ever"),
                    3 => Answer::status(401),
                    _ => Answer::status(429).header("retry-after", "600"),
                }
            }
            name => said(&well(name)),
        }),
    );
    assert_eq!(desk.pass(&[]).0, 0);
    let ask = |question: &str| desk.call(&["kb", "query", question], &[]);
    let first = ask("how much water");
    assert!(first.code == 3 && first.stdout.contains("did not answer"), "{first:?}");
    let second = ask("how much water");
    assert!(second.code == 1 && second.stderr.contains("HW-KB-042"), "{second:?}");
    let third = ask("which gauge measured");
    assert!(third.code == 2 && third.stderr.contains("HW-KB-036"), "{third:?}");
    for _ in 0..2 {
        let banned = ask("what was measured");
        assert!(banned.code == 3 && banned.stdout.contains("is not asked before"), "{banned:?}");
    }
    assert_eq!(desk.endpoint.asked().len(), 5);
    // The ban is the passes', too.
    desk.rig.write("in/more.md", "# More\n\nWater.\n");
    assert_eq!(desk.pass(&[]), (3, "banned_until".into()));
}

#[test]
fn r05_what_a_conversation_has_shown_is_there_after_a_kill() {
    let desk = answers("It is 2 m [1].");
    let url = desk.endpoint.url();
    let mut command = desk.command(&desk.args(&["kb", "chat"], &url, &["--session", "tides"]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    for known in 0..3 {
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "How much water, for the {known}th time?").unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert_eq!(shown.unwrap().unwrap(), "It is 2 m [1].");
        child.kill().unwrap();
        child.wait().unwrap();
        let session = desk.rig.read("notes/.highwater-state/chat/tides.jsonl");
        assert_eq!(session.lines().count(), known + 1);
        assert_eq!(questions(&desk).len(), known + 1);
    }
    assert!(questions(&desk)[2].contains("for the 0th time?"), "what was said goes with the next question");
    assert_eq!(desk.rig.ok(&["kb", "chat", "--list", "--kb", "notes"]).stdout, "tides\n");
}

#[test]
fn a_conversation_knows_what_was_said_and_goes_on_after_a_kill() {
    let desk = answers("It is 2 m [1].");
    let chat = |lines: &str, more: &[&str]| -> Ended {
        let url = desk.endpoint.url();
        let mut command = desk.command(&desk.args(&["kb", "chat"], &url, more));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who refuses does not read it.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        child.wait_with_output().unwrap().into()
    };
    let ended = chat("How much water?\n\nAnd which gauge measured it?\n", &["--session", "tides"]);
    assert_eq!((ended.code, ended.stdout.matches("It is 2 m [1].").count()), (0, 2), "{ended:?}");
    let asked = questions(&desk);
    assert_eq!(asked.len(), 2);
    assert!(asked[1].contains("How much water?\nIt is 2 m [1].\n"), "{}", asked[1]);

    // Torn by a kill in the middle of a line, it goes on all the same.
    let path = desk.rig.path("notes/.highwater-state/chat/tides.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"at\":\"2026-");
    fs::write(&path, bytes).unwrap();
    let ended = chat("What did the report say?\n", &["--session", "tides", "--json"]);
    assert!(ended.code == 0 && ended.stderr.contains("goes on, with 2 answers"), "{ended:?}");
    assert!(ended.stderr.contains("1 lines of it cannot be read"), "{ended:?}");
    assert_eq!(ended.json()["answer"], "It is 2 m [1].");
    assert!(questions(&desk)[2].contains("And which gauge measured it?"));
    assert!(chat("", &["--session", "tides"]).stderr.contains("with 3 answers"));
    // What was answered before a kill and not written down is not paid again.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.lines().take(1).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    chat("And which gauge measured it?\n", &["--session", "tides"]);
    assert_eq!(questions(&desk).len(), 3);

    // Without a name a new one begins, and an empty one leaves nothing.
    assert!(chat("", &[]).stderr.contains("a new session"));
    let named = chat("How much water?\n", &[]);
    let name = named.stderr.split("--session ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let list = desk.rig.ok(&["kb", "chat", "--list", "--kb", "notes"]).stdout;
    assert_eq!(list.lines().collect::<Vec<_>>(), [name.as_str(), "tides"]);
    for file in fs::read_dir(desk.rig.path("notes/.highwater-state/chat")).unwrap() {
        assert!(!fs::read_to_string(file.unwrap().path()).unwrap().contains(KEY));
    }
    let bad = chat("x\n", &["--session", "../x"]);
    assert!(bad.code == 2 && bad.stderr.contains("HW-KB-041"), "{bad:?}");
    let long = chat(&"x".repeat(20_000), &["--session", "tides"]);
    assert!(long.code == 2 && long.stderr.contains("HW-KB-041"), "{long:?}");
}

#[test]
fn a_line_that_is_no_utf_8_is_passed_over_and_the_conversation_goes_on() {
    let desk = answers("It is 2 m [1].");
    let url = desk.endpoint.url();
    let mut command = desk.command(&desk.args(&["kb", "chat"], &url, &["--session", "tides"]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"How m\xfcch water?\nHow much water?\n").unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stdout.matches("It is 2 m [1].").count()), (0, 1), "{ended:?}");
    assert!(ended.stderr.contains("a line that is no UTF-8 was passed over: ask it again, as UTF-8"), "{ended:?}");
    assert_eq!(questions(&desk).len(), 1);
}
