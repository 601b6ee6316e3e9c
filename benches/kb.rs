//! A knowledge base, small and large:
//!
//! - a commit of one document with 100 of them in the base, and with more: it must not cost more because the base is larger;
//! - the same against the bare disk that is asked for the same files, syncs and names, and a COMMIT of one page for each COMMIT;
//! - opening a base that a crash left with a generation that is committed and not shown;
//! - a search;
//! - by whole processes: adding a directory of Markdown files, against a process and a commit for each file; and adding it again.
//!
//! `KB_DOCUMENTS` is how large the large base is (100,000), `KB_FILES` how many files are added again (10,000), `KB_DIR` where.

mod disks;
mod limit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_kb::compile::{Compiled, Contribution};
use highwater_kb::fold::{self, Ready};
use highwater_kb::{Base, ContentId, Directory, DocName, Document, FilePath, Home, KbError, Origin, Snapshot};

use disks::{Bare, Between, Does};

const DOCUMENTS: u64 = 100_000;
const FILES: u64 = 10_000;
/// Documents that share a commit while a base is made large.
const GROUP: u64 = 1_000;
/// Commits of one document at each size.
const ROUNDS: u64 = 21;
/// The same in turns.
const ROUNDS_IN_TURNS: u64 = 60;
const SIZES: [u64; 3] = [100, 1_000, 10_000];
/// How much more a commit may cost in a larger base than in the smallest.
const GROWTH_MAX: f64 = 1.2;
const BARE_RATIO_MAX: f64 = 2.0;
const OPEN_SECS_MAX: f64 = 0.1;
const SEARCH_SECS_MAX: f64 = 0.05;
/// Files that are added at once, and how many of them alone, to tell what all would take.
const TOGETHER: u64 = 1_000;
const ALONE: u64 = 40;
const TOGETHER_RATIO_MIN: f64 = 10.0;
const AGAIN_SECS_MAX: f64 = 2.0;

fn main() -> ExitCode {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(or);
    let dir = std::env::var_os("KB_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let clock = SystemClock::new();
    let mut limits = by_library(dir.path(), number("KB_DOCUMENTS", DOCUMENTS), &clock);
    limits.extend(by_processes(dir.path(), number("KB_FILES", FILES), &clock));
    limit::verdict(&limits)
}

/// A document that shares one page with a few others, and has one alone.
struct Paper {
    name: DocName,
    document: Document,
    text: String,
    compiled: Compiled,
}

impl Paper {
    fn new(n: u64) -> Self {
        let name = DocName::of_stem(&format!("paper-{n:06}"));
        let about = ["harbour", "tide", "gauge", "surge", "mooring", "channel", "dyke", "sluice"];
        let of = |n: u64| about[usize::try_from(n).expect("it is small") % about.len()];
        let lines: String = (0..12)
            .map(|line| {
                format!("Line {line} of paper {n} is about the {} and the {}.\n", of(n + line), of(n / 8 + 3 * line))
            })
            .collect();
        let text = format!("# Paper {n}\n\n{lines}");
        let contribution = |page: String, alone| Contribution {
            title: page.split('/').next_back().unwrap_or_default().replace('-', " "),
            description: format!("What paper {n} says of it."),
            body: format!("- Paper {n} says it so."),
            page: page.parse().expect("a page's name"),
            alone,
        };
        let content = ContentId::of(text.as_bytes());
        let path = |path: String| FilePath::new(path).expect("a path");
        let document = Document {
            sequence: 0,
            origin: Origin::of_file(Path::new(&format!("/papers/{name}.md"))),
            raw: path(format!("raw/{name}.md")),
            content,
            sha256: String::new(),
            bytes: text.len() as u64,
            title: String::new(),
            full_text: path(format!("wiki/sources/{name}.md")),
            images: Vec::new(),
            pages: None,
            converter: "bench".to_owned(),
            compiler: "bench".to_owned(),
            compiled: content,
        };
        let compiled = Compiled {
            title: format!("Paper {n}"),
            doc_type: "notes".to_owned(),
            description: format!("What paper {n} is about."),
            summary: format!("Paper {n} is about the {}.", of(n)),
            tree: Vec::new(),
            contributions: vec![
                contribution(format!("concepts/few-{:05}", n / 4), false),
                contribution(format!("entities/own-{n:06}"), true),
            ],
        };
        Self { name, document, text, compiled }
    }

    fn ready(&self) -> Ready<'_> {
        Ready { name: &self.name, document: &self.document, text: &self.text, images: &[], compiled: &self.compiled }
    }
}

/// Stores documents as preparations do, and folds them in by one commit: how long the commit took.
fn add(base: &mut Base, home: &dyn Home, papers: &[Paper], clock: &SystemClock) -> (f64, Result<(), KbError>) {
    let objects = highwater_kb::base::Objects::of(home);
    for paper in papers {
        objects.put(paper.text.as_bytes()).expect("it is stored");
        fold::stage(objects, &paper.ready()).expect("it is stored");
    }
    let held = home.try_lock().expect("a lock").expect("nobody else is here");
    let begun = clock.elapsed();
    let done = base.commit(&held, clock.now(), "add", "papers", |draft| {
        papers.iter().try_for_each(|paper| fold::fold(draft, &paper.ready()))
    });
    ((clock.elapsed() - begun).as_secs_f64(), done.map(drop))
}

fn papers(from: u64, count: u64) -> Vec<Paper> {
    (from..from + count).map(Paper::new).collect()
}

fn by_library(dir: &Path, documents: u64, clock: &SystemClock) -> Vec<(bool, String)> {
    let root = dir.join("base");
    fs::create_dir(&root).expect("a directory");
    let (real, hasty): (Arc<dyn Home>, Arc<dyn Home>) =
        (Arc::new(Directory::open(&root).expect("a directory")), Between::open(&root, Does::LeavesSyncsOut));
    drop(Base::init(Arc::clone(&hasty), clock.now()).expect("a base"));
    let (mut limits, mut n, mut sizes) = (Vec::new(), 0, Vec::new());
    for size in SIZES.into_iter().filter(|size| *size < documents).chain([documents]) {
        let mut base = Base::open(Arc::clone(&hasty), clock.now()).expect("a base");
        while n < size {
            let count = GROUP.min(size - n);
            add(&mut base, &*hasty, &papers(n, count), clock).1.expect("it is committed");
            n += count;
        }
        drop(base);
        sizes.push((size, n, if size < documents { copied(&root, dir, size) } else { root.clone() }));
        settled(&root);
        if size == 1_000 || size == documents {
            limits.push(after_a_crash(&root, &mut n, size, clock));
        }
        if size == 1_000 {
            limits.push(against_the_bare_disk(dir, &root, &mut n, clock));
        }
    }
    // What was committed since in the largest.
    sizes.last_mut().expect("there is a size").1 = n;
    limits.extend(commits(&sizes, clock));
    limits.push(search(&real, n + ROUNDS_IN_TURNS, clock));
    limits
}

/// The base as it is now, in a place of its own.
fn copied(root: &Path, dir: &Path, size: u64) -> PathBuf {
    let copy = dir.join(format!("base-{size}"));
    assert!(Command::new("cp").arg("-a").arg(root).arg(&copy).status().expect("cp").success());
    copy
}

/// What was written without syncs is on the disk before anything is measured.
fn settled(root: &Path) {
    assert!(Command::new("sync").arg("-f").arg(root).status().expect("sync").success());
}

/// What one commit of one document takes in bases of each size, which go on with the next of their own papers, so that three in four say
/// something on a page that is there. Each round commits in all of them, one after the other, and begins with another: a disk that is slower
/// for a while is so for all.
fn commits(sizes: &[(u64, u64, PathBuf)], clock: &SystemClock) -> Vec<(bool, String)> {
    let open = |root: &PathBuf| {
        let home: Arc<dyn Home> = Arc::new(Directory::open(root).expect("a directory"));
        (Base::open(Arc::clone(&home), clock.now()).expect("a base"), home)
    };
    let mut bases: Vec<_> = sizes.iter().map(|(_, _, root)| open(root)).collect();
    let mut rounds = vec![Vec::new(); sizes.len()];
    for round in 0..ROUNDS_IN_TURNS {
        for turn in 0..sizes.len() {
            let which = (usize::try_from(round).expect("it is small") + turn) % sizes.len();
            let (base, home) = &mut bases[which];
            let (secs, done) = add(base, &**home, &papers(sizes[which].1 + round, 1), clock);
            done.expect("it is committed");
            rounds[which].push(secs);
        }
    }
    let medians: Vec<f64> = rounds.into_iter().map(limit::median).collect();
    let told = sizes.iter().zip(&medians).map(|((size, ..), secs)| {
        let growth = secs / medians[0];
        let told = format!(
            "kb: a commit of one document in a base of {size}: {:.1} ms, {growth:.2} of the smallest",
            secs * 1e3
        );
        println!("{told} (limit: {GROWTH_MAX}), median of {ROUNDS_IN_TURNS}, in turns");
        (growth <= GROWTH_MAX, format!("{told}, limit {GROWTH_MAX}"))
    });
    told.collect()
}

fn against_the_bare_disk(dir: &Path, root: &Path, n: &mut u64, clock: &SystemClock) -> (bool, String) {
    let home = Between::open(root, Does::WritesDown);
    let lent: Arc<dyn Home> = Arc::clone(&home) as Arc<dyn Home>;
    let mut base = Base::open(Arc::clone(&lent), clock.now()).expect("a base");
    let bare = dir.join("bare");
    fs::create_dir(&bare).expect("a directory");
    let mut bare = Bare::new(&bare);
    let mut asked = 0;
    let ratios: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let paper = papers(*n, 1);
            *n += 1;
            let objects = highwater_kb::base::Objects::of(&*lent);
            objects.put(paper[0].text.as_bytes()).expect("it is stored");
            fold::stage(objects, &paper[0].ready()).expect("it is stored");
            home.take();
            let (ours, done) = add(&mut base, &*lent, &paper, clock);
            done.expect("it is committed");
            let trace = home.take();
            asked = trace.len();
            bare.furnish(&trace);
            let begun = clock.elapsed();
            bare.ask(&trace);
            (ours, (clock.elapsed() - begun).as_secs_f64())
        })
        .collect();
    let ours = limit::median(ratios.iter().map(|(ours, _)| *ours));
    let ratio = limit::median(ratios.iter().map(|(ours, theirs)| ours / theirs));
    let told = format!(
        "kb: a commit of one document takes {:.1} ms, {ratio:.2} of the bare disk's {asked} operations",
        ours * 1e3
    );
    println!("{told} (limit: {BARE_RATIO_MAX}), median of {ROUNDS}");
    (ratio <= BARE_RATIO_MAX, format!("{told}, limit {BARE_RATIO_MAX}"))
}

fn after_a_crash(root: &Path, n: &mut u64, size: u64, clock: &SystemClock) -> (bool, String) {
    const TIMES: u64 = 5;
    let rounds: Vec<f64> = (0..TIMES)
        .map(|_| {
            let broken: Arc<dyn Home> = Between::open(root, Does::BreaksOff);
            let mut base = Base::open(Arc::clone(&broken), clock.now()).expect("a base");
            *n += 1;
            let (_, done) = add(&mut base, &*broken, &papers(*n - 1, 1), clock);
            assert!(matches!(done, Err(KbError::Unapplied { .. })), "{done:?}");
            drop((base, broken));
            let begun = clock.elapsed();
            let home: Arc<dyn Home> = Arc::new(Directory::open(root).expect("a directory"));
            let mut base = Base::open(Arc::clone(&home), clock.now()).expect("a base");
            let held = home.try_lock().expect("a lock").expect("nobody else is here");
            base.finish(&held).expect("it is finished").expect("there was something to finish");
            (clock.elapsed() - begun).as_secs_f64()
        })
        .collect();
    let secs = limit::median(rounds);
    let told = format!("kb: a base of {size} documents is open {:.0} ms after a crash", secs * 1e3);
    println!("{told} (limit: {:.0} ms), median of {TIMES}", OPEN_SECS_MAX * 1e3);
    (secs <= OPEN_SECS_MAX, format!("{told}, limit {:.0} ms", OPEN_SECS_MAX * 1e3))
}

fn search(home: &Arc<dyn Home>, documents: u64, clock: &SystemClock) -> (bool, String) {
    let asked = ["harbour tide", "paper 4711", "the surge and the sluice", "mooring", "gauge channel dyke line"];
    let mut slowest: f64 = 0.0;
    for words in asked {
        let rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begun = clock.elapsed();
                let snapshot = Snapshot::open(Arc::clone(home)).expect("a snapshot");
                assert!(!snapshot.search(words, 10).expect("an answer").is_empty(), "{words}");
                (clock.elapsed() - begun).as_secs_f64()
            })
            .collect();
        let secs = limit::median(rounds);
        println!("kb: a search for {words:?} in {documents} documents takes {:.1} ms", secs * 1e3);
        slowest = slowest.max(secs);
    }
    let told = format!("kb: the slowest search in {documents} documents takes {:.1} ms", slowest * 1e3);
    println!("{told} (limit: {:.0} ms), medians of {ROUNDS}", SEARCH_SECS_MAX * 1e3);
    (slowest <= SEARCH_SECS_MAX, format!("{told}, limit {:.0} ms", SEARCH_SECS_MAX * 1e3))
}

/// Bases and directories that whole processes work on.
fn by_processes(dir: &Path, files: u64, clock: &SystemClock) -> Vec<(bool, String)> {
    let ran = |arguments: &[&str]| {
        let mut call = Command::new(env!("CARGO_BIN_EXE_highwater"));
        call.args(arguments).args(["--quiet"]).current_dir(dir).stdout(Stdio::null());
        let begun = clock.elapsed();
        assert!(call.status().expect("it is started").success(), "{arguments:?}");
        (clock.elapsed() - begun).as_secs_f64()
    };
    let lay_out = |name: &str, count: u64| {
        fs::create_dir(dir.join(name)).expect("a directory");
        for n in 0..count {
            fs::write(dir.join(name).join(format!("paper-{n:05}.md")), Paper::new(n).text).expect("it is written");
        }
    };
    lay_out("together", TOGETHER);
    ran(&["kb", "init", "one"]);
    ran(&["kb", "init", "each"]);
    let together = ran(&["kb", "add", "together", "--kb", "one"]);
    let alone: f64 =
        (0..ALONE).map(|n| ran(&["kb", "add", &format!("together/paper-{n:05}.md"), "--kb", "each"])).sum::<f64>()
            * TOGETHER as f64
            / ALONE as f64;
    let ratio = alone / together;
    let told = format!(
        "kb: {TOGETHER} files are added in {together:.1} s; a process and a commit for each would take {alone:.0} s (by {ALONE} of them), {ratio:.0} times as long"
    );
    println!("{told} (limit: {TOGETHER_RATIO_MIN})");
    let mut limits = vec![(ratio >= TOGETHER_RATIO_MIN, format!("{told}, limit {TOGETHER_RATIO_MIN}"))];

    lay_out("many", files);
    ran(&["kb", "init", "large"]);
    let first = ran(&["kb", "add", "many", "--kb", "large"]);
    let again = limit::median((0..3).map(|_| ran(&["kb", "add", "many", "--kb", "large"])));
    let told = format!("kb: {files} files are added in {first:.1} s, and again in {again:.2} s");
    println!("{told} (limit: {AGAIN_SECS_MAX} s), median of 3");
    limits.push((again <= AGAIN_SECS_MAX, format!("{told}, limit {AGAIN_SECS_MAX} s")));
    limits
}
