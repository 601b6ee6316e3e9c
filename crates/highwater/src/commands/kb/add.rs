//! `kb add`: documents into a base. Owns what its words mean: paths, and addresses of the web.

use std::collections::BTreeSet;
use std::path::PathBuf;

use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::ResourceName;
use highwater_engine::settings::FilePath;
use highwater_kb::add::KbAddSettings;
use highwater_kb::web::Address;

use super::pass::{Call, job_of, pass};
use super::place::Place;
use crate::Done;
use crate::cli::{Global, KbAdd};
use crate::wiring;
use crate::wiring::kb::no_address;

/// The kind of its jobs.
pub(super) const KIND: &str = "kb-add";

pub(super) fn add(args: &KbAdd, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let (addresses, paths) = told_apart(&args.paths)?;
    let paths = absolute(&paths).map_err(one)?;
    let settings = KbAddSettings {
        base: FilePath::new(&place.root),
        paths: paths.iter().map(FilePath::new).collect(),
        urls: addresses.iter().map(ToString::to_string).collect(),
    };
    let mut of = words(&paths);
    of.extend(addresses.iter().map(|address| address.to_string().into_bytes()));
    let hosts: BTreeSet<ResourceName> = addresses.iter().map(Address::resource).collect();
    // What a host asks for holds for every call about it; its lock keeps two of them from it at once.
    let mut resources: Vec<ResourceName> = vec![ResourceName::of_job(&job_of(KIND, &of))];
    resources.extend(hosts);
    let call = Call {
        kind: KIND,
        of,
        runner: wiring::kb::runner(&settings, resources.clone(), &SystemClock::shared()).map_err(one)?,
        hosts: resources.split_off(1),
        concurrency: args.concurrency,
        limits: &args.limits,
        dry_run: args.dry_run,
    };
    pass(&call, global, &place)
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
