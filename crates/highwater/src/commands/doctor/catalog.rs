//! The catalogues that jobs load into: whether they open, and whether they are whole.

use highwater_engine::diagnosis::Diagnosis;
use highwater_oai::catalog::Access;

use super::Site;
use super::report::Report;
use crate::wiring::oai::{catalogs, open_catalog};

pub(super) async fn check(site: &Site, report: &mut Report) {
    let Some(config) = &site.config else { return };
    for path in catalogs(config) {
        if !path.exists() {
            report.ok("catalogue", format_args!("{} is not there yet; the first load makes it", path.display()));
            continue;
        }
        let lines = match open_catalog(&path, site.clock.now(), Access::ReadOnly) {
            Ok(catalog) => catalog.check().await.map_err(Diagnosis::from),
            Err(error) => Err(error),
        };
        match lines {
            Err(error) => report.error("catalogue", &error),
            Ok(lines) => {
                let wrong: Vec<_> = lines.iter().filter(|line| !line.ok).collect();
                for line in &wrong {
                    let fix = "stop all passes, move the file away, and put the newest backup beside it in its place";
                    report.fix("catalogue", format_args!("{}: {}", path.display(), line.text), fix);
                }
                if wrong.is_empty() {
                    report.ok(
                        "catalogue",
                        format_args!("{}: whole, and its figures are what a count gives", path.display()),
                    );
                }
            }
        }
    }
}
