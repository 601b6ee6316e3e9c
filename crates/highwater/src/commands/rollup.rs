//! `rollup`: what is installed of a rollup, and how it stands. Owns the choice of the command, and the job that a person named.

mod change;
mod guard;
mod install;
mod show;

use highwater_db::address::DatabaseAddress;
use highwater_db::session::{Dialect, Session};
use highwater_db::sqlite::{Error, SqliteSession};
use highwater_engine::diagnosis::Diagnosis;
use highwater_rollup::declare::Declaration;
use highwater_rollup::settings::{RollupSettings, Subject};
use highwater_rollup::told;

use super::{codes, needs_config};
pub(super) use install::subject;

use crate::Done;
use crate::cli::RollupVerb;
use crate::config::{Config, JobConfig, KindSettings};
use crate::site::Site;

pub(crate) async fn rollup(verb: RollupVerb, site: Site) -> Done {
    let done = match verb {
        RollupVerb::Install(args) => return install::install(&args, &site).await,
        RollupVerb::Ddl(args) => install::ddl(&args, &site),
        RollupVerb::Uninstall(args) => install::uninstall(&args, &site).await,
        RollupVerb::Change(args) => change::change(&args, &site).await,
        RollupVerb::Diff(args) => install::diff(&args, &site).await,
        RollupVerb::Guard(args) => guard::guard(&args, &site).await,
        RollupVerb::Show(args) => show::show(&args, &site).await,
    };
    done.map_err(|error| vec![error])
}

/// A rollup that a person named.
pub(super) struct Named<'s> {
    pub(super) config: &'s Config,
    pub(super) job: &'s JobConfig,
    pub(super) settings: &'s RollupSettings,
    pub(super) subject: Subject,
    pub(super) address: DatabaseAddress,
}

impl<'s> Named<'s> {
    pub(super) fn of(site: &'s Site, verb: &str, name: &str) -> Result<Self, Diagnosis> {
        let Some(config) = &site.config else { return Err(needs_config(verb)) };
        let job = config.job(name)?;
        let KindSettings::Rollup(settings) = &job.kind else {
            return Err(Diagnosis::refusal(
                codes::NO_ROLLUP,
                format!("found {name}, a job of kind `{}`; expected one of kind `rollup`", job.kind.name()),
                format!("name a rollup: `{verb}` is about its target"),
            )
            .in_file(&config.file)
            .at_line(job.line)
            .at_field(format!("job.{name}.kind")));
        };
        let subject = settings.subject().expect("invariant: the configuration was checked");
        let address = settings.address().expect("invariant: the configuration was checked");
        Ok(Self { config, job, settings, subject, address })
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.address.dialect()
    }

    pub(super) fn place(&self) -> String {
        self.address.to_string()
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Session>, Diagnosis> {
        let busy = self.settings.busy_timeout.get();
        if let DatabaseAddress::Sqlite(path) = &self.address {
            let opened = SqliteSession::open(path, busy).map_err(|error| match error {
                Error::DiskFull { .. } => told::of_full(error.to_string()),
                error => {
                    let next = "correct the path, or see to the file: highwater makes no database";
                    self.placed(Diagnosis::refusal("HW-ROL-003", error.to_string(), next).at_field("database"))
                }
            });
            return Ok(Box::new(opened?));
        }
        let opened = self.address.open(busy).await;
        opened.map_err(|fault| told::of_fault(&self.place(), "it cannot be opened", &fault).at_field("database"))
    }

    /// An error with a field of this job, as it stands in the file.
    pub(super) fn placed(&self, error: Diagnosis) -> Diagnosis {
        let Some(field) = &error.field else { return error };
        let table = format!("job.{}", self.job.name);
        let line = self.config.line_of(&table, field).unwrap_or(self.job.line);
        let at = format!("{table}.{field}");
        error.in_file(&self.config.file).at_line(line).at_field(at)
    }

    /// The declaration; there is none of a window of one's own.
    pub(super) fn declared(&self, verb: &str) -> Result<&Declaration, Diagnosis> {
        match &self.subject {
            Subject::Declared(declaration) => Ok(declaration),
            Subject::Window(..) => Err(Diagnosis::refusal(
                codes::NOT_DECLARED,
                format!("found {}, a window of your own; `{verb}` is for a rollup that is declared", self.job.name),
                "what is there of it was installed by somebody else, who also keeps it; `highwater rollup guard` is for both",
            )
            .in_file(&self.config.file)
            .at_line(self.job.line)
            .at_field(format!("job.{}.window", self.job.name))),
        }
    }
}
