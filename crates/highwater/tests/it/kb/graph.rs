//! The link graph as one page: what is in it, where it is written, and what a browser makes of it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use highwater_testkit::not_here::NotHere;
use serde_json::Value;

use super::Desk;
use crate::rig::{Doomed, Ended, wait_until};

/// What nobody calls a document who means well.
const EVIL: &str = "</script><script>document.body.dataset.evil='yes'</script><img src=x onerror=\"document.body.dataset.evil='yes'\"> {graph}";
/// Browsers that draw a page without a screen.
const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"];

impl Desk {
    fn draw(&self, more: &[&str]) -> Ended {
        self.0.run(&[&["kb", "visualize", "--kb", "notes"], more].concat())
    }

    fn graph(&self, file: &str) -> Value {
        let html = self.0.read(file);
        let begin = html.find("id=\"graph\">").expect("a graph") + "id=\"graph\">".len();
        let json = &html[begin..begin + html[begin..].find("</script>").unwrap()];
        serde_json::from_str(json).unwrap()
    }
}

#[test]
fn a_graph_has_every_page_and_every_link_between_them() {
    let desk = Desk::full();
    desk.ended(&[]);
    let ended = desk.draw(&["--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let status = desk.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json();
    let figure = |name: &str| status[name].as_u64().unwrap();
    let graph = desk.graph("kb-graph.html");
    let pages = graph["pages"].as_array().unwrap();
    assert_eq!(pages.len() as u64, figure("documents") + figure("concepts") + figure("entities"));
    assert_eq!(ended.json()["pages"], pages.len());
    let links = graph["links"].as_array().unwrap();
    let name = |place: &Value| pages[usize::try_from(place.as_u64().unwrap()).unwrap()]["name"].as_str().unwrap();
    let leads = |one: &str, other: &str| {
        links.iter().any(|link| {
            let ends = (name(&link[0]), name(&link[1]));
            ends == (one, other) || ends == (other, one)
        })
    };
    assert!(leads("concepts/tidal-range", "summaries/report-03"));
    assert!(!leads("summaries/report-03", "summaries/report-04"));
    // Of many, those with the most links.
    let ended = desk.draw(&["--pages", "5", "--out", "few.html"]);
    assert!(
        ended.stdout.contains("few.html: 5 pages") && ended.stdout.contains("those with the most links"),
        "{ended:?}"
    );
    let few = desk.graph("few.html");
    assert_eq!(few["pages"].as_array().unwrap().len(), 5);
    assert!(few["pages"].as_array().unwrap().iter().any(|page| page["name"] == "concepts/tidal-range"));
    assert!(desk.0.read("few.html").contains(&format!("of {} pages those with the most links", pages.len())));
}

#[test]
fn a_graph_is_written_over_a_graph_and_over_nothing_else() {
    let desk = Desk::full();
    desk.ended(&[]);
    desk.0.write("mine.html", "<p>mine</p>");
    let ended = desk.draw(&["--out", "mine.html"]);
    assert_eq!((ended.code, desk.0.read("mine.html").as_str()), (2, "<p>mine</p>"));
    let next = "next: name another: `--out FILE`; or write over it: `--force`";
    assert!(ended.stderr.contains("HW-KB-033") && ended.stderr.contains(next), "{ended:?}");
    for more in [&["--out", "mine.html", "--force"][..], &["--out", "mine.html"], &[], &[]] {
        assert_eq!(desk.draw(more).code, 0, "{more:?}");
    }
    for nowhere in ["none/graph.html", "in"] {
        let ended = desk.draw(&["--out", nowhere]);
        assert!(ended.code == 2 && ended.stderr.contains("HW-KB-033"), "{nowhere}: {ended:?}");
    }
}

#[test]
fn a_browser_draws_every_page_and_runs_nothing_that_a_title_says() {
    const TEST: &str = "kb::graph::a_browser_draws_every_page_and_runs_nothing_that_a_title_says";
    let desk = Desk::full();
    desk.0.write("in/evil.md", &format!("# {EVIL}\n\n{EVIL} and the tidal range.\n"));
    desk.ended(&[]);
    assert_eq!(desk.draw(&[]).code, 0);
    let graph = desk.graph("kb-graph.html");
    let pages = graph["pages"].as_array().unwrap();
    assert!(pages.iter().any(|page| page["title"].as_str().unwrap().contains("evil")), "{pages:?}");
    let Some(browser) = browser() else {
        NotHere(format!("none of {} is installed", BROWSERS.join(", "))).say(TEST);
        return;
    };
    let page = desk.0.path("kb-graph.html");
    let (out, said) = (desk.0.path("dom.html"), desk.0.path("browser.log"));
    let child = Command::new(&browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", desk.0.path("browser").display()))
        .arg(format!("file://{}", page.display()))
        .env("HOME", desk.0.dir.path())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    // One that never ends is killed with the test.
    let mut child = Doomed::from(child);
    wait_until("the browser", || !child.runs());
    let (dom, said) = (desk.0.read("dom.html"), desk.0.read("browser.log"));
    let body = dom.split("<body").nth(1).and_then(|rest| rest.split('>').next());
    let body = body.unwrap_or_else(|| panic!("{dom}{said}"));
    let drawn = format!("data-pages=\"{}\"", pages.len());
    assert!(body.contains(&drawn) && body.contains("data-settled=\"yes\""), "{body}: {said}");
    assert!(!body.contains("data-evil") && !dom.contains("<img"), "{body}");
    // What goes wrong in a page, and what it is not allowed, is said on its console.
    assert!(!said.contains("CONSOLE"), "{said}");
}

#[test]
fn a_graph_is_drawn_of_what_is_left_of_a_base() {
    let desk = Desk::full();
    desk.ended(&[]);
    let page = fs::read(desk.0.path("notes/wiki/concepts/tidal-range.md")).unwrap();
    let object = format!("notes/.highwater/objects/{}", highwater_kb::ContentId::of(&page));
    fs::remove_file(desk.0.path(&object)).unwrap();
    assert_eq!(desk.draw(&[]).code, 0);
    let graph = desk.graph("kb-graph.html");
    let of = |name: &str| {
        let pages = graph["pages"].as_array().unwrap().iter();
        pages.filter(|page| page["name"] == name).map(|page| page["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("concepts/tidal-range"), [""]);
    assert!(of("summaries/report-03")[0].as_str().unwrap().len() > 10, "{graph}");
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = |directory: PathBuf| BROWSERS.map(|name| directory.join(name)).into_iter().find(|path| path.is_file());
    std::env::split_paths(&path).find_map(named)
}
