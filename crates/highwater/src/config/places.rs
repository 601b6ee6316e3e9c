//! Where jobs that ship work: that no directory is two of theirs, by whatever names it is called. Owns these rules; how two places are told
//! apart is the domain's.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::JobName;
use highwater_episodes::ship::places::{Nearness, Site};

use super::source::{FieldPath, SourceFile};
use super::{Config, KindSettings};

/// Directories of shippers that are not apart.
const NOT_APART: &str = "HW-EPI-106";

/// A directory of a job that ships.
struct Place<'c> {
    job: &'c JobName,
    field: &'static str,
    site: Site,
}

/// Tells of each directory that is another's too.
pub(super) fn check_places(config: &Config, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let mut before: Vec<Place<'_>> = Vec::new();
    for job in config.jobs.values() {
        let KindSettings::Ship(settings) = &job.kind else { continue };
        let places: [(&str, &Path); 3] =
            [("episodes", &settings.episodes), ("outbox", &settings.outbox), ("shipped", &settings.shipped)];
        for (field, path) in places {
            let at = FieldPath::default().join("job").join(job.name.as_str()).join(field);
            let line = config.entries.line(at.as_str()).unwrap_or(job.line);
            let place = Place { job: &job.name, field, site: Site::of(path) };
            let near = before.iter().find_map(|other| Some((other, place.near(other)?)));
            if let Some((other, nearness)) = near {
                let own = other.job == &job.name;
                let whose = if own { String::new() } else { format!(" of job `{}`", other.job) };
                let found = nearness.found(&format!("`{}`{whose}", other.field));
                let message = if own {
                    format!("{found}, expected one of its own: what is in both may be the only copy")
                } else {
                    format!(
                        "{found}, expected one of its own: of two episodes of one name, one would be taken for the other"
                    )
                };
                let next = if own { "name another directory" } else { "name another directory in one of the two jobs" };
                errors.push(file.refusal(NOT_APART, line, at.as_str(), message, next));
            }
            before.push(place);
        }
    }
}

impl Place<'_> {
    /// How this is too near to another: within one job neither may lie in the other, and two jobs may not share one.
    fn near(&self, other: &Place<'_>) -> Option<Nearness> {
        let nearness = self.site.near(&other.site)?;
        (self.job == other.job || nearness == Nearness::Same).then_some(nearness)
    }
}
