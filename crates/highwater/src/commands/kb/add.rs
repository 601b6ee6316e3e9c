//! `kb add`: documents into a base. Owns what its words mean: paths, and addresses of the web.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::ResourceName;
use highwater_kb::add::{KbAdd as Adding, Named};
use highwater_kb::web::{Address, Patience};

use super::pass::{self, Call, job_of};
use super::place::Place;
use crate::Done;
use crate::cli::{Global, KbAdd};
use crate::wiring::kb::no_address;

/// The kind of its jobs.
pub(super) const KIND: &str = "kb-add";

pub(super) fn add(args: &KbAdd, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let (addresses, paths) = told_apart(&args.paths)?;
    let paths = absolute(&paths).map_err(one)?;
    let (workshop, endpoint) = pass::workshop(&place, &args.llm).map_err(one)?;
    // The job of just these documents.
    let mut of = words(&paths);
    of.extend(addresses.iter().map(|address| address.to_string().into_bytes()));
    // What a host asks for holds for every call about it; its lock keeps two of them from it at once.
    let hosts: BTreeSet<ResourceName> = addresses.iter().map(Address::resource).collect();
    let own = ResourceName::of_job(&job_of(KIND, &of));
    let resources = std::iter::once(own).chain(hosts.iter().cloned()).collect();
    let named = Named { paths, addresses, resources, patience: Patience::default(), waits: BTreeMap::new() };
    let call = Call {
        kind: KIND,
        of,
        runner: Box::new(Arc::new(Adding::new(workshop, named))),
        besides: hosts.iter().map(|host| pass::host(&place.root, host)).chain(endpoint).collect(),
        concurrency: args.concurrency,
        limits: &args.limits,
        dry_run: args.dry_run,
        lists_anew: true,
    };
    pass::pass(&call, global, &place)
}

/// What tells the job of just these paths from others.
pub(super) fn words(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).collect()
}

/// Addresses, and the paths among them.
fn told_apart(named: &[PathBuf]) -> Result<(Vec<Address>, Vec<PathBuf>), Vec<Diagnosis>> {
    let (mut addresses, mut paths, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for named in named {
        match named.to_str().filter(|word| Address::is_meant(word)).map(Address::parse) {
            None => paths.push(named.clone()),
            Some(Ok(address)) => addresses.push(address),
            Some(Err(error)) => wrong.push(no_address(&error)),
        }
    }
    if wrong.is_empty() { Ok((addresses, paths)) } else { Err(wrong) }
}

pub(super) fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Diagnosis> {
    let each = paths.iter().map(|path| {
        std::path::absolute(path).map_err(|error| {
            Diagnosis::refusal("HW-KB-020", format!("cannot be named: {error}"), "correct the path").in_file(path)
        })
    });
    each.collect()
}
