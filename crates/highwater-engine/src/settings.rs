//! The settings every kind of job shares, one struct per module of the engine, as they stand in `highwater.toml`.
//! Owns fields, bounds, defaults and what each field means (the doc comments become `docs/config.md` and the JSON
//! Schema); does not own reading the file, which is the binary's, nor the fields of a kind, which are the kind's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ResourceName;
use crate::notify::DELIVERY_SECS_MAX;
use crate::throttle::{THROTTLE_EVERY_SECS, THROTTLE_WAIT_SECS};

mod duration;
mod percent;
mod place;
mod rate;
mod size;
mod text;
mod throttle;
mod whole;
mod words;

pub use duration::{DURATION_DAYS_MAX, DurationText};
pub use percent::Percent;
pub use place::{AdvisoryKeyText, DatabaseUrl, FilePath, HttpUrl, LockAddress};
pub use rate::{ByteRate, RATE_BYTES_MIN};
pub use size::ByteSize;
pub use text::ValueError;
pub use throttle::{Limit, SignalKind, ThrottleSettings};
pub use whole::{COUNT_MAX, Concurrency, Count, Whole};
pub use words::{CommandLine, SecretText};

/// Something wrong with a settings struct as a whole that no single value shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field to point at, within its struct: `repository.set`, `throttle[0].path`.
    pub field: Cow<'static, str>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub next: String,
}

impl Problem {
    /// A problem with a field.
    #[must_use]
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), next: next.into() }
    }
}

/// What passes compete for or must be polite to: its lock, its pace and its bans.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResourceSettings {
    /// The lock. `file:PATH`: flock(2), shared with every program that locks the same path. `postgres:KEY`: an advisory lock by
    /// number, or by a name that stands for the first eight bytes of its SHA-256. Absent: a file of the resource's own in the
    /// state directory.
    pub lock: Option<LockAddress>,
    /// The PostgreSQL database of a `postgres:` lock. Absent: the one of the jobs that name the resource.
    pub lock_database: Option<DatabaseUrl>,
    /// Takes the lock on a network file system too, where flock(2) may not hold between hosts.
    pub allow_network_fs: bool,
    /// The wait between two contacts.
    pub pace: DurationText,
    /// How much of the pace is random, up and down, so that hosts do not fall into step.
    pub jitter: Percent,
    /// A ban no longer than this is waited out once within the pass; a longer one ends the pass.
    pub max_retry_after: DurationText,
    /// The ban that an absent or unreadable `Retry-After` means.
    pub fallback_ban: DurationText,
    /// The longest ban taken from a `Retry-After`; a longer one is cut to this.
    pub ban_max: DurationText,
    /// A file that holds the ban as one RFC 3339 line, shared with programs that keep no ledger: the later of file and ledger
    /// counts, and both are extended. Absent: none.
    pub ban_file: Option<FilePath>,
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self {
            lock: None,
            lock_database: None,
            allow_network_fs: false,
            pace: DurationText::secs(0),
            jitter: Percent::whole(20),
            max_retry_after: DurationText::secs(5 * 60),
            fallback_ban: DurationText::secs(60),
            ban_max: DurationText::days(30),
            ban_file: None,
        }
    }
}

impl ResourceSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(lock) = &mut self.lock {
            lock.resolve(base);
        }
        if let Some(file) = &mut self.ban_file {
            file.resolve(base);
        }
    }
}

/// When a job halts until a person re-arms it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BreakerSettings {
    /// The share of judged items that may fail (`review`, and `retry` that counted an attempt).
    pub failed: Percent,
    /// Judge failures from this many items on; at the end of a shorter worklist more than half must fail, or more than `failed`
    /// where that is more.
    pub failed_after: Count,
    /// The share of judged items that may be `gone`.
    pub gone: Percent,
    /// Judge `gone` from this many items on; at the end of a shorter worklist more than half must be gone, or more than `gone` where that is more.
    pub gone_after: Count,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failed: Percent::whole(5),
            failed_after: Count::of(50),
            gone: Percent::whole(30),
            gone_after: Count::of(100),
        }
    }
}

/// What one pass may spend; it ends as a checkpoint (exit 3) when the first of these is gone.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetSettings {
    /// Items. Absent: no limit.
    pub max_items: Option<Count>,
    /// Contacts with the far side. Absent: no limit.
    pub max_contacts: Option<Count>,
    /// Bytes read from or sent to the far side. Absent: no limit.
    pub max_bytes: Option<ByteSize>,
    /// Time of the pass. Absent: no limit.
    pub max_time: Option<DurationText>,
}

/// Most outcomes in one durable group.
pub const RECORD_ITEMS_MAX: u64 = 4_096;
/// Most attempts a setting grants an item.
pub const ATTEMPTS_MAX: u64 = 1_000;

/// Shortest time that a pass waits for its signals, in seconds: until they were first read, the throttle is closed.
pub const THROTTLE_WAIT_SECS_MIN: u64 = 1;
/// Shortest time between two readings of a signal, in milliseconds.
pub const THROTTLE_EVERY_MS_MIN: u64 = 100;

/// A named backlog: what every kind of job takes. `kind` itself is read by whoever knows the kinds.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobSettings {
    /// The resources whose locks, bans and pace a pass takes, as declared in `[resource.NAME]`. Absent: one of the
    /// job's own.
    #[schemars(schema_with = "resource_names")]
    pub resources: Vec<ResourceName>,
    /// `false` keeps the job from running on this host: a pass ends at once (exit 3, `disarmed`) and `--all` skips it.
    pub armed: bool,
    /// `true`: each pass resumes the open worklist or pins a new round. `false`: drained is an end.
    pub recurring: bool,
    /// How many items are prepared at once; commits stay in plan order.
    pub concurrency: Concurrency,
    /// How many bytes of prepared items may wait for their commit.
    pub prefetch_bytes: ByteSize,
    /// Outcomes are made durable in groups of at most this many; 1 makes each durable on its own.
    pub record_items: Whole<1, RECORD_ITEMS_MAX>,
    /// An outcome waits at most this long for its group to fill.
    pub record_delay: DurationText,
    /// How long a pass waits for a lock; waiting leaves a ticket, to which passes that do not wait yield.
    pub lock_wait: DurationText,
    /// What one pass may spend.
    pub budget: BudgetSettings,
    /// When the job halts.
    pub breaker: BreakerSettings,
    /// After this many counted attempts an item that still fails becomes `review`.
    pub attempts_max: Whole<1, ATTEMPTS_MAX>,
    /// Where `.done` and `.halted` are kept for those who know an older wrapper: a directory, or the path they are appended
    /// to. A person's hand counts: deleting `.halted` re-arms the job, making it halts; deleting `.done` opens a finite job
    /// again. Absent: none.
    pub markers: Option<FilePath>,
    /// Notify `silent` when nothing was drained for this long. Absent: never.
    pub silent_after: Option<DurationText>,
    /// How often the signals of `[[job.NAME.throttle]]` are read.
    pub throttle_every: DurationText,
    /// How long they may keep the throttle closed before the pass ends as a checkpoint (exit 3, `throttled`).
    pub throttle_wait: DurationText,
    /// Signals that slow the job down, each with its limit; the worst decides, and one that cannot be read is the worst.
    pub throttle: Vec<ThrottleSettings>,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            armed: true,
            recurring: false,
            concurrency: Concurrency::of(2),
            prefetch_bytes: ByteSize::mib(64),
            record_items: Whole::of(256),
            record_delay: DurationText::millis(100),
            lock_wait: DurationText::secs(0),
            budget: BudgetSettings::default(),
            breaker: BreakerSettings::default(),
            attempts_max: Whole::of(5),
            markers: None,
            silent_after: None,
            throttle_every: DurationText::secs(THROTTLE_EVERY_SECS),
            throttle_wait: DurationText::secs(THROTTLE_WAIT_SECS),
            throttle: Vec::new(),
        }
    }
}

impl JobSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(markers) = &mut self.markers {
            markers.resolve(base);
        }
        self.throttle.iter_mut().for_each(|throttle| throttle.resolve(base));
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, throttle) in self.throttle.iter().enumerate() {
            problems.extend(throttle.problems(&format!("throttle[{index}]")));
        }
        if self.throttle_every.get() < Duration::from_millis(THROTTLE_EVERY_MS_MIN) {
            problems.push(Problem::new(
                "throttle-every",
                format!("found {}, expected at least {THROTTLE_EVERY_MS_MIN}ms", self.throttle_every),
                "correct it, or remove it for the default",
            ));
        }
        if self.throttle_wait.get() < Duration::from_secs(THROTTLE_WAIT_SECS_MIN) {
            problems.push(Problem::new(
                "throttle-wait",
                format!("found {}, expected at least {THROTTLE_WAIT_SECS_MIN}s", self.throttle_wait),
                "correct it, or remove it for the default",
            ));
        }
        problems
    }
}

fn resource_names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "title": "list of names",
        "items": {"type": "string", "minLength": 1},
        "uniqueItems": true,
    })
}

/// A webhook or command that is told about changes, once per change.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotifySettings {
    /// Where to POST. Exactly one of `url` and `command`.
    pub url: Option<HttpUrl>,
    /// What to start, with the message as JSON on stdin. Exactly one of `url` and `command`.
    pub command: Option<CommandLine>,
    /// The shape of the message.
    pub template: NotifyTemplate,
    /// Which changes are told.
    pub on: Vec<NotifyEvent>,
    /// The time a delivery may take before it counts as failed and is tried again: at most 30 seconds, for which a pass that has
    /// ended waits.
    pub timeout: DurationText,
    /// Headers of the request, such as `Authorization`.
    pub headers: BTreeMap<String, SecretText>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            url: None,
            command: None,
            template: NotifyTemplate::default(),
            on: NotifyEvent::ALL.to_vec(),
            timeout: DurationText::secs(10),
            headers: BTreeMap::new(),
        }
    }
}

impl NotifySettings {
    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.url, &self.command) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => problems.push(Problem::new(
                "url",
                "found neither `url` nor `command`, expected exactly one of them",
                "add `url = \"https://…\"` to POST to, or `command = [\"…\"]` to start",
            )),
            (Some(_), Some(_)) => problems.push(Problem::new(
                "command",
                "found both `url` and `command`, expected exactly one of them",
                "keep one here and move the other to a `[[notify]]` of its own",
            )),
        }
        if self.url.is_none() && !self.headers.is_empty() {
            problems.push(Problem::new(
                "headers",
                "found headers without a `url` to send them to",
                "remove `headers`, or add `url`",
            ));
        }
        if self.timeout.get() > Duration::from_secs(DELIVERY_SECS_MAX) || self.timeout.get().is_zero() {
            problems.push(Problem::new(
                "timeout",
                format!("found {}, expected more than 0s and at most {DELIVERY_SECS_MAX}s", self.timeout),
                "a command that needs longer can go on in the background: end at once, and start it there",
            ));
        }
        problems
    }
}

/// The shape of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum NotifyTemplate {
    /// Everything, as one JSON object.
    #[default]
    Json,
    /// What a Slack incoming webhook takes.
    Slack,
    /// What an ntfy topic takes.
    Ntfy,
}

/// A change that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum NotifyEvent {
    /// The job halted: a person must look.
    Halted,
    /// The job, or the round of a recurring one, is drained.
    Drained,
    /// There are new items in `review`.
    Review,
    /// A pass ended with exit 1 or 2.
    Failed,
    /// Nothing was drained for `silent-after`.
    Silent,
}

impl NotifyEvent {
    /// Every change.
    pub const ALL: [Self; 5] = [Self::Halted, Self::Drained, Self::Review, Self::Failed, Self::Silent];
}
