//! What jobs need on this host: their lists, their programs.

use std::fs::File;
use std::io::Read;

use super::report::Report;
use crate::config::{Config, Environment, KindSettings, advise};

pub(super) fn check(config: &Config, report: &mut Report) {
    for job in config.jobs.values() {
        let list = match &job.kind {
            KindSettings::Exec(exec) => &exec.worklist,
            KindSettings::OaiBackfill(backfill) => &backfill.ids,
            KindSettings::OaiHarvest(_)
            | KindSettings::Rollup(_)
            | KindSettings::Ship(_)
            | KindSettings::Reindex(_) => &None,
        };
        let Some(worklist) = list else { continue };
        // A directory opens, and only then cannot be read.
        match File::open(worklist).and_then(|mut file| file.read(&mut [0])) {
            Ok(_) => report.ok("worklist", format_args!("{}: {worklist} is readable", job.name)),
            Err(error) => report.fix(
                "worklist",
                format_args!("{}: {worklist} cannot be read: {error}", job.name),
                "put the list there, or correct `worklist`; until then a pass is refused",
            ),
        }
    }
    let advice = advise(config, &Environment::of_process());
    for advice in &advice {
        report.error("config", &advice.0);
    }
    if advice.is_empty() && !config.jobs.is_empty() {
        report.ok("programs", "every command's program is there");
    }
}
