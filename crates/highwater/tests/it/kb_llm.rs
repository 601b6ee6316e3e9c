//! A knowledge base whose pages a language model writes: paid once, whatever happens, and nothing that it says does more than it may.

mod advised;
mod anew;
mod asked;
mod beside;
mod contained;
mod endpoint;
mod long;
mod odd_counts;
mod paid;
mod unwell;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::endpoint::{Endpoint, pages, said};
use crate::rig::{Ended, Rig};

/// The key, which nobody may see.
const KEY: &str = "sk-very-secret-4711";

/// A base, documents beside it, and a model.
struct Desk {
    rig: Rig,
    endpoint: Endpoint,
}

impl Desk {
    /// One with so many documents.
    fn new(documents: usize, endpoint: Endpoint) -> Self {
        let rig = Rig::new("");
        fs::create_dir(rig.path("in")).unwrap();
        for n in 0..documents {
            rig.write(&format!("in/report-{n}.md"), &format!("# Report {n}\n\nThe gauge measured {n} m of water.\n"));
        }
        rig.ok(&["kb", "init", "notes"]);
        Self { rig, endpoint }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.rig.command(args);
        command.env("LLM_KEY", KEY);
        command
    }

    /// Words of a call that asks the model.
    fn args<'a>(&'a self, verb: &[&'a str], url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let model = ["--kb", "notes", "--llm-url", url, "--llm-model", "small", "--llm-key-env", "LLM_KEY"];
        [verb, &model, more].concat()
    }

    fn call(&self, verb: &[&str], more: &[&str]) -> Ended {
        let url = self.endpoint.url();
        self.command(&self.args(verb, &url, more)).output().unwrap().into()
    }

    fn add(&self, more: &[&str]) -> Ended {
        self.call(&["kb", "add", "in"], more)
    }

    /// One addition: its exit code and its reason.
    fn pass(&self, more: &[&str]) -> (i32, String) {
        let ended = self.add(&[&["--json"], more].concat());
        let reason = ended.json()["reason"].as_str().unwrap_or_else(|| panic!("no reason: {ended:?}")).to_owned();
        (ended.code, reason)
    }

    /// What the base shows.
    fn shown(&self) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        for directory in ["wiki", "raw"] {
            read(&self.rig.path("notes"), Path::new(directory), &mut shown);
        }
        // Where the documents came from is another directory each time.
        let from = self.rig.dir.path().canonicalize().unwrap();
        shown.values_mut().for_each(|text| *text = text.replace(&*from.to_string_lossy(), "/desk"));
        shown
    }

    /// The answers that are kept.
    fn kept(&self) -> usize {
        let mut kept = BTreeMap::new();
        read(&self.rig.path("notes"), Path::new(".highwater/answers"), &mut kept);
        kept.keys().filter(|path| path.rsplit('/').next().is_some_and(|name| name.len() == 64)).count()
    }

    fn listed(&self) -> Vec<Value> {
        let listed = self.rig.ok(&["kb", "list", "--kb", "notes", "--json"]);
        listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn read(root: &Path, below: &Path, shown: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else { return };
    for entry in entries {
        let path = below.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            read(root, &path, shown);
        } else {
            // One on its way has its name by now.
            let bytes = match fs::read(root.join(&path)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                bytes => bytes.unwrap(),
            };
            shown.insert(path.to_string_lossy().into_owned(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

#[test]
fn documents_are_compiled_by_the_model_and_say_so() {
    let desk = Desk::new(2, Endpoint::compiles());
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    let shown = desk.shown();
    let summary = &shown["wiki/summaries/report-0.md"];
    assert!(summary.contains("# The report-0") && summary.contains("The model read report-0."), "{summary}");
    assert!(summary.contains("[[concepts/tidal-range|Tidal range]]"), "{summary}");
    let shared = &shown["wiki/concepts/tidal-range.md"];
    assert!(shared.contains("report-0 says how high.") && shared.contains("report-1 says how high."), "{shared}");
    assert!(shown.contains_key("wiki/entities/harbour-office.md"));
    assert!(desk.listed().iter().all(|document| document["compiler"] == "llm/1 small"), "{:?}", desk.listed());

    let asked = desk.endpoint.asked();
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        assert_eq!((asked.path.as_str(), &asked.body["model"]), ("/v1/chat/completions", &"small".into()));
        assert_eq!(asked.authorization, Some(format!("Bearer {KEY}")));
        assert_eq!(asked.body["response_format"]["type"], "json_schema");
        assert_eq!(asked.body["temperature"], 0.0);
        assert!(asked.words().contains("The gauge measured"), "{}", asked.words());
    }
    // A second time there is nothing to do.
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    assert_eq!(desk.endpoint.asked().len(), 2);
    // Without a model, what is built in compiles.
    desk.rig.write("in/other.md", "# Other\n\nThe tidal range is a height. The tidal range varies.\n");
    desk.rig.ok(&["kb", "add", "in", "--kb", "notes"]);
    assert_eq!(desk.endpoint.asked().len(), 2);
    assert_eq!(desk.listed().last().unwrap()["compiler"], "builtin/1");
}

#[test]
fn r13_the_same_answers_give_the_same_bytes_however_many_are_prepared_at_once() {
    let of = |concurrency: &str| {
        let desk = Desk::new(12, Endpoint::compiles());
        assert_eq!(desk.pass(&["--concurrency", concurrency]), (0, "drained".into()));
        let mut shown = desk.shown();
        shown.remove("wiki/log.md");
        shown
    };
    let one = of("1");
    assert_eq!(of("2"), one);
    assert_eq!(of("8"), one);
}

#[test]
fn a_job_of_a_configuration_asks_the_model_too() {
    let desk = Desk::new(1, Endpoint::compiles());
    let url = desk.endpoint.url();
    desk.rig.write(
        "highwater.toml",
        &format!(
            "[job.papers]\nkind = \"kb-add\"\nbase = \"notes\"\npaths = [\"in\"]\n[job.papers.llm]\nurl = \"{url}\"\nmodel = \"small\"\nkey-env = \"LLM_KEY\"\n"
        ),
    );
    let ended: Ended = desk.command(&["run", "papers"]).output().unwrap().into();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(desk.shown()["wiki/summaries/report-0.md"].contains("The model read report-0."));
    let ended = desk.rig.run(&["run", "papers"]);
    assert!(ended.code == 2 && ended.stderr.contains("HW-KB-038"), "{ended:?}");
}

#[test]
fn what_does_not_go_together_is_refused_and_nothing_is_asked() {
    let desk = Desk::new(1, Endpoint::compiles());
    let before = desk.shown();
    for args in [
        &["--llm-url", "http://127.0.0.1:1/v1"][..],
        &["--llm-model", "small"],
        &["--llm-url", "127.0.0.1", "--llm-model", "small"],
        &["--llm-url", "http://127.0.0.1:1/v1", "--llm-model", "small", "--llm-context", "100"],
        &["--llm-url", "http://127.0.0.1:1/v1", "--llm-model", "small", "--llm-key-env", "sk-oops"],
        &["--llm-url", "http://127.0.0.1:1/v1", "--llm-model", "small", "--llm-key-env", "NO_SUCH_KEY"],
        &["--llm-url", "http://127.0.0.1:1/v1", "--llm-model", "small", "--llm-tokens", "0"],
    ] {
        let ended = desk.rig.run(&[&["kb", "add", "in", "--kb", "notes"], args].concat());
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        let name = args.join("_").replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        insta::assert_snapshot!(format!("refused{name}"), ended.stderr);
    }
    assert_eq!(desk.shown(), before);
    // An empty variable counts as none.
    let mut quiet = desk.rig.command(&["kb", "add", "in", "--kb", "notes"]);
    let ended: Ended = quiet.env("HIGHWATER_LLM_URL", "").env("HIGHWATER_LLM_MODEL", "").output().unwrap().into();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(desk.endpoint.asked().is_empty());
}

/// One document that the model says this of.
fn one(text: &'static str) -> Desk {
    Desk::new(1, Endpoint::start(move |_| said(text)))
}

/// A document that the model says what is expected of.
fn well(name: &str) -> String {
    pages(name)
}
