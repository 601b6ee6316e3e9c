//! Units for systemd: one service a job and one for the receiver, with timers for what runs in passes. Owns which units a
//! configuration has, and how they are called; what a service touches is `needs`, what is written is `text`, how systemd reads
//! a path is `escape`.

mod escape;
mod needs;
mod shelf;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::JobName;
use serde::Serialize;

use crate::cli::Times;
use crate::config::{Config, JobConfig, KindSettings};

use needs::Needs;
pub(crate) use needs::seen_from;
pub(crate) use shelf::Shelf;
pub(crate) use text::{User, user_of};

/// A path, a name or a text that no unit can hold.
pub(crate) const UNFIT: &str = "HW-UNI-001";
/// The units cannot be written there.
const CANNOT_WRITE: &str = "HW-UNI-002";
/// A file of that name is somebody else's.
const NOT_OURS: &str = "HW-UNI-003";
/// There is nothing to make units of.
const NOTHING: &str = "HW-UNI-004";
/// A user, a prefix or a time that systemd does not take.
pub(crate) const WRONG_OPTION: &str = "HW-UNI-005";

/// Longest prefix of the units' names, in bytes: with a job's name of any length, a unit's name stays below systemd's 255.
const PREFIX_BYTES_MAX: usize = 64;

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unit {
    /// The name of its file.
    pub(crate) name: String,
    /// The file.
    pub(crate) text: String,
    /// Whether a person enables it: a timer, or a service that stays.
    #[serde(skip)]
    pub(crate) is_enabled_by_hand: bool,
}

/// What is asked of units.
pub(crate) struct Wishes<'a> {
    /// What their names begin with.
    pub(crate) prefix: &'a str,
    /// Whom they run as.
    pub(crate) user: User,
    /// What they start.
    pub(crate) program: PathBuf,
    /// When passes begin.
    pub(crate) when: When,
    /// The directory that is `/` where the units are used.
    pub(crate) root: Option<&'a Path>,
}

/// When a timer starts passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// Nobody said: as a timer that is there says, else each half hour.
    AsItIs,
    /// At times of the calendar.
    Calendar(String),
    /// So many seconds after the end of the last pass.
    Every(u64),
}

/// The units of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The units, services before their timers.
    pub(crate) units: Vec<Unit>,
    /// What the units of these would be called; those that are there stay.
    pub(crate) kept: Vec<String>,
    /// What has none here, and why.
    pub(crate) without: Vec<String>,
    /// What cannot have one here until a variable is set.
    pub(crate) faults: Vec<Diagnosis>,
    /// The directories that the services write in: systemd does not start them where one is missing.
    pub(crate) directories: BTreeSet<PathBuf>,
    /// Where shippers look for episodes: they make no such directory, and fail where it is missing.
    pub(crate) episodes: BTreeSet<PathBuf>,
    /// What a person should know of them.
    pub(crate) notes: Vec<String>,
}

/// Which of a configuration's services are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Some jobs; none for all, unless it is the receiver that is wanted.
    pub(crate) jobs: &'a [String],
    /// The receiver.
    pub(crate) receiver: bool,
}

impl Wanted<'_> {
    /// Whether everything is.
    pub(crate) fn is_all(&self) -> bool {
        self.jobs.is_empty() && !self.receiver
    }

    fn job(&self, name: &JobName) -> bool {
        self.is_all() || self.jobs.iter().any(|wanted| wanted == name.as_str())
    }
}

/// The units of a configuration.
///
/// # Errors
/// A refusal of a name that no job has, of a path that no unit can hold, and of a configuration without any.
pub(crate) fn of_config(config: &Config, wanted: &Wanted<'_>, wishes: &Wishes<'_>) -> Result<Units, Diagnosis> {
    for name in wanted.jobs {
        config.declared_job(name)?;
    }
    let mut made = Units::default();
    if wanted.receiver || (wanted.is_all() && config.has_receiver()) {
        match config.receiver() {
            Ok(receiver) => {
                let needs = Needs::of_receiver(config, receiver).seen_from(wishes.root);
                made.add(text::receiver(config, receiver, &needs, wishes)?, needs);
            }
            // One that lacks a variable leaves the jobs theirs; none at all was asked for by name.
            Err(error) if wanted.is_all() => {
                made.kept.push(format!("{}-receive", wishes.prefix));
                made.faults.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    for (name, _) in config.declared_jobs().into_iter().filter(|(name, _)| wanted.job(name)) {
        if config.settings(name).is_some_and(|settings| !settings.armed) {
            made.without.push(format!("{name} has no unit: `armed = false` keeps it from running here"));
            continue;
        }
        match config.job(name.as_str()) {
            Ok(job) => made.add_job(config, job, wishes)?,
            Err(error) => {
                made.kept.extend(["run", "ship"].map(|verb| format!("{}-{verb}-{name}", wishes.prefix)));
                made.faults.push(error);
            }
        }
    }
    if made.units.is_empty() && made.faults.is_empty() && made.without.is_empty() {
        return Err(Diagnosis::refusal(
            NOTHING,
            "found neither a job nor a `[receiver]`, expected at least one to make units of",
            "add one; `highwater init DIR` writes one to copy",
        )
        .in_file(&config.file));
    }
    Ok(made)
}

impl Units {
    fn add_job(&mut self, config: &Config, job: &JobConfig, wishes: &Wishes<'_>) -> Result<(), Diagnosis> {
        let needs = Needs::of_job(config, job).seen_from(wishes.root);
        let units = match &job.kind {
            KindSettings::Ship(_) => text::shipper(config, job, &needs, wishes)?,
            _ => text::passes(config, job, &needs, wishes)?,
        };
        if let KindSettings::Ship(ship) = &job.kind {
            self.episodes.insert(ship.episodes.to_path_buf());
        }
        if !needs.commands.is_empty() {
            self.notes.push(format!(
                "{} starts commands of yours ({}) and is not confined; the unit says how to confine it",
                job.name,
                needs.commands.join(", ")
            ));
        }
        self.add(units, needs);
        Ok(())
    }

    fn add(&mut self, units: Vec<Unit>, needs: Needs) {
        self.units.extend(units);
        if needs.commands.is_empty() {
            self.directories.extend(needs.writes);
        }
    }

    /// The names of those that a person enables.
    pub(crate) fn to_enable(&self) -> Vec<&str> {
        self.units.iter().filter(|unit| unit.is_enabled_by_hand).map(|unit| unit.name.as_str()).collect()
    }
}

impl When {
    /// What flags say.
    ///
    /// # Errors
    /// A refusal of a time that no timer takes.
    pub(crate) fn of(times: &Times) -> Result<Self, Diagnosis> {
        let refuse = |flag: &str, message: String, next: &str| {
            Diagnosis::refusal(WRONG_OPTION, message, next).at_field(flag.to_owned())
        };
        if let Some(every) = times.every {
            return match every.get().as_secs() {
                0 => Err(refuse("--every", format!("found {every}, expected at least 1s"), "name a longer time")),
                secs => Ok(Self::Every(secs)),
            };
        }
        let Some(calendar) = &times.on_calendar else { return Ok(Self::AsItIs) };
        let next = "write it as `man systemd.time` says, such as `*:0/30`, `daily` or `Mon 06:00`";
        let calendar = calendar.trim();
        if calendar.is_empty() || calendar.chars().any(char::is_control) {
            return Err(refuse("--on-calendar", format!("found {calendar:?}, expected a time of the calendar"), next));
        }
        // Where systemd is, it knows best; elsewhere whoever starts the timer finds out.
        let asked = std::process::Command::new("systemd-analyze").args(["calendar", "--", calendar]).output();
        match asked {
            Ok(said) if !said.status.success() => {
                let said = String::from_utf8_lossy(&said.stderr);
                let said = said.lines().next().unwrap_or("systemd does not take it");
                Err(refuse("--on-calendar", format!("found {calendar:?}: {said}"), next))
            }
            _ => Ok(Self::Calendar(calendar.to_owned())),
        }
    }
}

/// Refuses a prefix that no unit's name begins with.
///
/// # Errors
/// That refusal.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Diagnosis> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = prefix.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && prefix.len() <= PREFIX_BYTES_MAX && prefix.chars().all(plain) {
        return Ok(());
    }
    Err(Diagnosis::refusal(
        WRONG_OPTION,
        format!("found {prefix:?}, expected 1 to {PREFIX_BYTES_MAX} letters, digits, `.`, `_` or `-`"),
        "name a plain one, such as `highwater-lab`",
    )
    .at_field("--prefix"))
}
