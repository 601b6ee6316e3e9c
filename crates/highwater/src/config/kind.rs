//! The kinds of job this binary has. Owns the list: a kind is one variant of [`KindSettings`], one line in [`KINDS`]
//! and one arm in each method below; its fields belong to the crate that runs it.

use std::path::Path;

use highwater_engine::exec::settings::ExecSettings;
use highwater_engine::settings::{
    AdvisoryKeyText, BudgetSettings, CommandLine, Concurrency, Count, DatabaseUrl, DurationText, JobSettings, Percent,
    Problem,
};
use highwater_episodes::reindex::ReindexSettings;
use highwater_episodes::ship::ShipSettings;
use highwater_kb::add::KbAddSettings;
use highwater_oai::settings::{BackfillSettings, HarvestSettings};
use highwater_rollup::settings::RollupSettings;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::de::DeTable;

use super::fields::{Field, fields_of, schema_of};
use super::read::Reader;
use super::source::FieldPath;

/// The fields of a job that belong to its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KindSettings {
    /// Any command.
    Exec(ExecSettings),
    /// A target kept in step with a repository.
    OaiHarvest(HarvestSettings),
    /// What a target lacks of a repository.
    OaiBackfill(BackfillSettings),
    /// An aggregate table, seeded and kept in step.
    Rollup(Box<RollupSettings>),
    /// A host's episodes to their receiver.
    Ship(Box<ShipSettings>),
    /// Rows for stored episodes that have none.
    Reindex(ReindexSettings),
    /// Documents into a knowledge base.
    KbAdd(KbAddSettings),
}

/// Every kind, in the order of the reference.
pub(super) const KINDS: &[Kind] = &[
    Kind::of::<ExecSettings>("exec"),
    Kind::of::<HarvestSettings>("oai-harvest"),
    Kind::of::<BackfillSettings>("oai-backfill"),
    Kind::of::<RollupSettings>("rollup"),
    Kind::of::<ShipSettings>("ship"),
    Kind::of::<ReindexSettings>("reindex"),
    Kind::of::<KbAddSettings>("kb-add"),
];

/// The kinds whose items are slices of time, so that `set slice=…` means something to them.
const SLICED: &[&str] = &["oai-harvest", "rollup"];
/// The kinds that upload, so that `set bandwidth=…` means something to them.
const UPLOADING: &[&str] = &["ship"];

/// Whether jobs of a kind upload.
pub(crate) fn uploads(kind: &str) -> bool {
    UPLOADING.contains(&kind)
}

/// Whether jobs of a kind work in slices of time.
pub(crate) fn works_in_slices(kind: &str) -> bool {
    SLICED.contains(&kind)
}

/// How long a harvest waits for its lock, in minutes: a pass of a backfill ends sooner.
const HARVEST_LOCK_WAIT_MINS: u64 = 45;
/// What a pass of a backfill may spend, in contacts.
const BACKFILL_CONTACTS: u64 = 500;
/// The delay between contacts with an OAI-PMH repository, in seconds.
const OAI_PACE_SECS: u64 = 3;

impl KindSettings {
    /// The name in `kind = "…"`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::OaiHarvest(_) => "oai-harvest",
            Self::OaiBackfill(_) => "oai-backfill",
            Self::Rollup(_) => "rollup",
            Self::Ship(_) => "ship",
            Self::Reindex(_) => "reindex",
            Self::KbAdd(_) => "kb-add",
        }
    }

    pub(super) fn resolve(&mut self, base: &Path) {
        match self {
            Self::Exec(settings) => settings.resolve(base),
            Self::OaiHarvest(settings) => settings.resolve(base),
            Self::OaiBackfill(settings) => settings.resolve(base),
            Self::Rollup(settings) => settings.resolve(base),
            Self::Ship(settings) => settings.resolve(base),
            Self::Reindex(settings) => settings.resolve(base),
            Self::KbAdd(settings) => settings.resolve(base),
        }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Exec(settings) => settings.problems(),
            Self::OaiHarvest(settings) => settings.problems(),
            Self::OaiBackfill(settings) => settings.problems(),
            Self::Rollup(settings) => settings.problems(),
            Self::Ship(settings) => settings.problems(),
            Self::Reindex(settings) => settings.problems(),
            Self::KbAdd(settings) => settings.problems(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Json> {
        match self {
            Self::Exec(settings) => serde_json::to_value(settings),
            Self::OaiHarvest(settings) => serde_json::to_value(settings),
            Self::OaiBackfill(settings) => serde_json::to_value(settings),
            Self::Rollup(settings) => serde_json::to_value(settings),
            Self::Ship(settings) => serde_json::to_value(settings),
            Self::Reindex(settings) => serde_json::to_value(settings),
            Self::KbAdd(settings) => serde_json::to_value(settings),
        }
    }

    /// The commands that it starts: the field, the command, its directory where that is not the file's.
    pub(crate) fn commands(&self) -> Vec<(&'static str, &CommandLine, Option<&Path>)> {
        match self {
            Self::Exec(exec) => vec![("command", &exec.command, exec.directory.as_deref())],
            Self::OaiHarvest(HarvestSettings { target, .. }) | Self::OaiBackfill(BackfillSettings { target, .. }) => {
                let load = target.as_ref().map(|target| ("target.load", &target.load, None));
                let have = target
                    .as_ref()
                    .and_then(|target| Some(("target.have-command", target.have_command.as_ref()?, None)));
                load.into_iter().chain(have).collect()
            }
            Self::Rollup(_) | Self::Ship(_) | Self::Reindex(_) | Self::KbAdd(_) => Vec::new(),
        }
    }

    /// What the fields of every job are by default in this kind, where that is not what they are in others; `is_set` tells which
    /// of them the file has.
    pub(super) fn settle_defaults(&self, settings: &mut JobSettings, is_set: impl Fn(&str) -> bool) {
        let of_oai = matches!(self, Self::OaiHarvest(_) | Self::OaiBackfill(_));
        if of_oai && !is_set("concurrency") {
            // Repositories are asked one thing at a time.
            settings.concurrency = Concurrency::new(1).expect("invariant: one is within the bounds");
        }
        match self {
            Self::Exec(_) | Self::Reindex(_) => {}
            Self::KbAdd(_) => {
                if !is_set("breaker.failed") {
                    // A document that cannot be read is its own fault. What would befall all of them ends the pass.
                    settings.breaker.failed = Percent::whole(100);
                }
                if !is_set("breaker.gone") {
                    // Nor does a file that went since it was listed take anything with it: its document stays in the base.
                    settings.breaker.gone = Percent::whole(100);
                }
            }
            Self::OaiHarvest(_) => {
                if !is_set("recurring") {
                    settings.recurring = true;
                }
                if !is_set("lock-wait") {
                    settings.lock_wait = DurationText::secs(HARVEST_LOCK_WAIT_MINS * 60);
                }
            }
            Self::OaiBackfill(_) => {
                if !is_set("budget.max-contacts") {
                    let max_contacts = Count::new(BACKFILL_CONTACTS);
                    settings.budget = BudgetSettings { max_contacts, ..settings.budget.clone() };
                }
            }
            Self::Ship(_) => {
                if !is_set("recurring") {
                    // There is always another episode to come.
                    settings.recurring = true;
                }
                if !is_set("breaker.failed") {
                    // A round is often one episode, and one that is parked holds up no other. What would befall all of them is
                    // the shipper's to notice.
                    settings.breaker.failed = Percent::whole(100);
                }
            }
            Self::Rollup(_) => {
                if !is_set("recurring") {
                    // Seeded, it ticks.
                    settings.recurring = true;
                }
                if !is_set("concurrency") {
                    // There is one session.
                    settings.concurrency = Concurrency::new(1).expect("invariant: one is within the bounds");
                }
            }
        }
    }

    /// The database that the job works in, whose sessions its lock may be.
    pub(crate) fn database(&self) -> Option<&DatabaseUrl> {
        match self {
            Self::Rollup(settings) => Some(&settings.database),
            _ => None,
        }
    }

    /// The key of the advisory lock of a job in PostgreSQL that names no resource.
    pub(super) fn default_lock_key(&self) -> Option<AdvisoryKeyText> {
        match self {
            Self::Rollup(settings) if settings.database.expose().starts_with("postgres") => {
                let table = settings.target.as_ref().or(settings.watermark.as_ref().map(|at| &at.table))?;
                AdvisoryKeyText::new(&format!("highwater.rollup.{table}"))
            }
            _ => None,
        }
    }

    /// The delay between contacts of a resource that says none.
    pub(super) fn default_pace(&self) -> Option<DurationText> {
        match self {
            Self::Exec(_) | Self::Rollup(_) | Self::Ship(_) | Self::Reindex(_) | Self::KbAdd(_) => None,
            Self::OaiHarvest(_) | Self::OaiBackfill(_) => Some(DurationText::secs(OAI_PACE_SECS)),
        }
    }
}

impl From<ExecSettings> for KindSettings {
    fn from(settings: ExecSettings) -> Self {
        Self::Exec(settings)
    }
}

impl From<HarvestSettings> for KindSettings {
    fn from(settings: HarvestSettings) -> Self {
        Self::OaiHarvest(settings)
    }
}

impl From<ReindexSettings> for KindSettings {
    fn from(settings: ReindexSettings) -> Self {
        Self::Reindex(settings)
    }
}

impl From<KbAddSettings> for KindSettings {
    fn from(settings: KbAddSettings) -> Self {
        Self::KbAdd(settings)
    }
}

impl From<ShipSettings> for KindSettings {
    fn from(settings: ShipSettings) -> Self {
        Self::Ship(Box::new(settings))
    }
}

impl From<RollupSettings> for KindSettings {
    fn from(settings: RollupSettings) -> Self {
        Self::Rollup(Box::new(settings))
    }
}

impl From<BackfillSettings> for KindSettings {
    fn from(settings: BackfillSettings) -> Self {
        Self::OaiBackfill(settings)
    }
}

/// What the configuration knows of a kind without having a job of it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) fields: fn() -> Vec<Field>,
    pub(super) schema: fn() -> Json,
    pub(super) read: Read,
}

type Read = for<'i> fn(&mut Reader<'_>, &[Field], DeTable<'i>, &FieldPath, u64) -> Option<KindSettings>;

impl Kind {
    const fn of<T: DeserializeOwned + JsonSchema + Into<KindSettings>>(name: &'static str) -> Self {
        Self {
            name,
            fields: fields_of::<T>,
            schema: schema_of::<T>,
            read: |reader, fields, table, at, line| reader.read::<T>(fields, table, at, line).map(Into::into),
        }
    }

    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}
