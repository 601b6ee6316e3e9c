//! Every misbehaviour of a repository that the client survives, through real passes: what becomes of the records, what it costs
//! the far side, and what the person is told. A story is one line a pass: its exit code, its contacts, its words.

mod lists;
mod pages;
mod refusals;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_oai::provider::{Generated, Memory, ProviderSettings, Repository};
use insta::internals::SettingsBindDropGuard;
use jiff::SignedDuration;

use super::{FarSide, Lines, assert_the_same, config, in_catalog, in_repository};
use crate::rig::Rig;

const LIVE: u64 = 24;
const DELETED: u64 = 3;
/// So that a list of all has six pages, the last of two records.
const PAGE_SIZE: usize = 5;
/// Contacts of a harvest that nothing happens to: what the repository says of itself, and the pages.
const CALM_HARVEST: u64 = 1 + 6;
/// Of a backfill: the pages of its crawl, and each live record.
const CALM_BACKFILL: u64 = 6 + LIVE;
/// A breaker that a few bad records do not trip.
const LENIENT: &str = "breaker = { failed = \"100%\", gone = \"100%\" }";

/// A repository that misbehaves, and a place that harvests it.
struct Story {
    far: FarSide,
    repository: Arc<Memory>,
    rig: Rig,
    _shown: SettingsBindDropGuard,
}

/// What differs from call to call, and what is shown instead.
const SHOWN: [(&str, &str); 4] = [
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z\.\.(\d{4}-\d\d-\d\dT[\d:.]+Z)?", "[SLICE]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[TIME]"),
    (r" in [\d.]+ ?m?s;", ";"),
    (r"after \d+ bytes|at byte \d+", "after [N] bytes"),
];

impl Story {
    /// A repository of a week's books, so that a first harvest is one slice.
    fn new() -> Self {
        Self::with(Lines::default())
    }

    fn with(lines: Lines<'_>) -> Self {
        let earliest = SystemClock::new().now() - SignedDuration::from_hours(7 * 24);
        let generated = Generated { live: LIVE, deleted: DELETED, earliest, spacing: Duration::from_secs(3600) };
        Self::of(generated.repository(), lines)
    }

    fn of(repository: Memory, lines: Lines<'_>) -> Self {
        let repository = Arc::new(repository);
        let settings = ProviderSettings { page_size: PAGE_SIZE, ..ProviderSettings::default() };
        let far = FarSide::of(Arc::clone(&repository) as Arc<dyn Repository>, settings);
        let rig = Rig::new(&config(&far.url(), lines));
        let mut settings = insta::Settings::clone_current();
        SHOWN.iter().for_each(|(what, shown)| settings.add_filter(what, *shown));
        Self { far, repository, rig, _shown: settings.bind_to_scope() }
    }

    /// So many passes of a job, the repository doing so from the first on.
    fn passes(&self, job: &str, faults: &[&str], passes: usize) -> String {
        self.far.faults(faults);
        let mut story = String::new();
        for _ in 0..passes {
            let before = self.far.asked();
            let ended = self.rig.run(&["run", job]);
            let contacts = self.far.asked() - before;
            let said = self.plain(&format!("{}{}", ended.stdout, ended.stderr));
            // Progress is said by the clock.
            let of_progress = |line: &&str| line.starts_with(&format!("{job}: ")) && line.ends_with(" %)");
            let said: Vec<_> = said.lines().filter(|line| !of_progress(line)).collect();
            let _ = writeln!(story, "exit {}, contacts {contacts}: {}", ended.code, said.join("\n"));
        }
        story
    }

    /// What `items` shows of those that are not as they should be.
    fn items(&self, job: &str, outcome: &str) -> String {
        let items = self.rig.oai_items(job, &["--outcome", outcome]);
        let line = |item: &serde_json::Value| {
            let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
            self.plain(&format!("{}: {}\n", text("key"), text("detail")))
        };
        items.iter().map(line).collect()
    }

    /// Without the address.
    fn plain(&self, said: &str) -> String {
        said.replace(&self.far.url(), "[URL]")
    }

    /// The catalogue is what the repository is.
    async fn is_whole(&self) {
        assert_the_same(&self.rig.path(".highwater-state/catalog.db"), &*self.repository).await;
    }

    /// Every record is here, whatever became of its letters.
    async fn has_all(&self) {
        let here = in_catalog(&self.rig.path(".highwater-state/catalog.db")).await;
        let there = in_repository(&*self.repository).await;
        let names = |known: &std::collections::BTreeMap<String, super::Known>| {
            known.iter().map(|(id, (deleted, ..))| (id.clone(), *deleted)).collect::<Vec<_>>()
        };
        assert_eq!(names(&here), names(&there));
    }

    /// So many records are here.
    async fn has(&self, records: usize) {
        assert_eq!(in_catalog(&self.rig.path(".highwater-state/catalog.db")).await.len(), records);
    }
}
