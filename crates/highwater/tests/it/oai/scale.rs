//! The real scale: a repository of 125,585 headers and a catalogue that lacks 20,608 of its records, drained by passes of 500
//! contacts while everything goes wrong that does, and some of them are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_oai::catalog::{Access, Catalog};
use highwater_oai::protocol::{Datestamp, Granularity, Header, Record, Verb};
use highwater_oai::provider::{Generated, Memory, ProviderSettings, Repository, Served};
use jiff::SignedDuration;
use serde_json::Value;

use super::{FarSide, Lines, Pass, config, known};
use crate::inside::assert_sound;
use crate::rig::{Doomed, KILLED, Rig, dice, pause, wait_until};

const ACTIVE: u64 = 110_792;
const DELETED: u64 = 14_793;
/// Live there and not here.
const MISSING: usize = 20_608;
/// Deleted there and still here.
const STALE: usize = 7_267;
/// Here and unknown there.
const ORPHANS: u64 = 11;
/// Deleted there after they were found missing.
const GONE: usize = 40;
/// Loaded by another after they were found missing.
const PRESENT: usize = 25;
const PAGE_RECORDS: usize = 1000;
/// Of a pass, as the configuration says.
const CONTACTS: u64 = 500;
const PASSES_MAX: usize = 120;
/// What a kill may make a pass ask again: a group of outcomes that is being written, the next one, and what is in hand.
const LOST_ITEMS_MAX: u64 = 2 * 256 + 2;
const MEMORY_KIB_MAX: u64 = 100 * 1000 * 1000 / 1024;
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// Drained records whose content is held against the repository's.
const SAMPLE: usize = 300;

/// A repository, a catalogue that lacks some of it, and what both are.
struct Scale {
    rig: Rig,
    far: FarSide,
    repository: Arc<Memory>,
    /// Missing, in the order in which they are drained.
    missing: Vec<u64>,
    /// What the catalogue had before.
    here: BTreeSet<String>,
    memory_kib: u64,
}

impl Scale {
    fn new(dice: &mut Rng) -> Self {
        let books = Generated { live: ACTIVE, deleted: DELETED, ..Generated::default() };
        let repository = Arc::new(books.repository());
        let settings = ProviderSettings { page_size: PAGE_RECORDS, ..ProviderSettings::default() };
        let far = FarSide::of(Arc::clone(&repository) as Arc<dyn Repository>, settings);
        let own = format!(", identifier-prefix = \"{}\", page-time = \"1s\"", Generated::IDENTIFIER_PREFIX);
        let lines = Lines {
            repository: &own,
            backfill: "attempts-max = 2\nbudget.max-contacts = 500",
            resource: "fallback-ban = \"1s\"",
            ..Lines::default()
        };
        let rig = Rig::new(&config(&far.url(), lines));
        let (mut deleted, mut live): (Vec<u64>, Vec<u64>) = (1..=books.total()).partition(|n| books.is_deleted(*n));
        dice.shuffle(&mut live);
        dice.shuffle(&mut deleted);
        let mut missing = live.split_off(live.len() - MISSING);
        missing.sort_unstable_by(|a, b| b.cmp(a));
        deleted.truncate(STALE);
        let orphans = 900_000..900_000 + ORPHANS;
        let numbers: Vec<u64> = live.into_iter().chain(deleted).chain(orphans).collect();
        load(&rig, &numbers);
        let here = numbers.into_iter().map(Generated::identifier).collect();
        Self { rig, far, repository, missing, here, memory_kib: 0 }
    }

    fn identifiers(&self, range: std::ops::Range<usize>) -> Vec<String> {
        self.missing[range].iter().map(|number| Generated::identifier(*number)).collect()
    }

    /// A call that is killed once the far side was asked so often. False: what always goes wrong ended it before.
    fn killed_after(&self, args: &[&str], contacts: u64) -> bool {
        let asked = self.far.asked();
        let mut pass = self.rig.doom(args);
        wait_until("the contacts before a kill", || self.far.asked() >= asked + contacts || !pass.runs());
        let killed = pass.kill_9();
        assert!(matches!(killed.code, KILLED | 3), "{killed:?}");
        killed.code == KILLED
    }

    /// A pass that is killed while it waits a ban out: the next one knows of it.
    fn killed_while_banned(&mut self) {
        self.far.faults(&["429=2@verb:GetRecord,30"]);
        let pass = self.rig.doom(&["run", "backfill"]);
        wait_until("a ban", || self.rig.ok(&["bans"]).stdout.contains("far"));
        assert_eq!(pass.kill_9().code, KILLED);
        let asked = self.far.asked();
        let (next, _) = self.pass();
        assert_eq!((next.reason(), next.contacts(), self.far.asked()), ("banned_until", 0, asked), "{:?}", next.ended);
        self.rig.ok(&["lift", "far", "--why", "their word"]);
    }

    /// A pass to its end, and the bytes that it wrote.
    fn pass(&mut self) -> (Pass, u64) {
        let (ended, bytes) = self.watched(self.rig.doom(&["--json", "run", "backfill"]));
        (Pass { report: ended.json(), ended }, bytes)
    }

    fn watched(&mut self, mut call: Doomed) -> (crate::rig::Ended, u64) {
        let mut bytes = 0;
        while call.runs() {
            pause(LOOK_EVERY);
            let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", call.pid())).unwrap_or_default();
            self.memory_kib = self.memory_kib.max(figure(&proc("status"), "VmHWM:").unwrap_or(0));
            bytes = figure(&proc("io"), "write_bytes:").unwrap_or(bytes).max(bytes);
        }
        (call.end(), bytes)
    }

    /// Discovers, whatever comes between, and says what it found in the end.
    fn discover(&mut self, dice: &mut Rng) -> Value {
        let args = ["--json", "oai", "discover", "backfill"];
        let ends = |scale: &mut Self, code: i32, reason: &str| {
            let (ended, _) = scale.watched(scale.rig.doom(&args));
            assert_eq!((ended.code, ended.json()["report"]["reason"].as_str()), (code, Some(reason)), "{ended:?}");
            ended.json()
        };
        // While it lists, a refusal that names no time means an hour.
        self.far.faults(&["429=none@20"]);
        let banned = ends(self, 3, "banned_until");
        assert_eq!(banned["report"]["spent"]["contacts"], 20);
        let asked = self.far.asked();
        ends(self, 3, "banned_until");
        assert_eq!(self.far.asked(), asked, "no contact while it stands");
        self.rig.ok(&["lift", "far", "--why", "their word"]);
        self.far.faults(&["expired-token@4", "truncate@12"]);
        ends(self, 3, "network");
        self.far.faults(&["html@9"]);
        ends(self, 3, "network");
        self.far.faults(&[]);
        assert!(self.killed_after(&args, dice.u64(5..60)));
        ends(self, 0, "pinned")
    }
}

/// Loads records of these numbers into the catalogue.
fn load(rig: &Rig, numbers: &[u64]) {
    const METADATA: &str = "<oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
                            xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>A book</dc:title></oai_dc:dc>";
    let now = SystemClock::new().now();
    let datestamp = Datestamp::new(Generated::default().earliest, Granularity::Second);
    let record = |number: &u64| {
        let identifier = Generated::identifier(*number);
        let header = Header { identifier, datestamp, sets: Vec::new(), deleted: false };
        Record { header, metadata: Some(METADATA.to_owned()) }
    };
    std::fs::create_dir_all(rig.path(".highwater-state")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let catalog = Catalog::open(rig.path(".highwater-state/catalog.db"), now, Access::ReadWrite).unwrap();
        for chunk in numbers.chunks(4096) {
            catalog.load(chunk.iter().map(record).collect(), now).await.unwrap();
        }
        catalog.close().await.unwrap();
    });
}

fn figure(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// What goes wrong in one pass besides what always does; how long a refusal asks to wait, in seconds.
const TROUBLES: [(&str, i64); 8] = [
    ("429=1@verb:GetRecord,200", 1),
    ("429=date+2@verb:GetRecord,150", 2),
    ("429=none@verb:GetRecord,100", 1),
    ("503=1@verb:GetRecord,50", 1),
    ("html@verb:GetRecord,300", 0),
    ("truncate@verb:GetRecord,250", 0),
    ("cut@verb:GetRecord,350", 0),
    ("429=1h@verb:GetRecord,400", LONG_SECS),
];
/// How often each of them is met.
const ROUNDS: usize = 1;
/// A ban that is not waited out but lifted.
const LONG_SECS: i64 = 3600;

#[test]
fn twenty_thousand_records_are_drained_through_every_trouble_and_asked_for_once() {
    let mut dice = dice("twenty_thousand_records_are_drained_through_every_trouble_and_asked_for_once");
    let clock = SystemClock::new();
    let mut scale = Scale::new(&mut dice);
    let seeded = clock.elapsed();

    let said = scale.discover(&mut dice);
    let difference = ["active", "deleted", "have", "missing", "stale", "orphans"].map(|name| &said["difference"][name]);
    let here = scale.here.len() as u64;
    assert_eq!(difference, [ACTIVE, DELETED, here, MISSING as u64, STALE as u64, ORPHANS]);
    let lists = scale.rig.path(".highwater-state/oai/backfill");
    for (list, count) in [("missing", MISSING), ("stale", STALE), ("orphans", 11)] {
        let csv = std::fs::read_to_string(lists.join(format!("{list}.csv"))).unwrap();
        assert_eq!(csv.lines().count(), 1 + count, "{list}");
    }
    let discovered = clock.elapsed();

    // What became of some of them meanwhile, and some that are poison; all beyond where the breaker begins to judge.
    let gone = scale.identifiers(8_000..8_000 + GONE);
    for identifier in &gone {
        assert!(scale.repository.delete(identifier, SystemClock::new().now()));
    }
    let present = 9_000..9_000 + PRESENT;
    load(&scale.rig, &scale.missing[present.clone()]);
    let [broken, other, always_500, hangs] = [2_000, 15_000, 3_000, 5_000].map(|at: usize| scale.missing[at]);
    let always = [
        format!("poison-xml=/{broken}@verb:GetRecord"),
        format!("poison-xml=/{other}@verb:GetRecord"),
        format!("poison-500=/{always_500}"),
        format!("hang@id:/{hangs}"),
    ];

    let began = scale.far.requests().len();
    scale.killed_while_banned();
    let mut troubles = TROUBLES.iter().cycle().take(ROUNDS * TROUBLES.len()).peekable();
    let (mut kills, mut passes) = (1, Vec::new());
    let mut waits: BTreeMap<usize, i64> = BTreeMap::from([(began, 0)]);
    for number in 0.. {
        assert!(number < PASSES_MAX, "it does not come to its end");
        let always = always.iter().map(String::as_str);
        if number % 3 == 2 && scale.far.asked() - (began as u64) < MISSING as u64 - 2 * CONTACTS {
            scale.far.faults(&always.collect::<Vec<_>>());
            kills += u64::from(scale.killed_after(&["--json", "run", "backfill"], dice.u64(1..CONTACTS)));
            continue;
        }
        let trouble = troubles.peek().copied();
        scale.far.faults(&always.chain(trouble.map(|(fault, _)| *fault)).collect::<Vec<_>>());
        let wait_secs = trouble.map_or(0, |(_, secs)| *secs);
        let before = scale.far.requests().len();
        waits.insert(before, wait_secs);
        let (pass, bytes) = scale.pass();
        assert!(matches!(pass.code(), 0 | 3), "{:?}", pass.ended);
        // One that always goes wrong may have come first.
        let is = |name: &str| trouble.is_some_and(|(fault, _)| fault.split(['=', '@']).next() == Some(name));
        if scale.far.requests()[before..].iter().any(|asked| asked.faults.iter().any(|name| is(name))) {
            troubles.next();
        }
        if pass.reason() == "banned_until" && wait_secs == LONG_SECS {
            let asked = scale.far.asked();
            let (again, _) = scale.pass();
            assert_eq!((again.reason(), again.contacts(), scale.far.asked()), ("banned_until", 0, asked));
            scale.rig.ok(&["lift", "far", "--why", "their word"]);
        }
        assert!(
            pass.contacts() < CONTACTS || pass.report["spent"]["bytes"].as_u64() > Some(CONTACTS),
            "they are counted"
        );
        let drained = pass.code() == 0;
        passes.push((pass, bytes));
        if drained {
            break;
        }
    }
    let drained = clock.elapsed();

    let (last, _) = passes.last().unwrap();
    assert_eq!(last.reason(), "drained", "{:?}", last.ended);
    let tally = ["total", "done", "gone", "present", "review", "retry"].map(|name| &last.report["tally"][name]);
    let done = MISSING - GONE - PRESENT - 4;
    assert_eq!(tally, [MISSING, done, GONE, PRESENT, 4, 0].map(|n| n as u64));
    let mut review = scale.rig.oai_items("backfill", &["--outcome", "review"]);
    review.sort_by_key(|item| item["key"].as_str().map(str::to_owned));
    let mut poison = [broken, other, always_500, hangs].map(|number| number.to_string());
    poison.sort();
    assert_eq!(review.iter().map(|item| item["key"].as_str().unwrap()).collect::<Vec<_>>(), poison);

    assert_sound(&scale.rig.path(".highwater-state/ledger.db"));
    is_here_once(&scale, &mut dice, &gone, &poison.map(|number| format!("{}{number}", Generated::IDENTIFIER_PREFIX)));
    let requests = &scale.far.requests()[began..];
    no_contact_while_banned(began, requests, &waits);
    let struck = requests.iter().filter(|asked| !asked.faults.is_empty()).count();
    let again = asked_again(requests);
    let items = MISSING - PRESENT;
    let figures = figures_of(&passes);
    eprintln!(
        "{items} items, {} contacts: {struck} met a fault, {again} were asked again after {kills} kills; {} other passes; \
         at most {} KiB; {figures:?}; seeded in {seeded:?}, discovered at {discovered:?}, drained at {drained:?}, \
         looked through at {:?}",
        requests.len(),
        passes.len(),
        scale.memory_kib,
        clock.elapsed()
    );
    assert!(requests.len() <= items + struck + again, "{} contacts", requests.len());
    assert!(again as u64 <= kills * LOST_ITEMS_MAX, "{again} asked again after {kills} kills");
    assert!(kills >= 10, "{kills}");
    assert!(scale.memory_kib < MEMORY_KIB_MAX, "{} KiB", scale.memory_kib);
    let [first, last] = figures;
    assert!((0.75..=1.25).contains(&(last / first)), "{first:.0} bytes an item at first, {last:.0} at last");

    let asked = scale.far.asked();
    let (again, _) = scale.pass();
    assert_eq!((again.code(), again.reason(), scale.far.asked()), (0, "already_drained", asked));
}

/// Everything that was here, and everything that was drained, each once, and drained records are as they are there.
fn is_here_once(scale: &Scale, dice: &mut Rng, gone: &[String], poison: &[String]) {
    let mut expected = scale.here.clone();
    let drained: Vec<String> = scale.identifiers(0..MISSING);
    expected.extend(drained.iter().filter(|id| !gone.contains(id) && !poison.contains(id)).cloned());
    let now = SystemClock::new().now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let path = scale.rig.path(".highwater-state/catalog.db");
        let catalog = Catalog::open(path, now, Access::ReadOnly).unwrap();
        let checked = catalog.check().await.unwrap();
        assert!(checked.iter().all(|line| line.ok), "{checked:?}");
        assert_eq!(catalog.figures().await.unwrap().live, expected.len() as u64);
        let mut after: Option<String> = None;
        let mut expected = expected.iter();
        loop {
            let page = catalog.live_ids(after.as_deref(), 10_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for identifier in &page {
                assert_eq!(expected.next(), Some(identifier));
            }
        }
        assert_eq!(expected.next(), None);
        for _ in 0..SAMPLE {
            let identifier = &drained[dice.usize(..drained.len())];
            if gone.contains(identifier) || poison.contains(identifier) || scale.was_loaded_by_another(identifier) {
                continue;
            }
            let here = catalog.record(identifier).await.unwrap().unwrap();
            let there = scale.repository.record(identifier, "oai_dc").await.unwrap().unwrap();
            assert_eq!(known(&here), known(&there), "{identifier}");
        }
    });
}

impl Scale {
    fn was_loaded_by_another(&self, identifier: &str) -> bool {
        self.missing[9_000..9_000 + PRESENT].iter().any(|number| Generated::identifier(*number) == identifier)
    }
}

/// After each refusal nothing came for as long as it said; `waits` tells from which request on it says so many seconds.
fn no_contact_while_banned(began: usize, requests: &[Served], waits: &BTreeMap<usize, i64>) {
    let mut refusals = 0;
    for (at, pair) in requests.windows(2).enumerate() {
        if !matches!(pair[0].status, Some(429 | 503)) {
            continue;
        }
        let (_, said) = waits.range(..=began + at).next_back().unwrap();
        // One that was lifted is over, and that nobody came before is shown where it is.
        if matches!(*said, 0 | LONG_SECS) {
            continue;
        }
        refusals += 1;
        let waited = pair[1].at.duration_since(pair[0].at);
        assert!(waited >= SignedDuration::from_secs(*said), "{waited:?} after {:?}: {:?}", pair[0], pair[1]);
    }
    assert_eq!(refusals, 4 * ROUNDS, "{refusals}");
}

/// How many records were asked for again although they had been answered.
fn asked_again(requests: &[Served]) -> usize {
    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for asked in requests.iter().filter(|asked| asked.faults.is_empty() && asked.verb == Some(Verb::GetRecord)) {
        *answered.entry(asked.identifier.as_deref().unwrap()).or_default() += 1;
    }
    answered.values().map(|times| times - 1).sum()
}

/// Bytes written for an item, in the first and in the last whole passes.
fn figures_of(passes: &[(Pass, u64)]) -> [f64; 2] {
    let whole: Vec<f64> = passes
        .iter()
        .filter(|(pass, _)| pass.reason() == "budget_contacts" && pass.contacts() == CONTACTS)
        .map(|(_, bytes)| *bytes as f64 / CONTACTS as f64)
        .collect();
    assert!(whole.len() >= 10, "{whole:?}");
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let share = whole.len() / 3;
    [mean(&whole[..share]), mean(&whole[whole.len() - share..])]
}
