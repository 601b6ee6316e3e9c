//! `rollup`: what is installed of a rollup, and how it stands. Owns the choice of the command, and the job that a person named.

mod show;

use highwater_db::address::DatabaseAddress;
use highwater_db::session::Session;
use highwater_engine::diagnosis::Diagnosis;
use highwater_rollup::settings::{RollupSettings, Subject};
use highwater_rollup::told;

use super::{codes, needs_config};
use crate::Done;
use crate::cli::RollupVerb;
use crate::config::{Config, JobConfig, KindSettings};
use crate::site::Site;

pub(crate) async fn rollup(verb: RollupVerb, site: Site) -> Done {
    let done = match verb {
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

    pub(super) fn place(&self) -> String {
        self.address.to_string()
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Session>, Diagnosis> {
        let opened = self.address.open(self.settings.busy_timeout.get()).await;
        opened.map_err(|fault| told::of_fault(&self.place(), "it cannot be opened", &fault).at_field("database"))
    }
}
