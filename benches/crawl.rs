//! A crawl of a whole list of identifiers by `oai discover`, difference, reports and pin included, against one `curl` that
//! fetches the very same pages one after the other on one connection: what a script that starts `curl` per page never reaches.

mod limit;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use highwater_engine::clock::{Clock, SystemClock};

const HEADERS: usize = 125_585;
const PAGE_HEADERS: usize = 100;
const ROUNDS: usize = 5;
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
    let pages = write_pages(dir.path(), &provider.base_url);
    let ratios: Vec<f64> = (1..=ROUNDS)
        .map(|round| {
            let curl = curl(dir.path(), &clock);
            let took = discover(highwater, &provider.base_url, &clock);
            println!(
                "round {round}: discover {took:.2} s, curl {curl:.2} s for {pages} pages, ratio {:.2}",
                took / curl
            );
            took / curl
        })
        .collect();
    let ratio = limit::median(ratios);
    println!(
        "crawl: {HEADERS} headers in {ratio:.2} x the time of one curl on one connection, median of {ROUNDS} rounds (limit: \
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
    let status = command.status().expect("it starts");
    assert!(status.success(), "{status}");
    (clock.elapsed() - begun).as_secs_f64()
}

/// The lists that were asked for, as curl takes them; how many.
fn write_pages(dir: &Path, base_url: &str) -> usize {
    let asked = std::fs::read_to_string(dir.join("asked.log")).expect("an access log");
    let mut pages = String::new();
    let mut count = 0;
    for query in asked.split_whitespace().filter(|word| word.contains("verb=ListIdentifiers")) {
        let query = query.split_once('?').map_or(query, |(_, query)| query);
        writeln!(pages, "url = \"{base_url}?{query}\"\noutput = \"/dev/null\"").expect("invariant: a string takes all");
        count += 1;
    }
    assert_eq!(count, HEADERS.div_ceil(PAGE_HEADERS), "{asked:.300}");
    std::fs::write(dir.join("pages.curl"), pages).expect("a list of pages");
    count
}

/// Seconds that curl takes for the same pages, asked for in the same encoding.
fn curl(dir: &Path, clock: &SystemClock) -> f64 {
    let begun = clock.elapsed();
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "--compressed", "--config", "pages.curl"]).current_dir(dir);
    let status = command.status().expect("it starts");
    assert!(status.success(), "{status}");
    (clock.elapsed() - begun).as_secs_f64()
}
