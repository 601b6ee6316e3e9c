//! `kb add`: documents into a base. Owns what its paths mean.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_kb::add::KbAdd;

use super::pass::{Call, pass, workshop};
use super::place::Place;
use crate::Done;
use crate::cli::{Global, KbAdd as Args};

pub(super) fn add(args: &Args, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let paths = absolute(&args.paths).map_err(one)?;
    let (workshop, endpoint) = workshop(&place, &args.llm).map_err(one)?;
    let call = Call {
        kind: "kb-add",
        // The job of just these paths.
        of: paths.iter().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).collect(),
        runner: Box::new(Arc::new(KbAdd::new(workshop, paths))),
        endpoint,
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
