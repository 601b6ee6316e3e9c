//! `kb recompile`: documents made anew from what they were given as. Owns what such a call is: the same documents, by the same program
//! and compiler.

use std::sync::Arc;

use highwater_engine::report::ExitCode;
use highwater_kb::compile::Compiler as _;
use highwater_kb::recompile::{KbRecompile, Which};

use super::named::named;
use super::pass::{Call, pass, workshop};
use super::place::Place;
use crate::cli::{Global, KbRecompile as Args};
use crate::{Done, in_runtime};

pub(super) fn recompile(args: &Args, global: &Global) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let which = match args.all {
        true => Which::All,
        false => {
            let names = named(&place, &place.snapshot().map_err(one)?, &args.documents);
            if names.is_err() {
                // Also by one who is refused, what is committed is written.
                in_runtime(async { place.locked().await.map(|_| ExitCode::Drained).map_err(one) })?;
            }
            Which::These(names?)
        }
    };
    let (workshop, endpoint) = workshop(&place, &args.llm).map_err(one)?;
    // What another program or compiler has begun is not what this one goes on with.
    let mut of = vec![env!("CARGO_PKG_VERSION").into(), workshop.compiler.name().into_bytes()];
    if let Which::These(names) = &which {
        of.extend(names.iter().map(|name| name.as_str().into()));
    }
    let call = Call {
        kind: "kb-recompile",
        of,
        runner: Box::new(Arc::new(KbRecompile::new(workshop, which))),
        besides: endpoint.into_iter().collect(),
        concurrency: args.concurrency,
        limits: &args.limits,
        dry_run: false,
        lists_anew: false,
    };
    pass(&call, global, &place)
}
