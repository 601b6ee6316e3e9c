//! `kb add`: documents into a base. Owns what its paths mean.

use std::path::PathBuf;

use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::FilePath;
use highwater_kb::add::KbAddSettings;

use super::pass::{Call, pass};
use super::place::Place;
use crate::Done;
use crate::cli::{Global, KbAdd};
use crate::wiring;

pub(super) fn add(args: &KbAdd, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let paths = absolute(&args.paths).map_err(one)?;
    let settings = KbAddSettings { base: FilePath::new(&place.root), paths: paths.iter().map(FilePath::new).collect() };
    let call = Call {
        kind: "kb-add",
        // The job of just these paths.
        of: paths.iter().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).collect(),
        runner: wiring::kb::runner(&settings, &SystemClock::shared()).map_err(one)?,
        concurrency: args.concurrency,
        limits: &args.limits,
        dry_run: args.dry_run,
    };
    pass(&call, global, &place)
}

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Diagnosis> {
    let each = paths.iter().map(|path| {
        std::path::absolute(path).map_err(|error| {
            Diagnosis::refusal("HW-KB-020", format!("cannot be named: {error}"), "correct the path").in_file(path)
        })
    });
    each.collect()
}
