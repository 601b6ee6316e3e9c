//! A crawl of a whole list of identifiers by `oai discover`, difference, reports and pin included, against `curl` for the very
//! same pages one after the other: a `curl` a page, as a script has it, since where a list goes on is said by the page before. One
//! `curl` that knows all pages beforehand and keeps its connection and nothing else is told beside it, without a limit. A `curl` a
//! page takes longest by far and is measured once, over all pages.

mod limit;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use highwater_engine::clock::{Clock, SystemClock};

const HEADERS: usize = 125_585;
const PAGE_HEADERS: usize = 100;
const ROUNDS: usize = 3;
const RATIO_MAX: f64 = 1.5;

/// The far side, until it is dropped.
struct Provider {
    server: Child,
    base_url: String,
}

impl Provider {
    fn start(highwater: &str, dir: &Path) -> Self {
        let mut command = Command::new(highwater);
        command.args(["--json", "oai", "serve", "--listen", "127.0.0.1:0", "--access-log", "asked.log"]);
        command.args(["--generated", &HEADERS.to_string(), "--page-size", &PAGE_HEADERS.to_string()]);
        let mut server = command.current_dir(dir).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("invariant: it is piped")).read_line(&mut line).expect("a line");
        let said: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Self { server, base_url: said["base_url"].as_str().expect("an address").to_owned() }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.kill().expect("it runs");
        self.server.wait().expect("it ends");
    }
}

fn main() -> ExitCode {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("crawl: there is no curl to measure against; install it");
        return ExitCode::FAILURE;
    }
    let highwater = env!("CARGO_BIN_EXE_highwater");
    let clock = SystemClock::new();
    let dir = tempfile::tempdir().expect("a directory");
    let provider = Provider::start(highwater, dir.path());
    // What a crawl asks for is what curl asks for.
    discover(highwater, &provider.base_url, &clock);
    let pages = pages(dir.path(), &provider.base_url);
    let curl = one_by_one(&pages, &clock);
    println!("{} pages by a curl each: {curl:.2} s", pages.len());
    let ratios: Vec<f64> = (1..=ROUNDS)
        .map(|round| {
            let kept = one_connection(dir.path(), &pages, &clock);
            let took = discover(highwater, &provider.base_url, &clock);
            println!(
                "round {round}: discover {took:.2} s, ratio {:.2}; the pages on one connection {kept:.2} s, ratio {:.1}",
                took / curl,
                took / kept
            );
            took / curl
        })
        .collect();
    let ratio = limit::median(ratios);
    println!(
        "crawl: {HEADERS} headers in {ratio:.2} x the time of curl page after page, median of {ROUNDS} rounds (limit: \
         {RATIO_MAX:.2} x)"
    );
    limit::verdict(&[(ratio <= RATIO_MAX, format!("crawl: {ratio:.3} x curl, limit {RATIO_MAX:.2} x"))])
}

/// Seconds that a discover of everything takes, in a directory of its own.
fn discover(highwater: &str, base_url: &str, clock: &SystemClock) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "[resource.books]\npace = \"0s\"\n[job.missing]\nkind = \"oai-backfill\"\nresources = [\"books\"]\n\
         budget = {{ max-contacts = 100000 }}\nrepository = {{ base-url = \"{base_url}\" }}\n"
    );
    std::fs::write(dir.path().join("highwater.toml"), config).expect("a configuration");
    let begun = clock.elapsed();
    let mut command = Command::new(highwater);
    command.args(["oai", "discover", "missing", "-q"]).current_dir(dir.path()).stdout(Stdio::null());
    run(&mut command);
    (clock.elapsed() - begun).as_secs_f64()
}

/// The lists that were asked for.
fn pages(dir: &Path, base_url: &str) -> Vec<String> {
    let asked = std::fs::read_to_string(dir.join("asked.log")).expect("an access log");
    let lists = asked.split_whitespace().filter(|word| word.contains("verb=ListIdentifiers"));
    let query = |word: &str| word.split_once('?').map_or(word, |(_, query)| query).to_owned();
    let pages: Vec<String> = lists.map(|word| format!("{base_url}?{}", query(word))).collect();
    assert_eq!(pages.len(), HEADERS.div_ceil(PAGE_HEADERS), "{asked:.300}");
    pages
}

/// Seconds that it takes, a `curl` a page; pages come in the encoding that highwater asks for.
fn one_by_one(pages: &[String], clock: &SystemClock) -> f64 {
    let begun = clock.elapsed();
    for page in pages {
        run(Command::new("curl").args(["-sS", "--fail", "--compressed", "--output", "/dev/null"]).arg(page));
    }
    (clock.elapsed() - begun).as_secs_f64()
}

/// Seconds that one `curl` takes for all of them.
fn one_connection(dir: &Path, pages: &[String], clock: &SystemClock) -> f64 {
    let list: String = pages.iter().map(|page| format!("url = \"{page}\"\noutput = \"/dev/null\"\n")).collect();
    std::fs::write(dir.join("pages.curl"), list).expect("a list of pages");
    let begun = clock.elapsed();
    run(Command::new("curl").args(["-sS", "--fail", "--compressed", "--config", "pages.curl"]).current_dir(dir));
    (clock.elapsed() - begun).as_secs_f64()
}

fn run(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "{status}");
}
