//! `kb log`: the generations of a base, the newest first.

use highwater_engine::report::ExitCode;
use serde_json::json;

use super::super::listing;
use super::place::Place;
use crate::Done;
use crate::cli::KbLog;
use crate::output::Output;
use crate::table::{Columns, line, moment};

pub(super) fn log(args: &KbLog, output: Output) -> Done {
    let one = |error| vec![error];
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let snapshot = place.snapshot().map_err(one)?;
    let generations = snapshot.generations(args.limit).map_err(|error| one(place.failed(&error)))?;
    let text = match output.json {
        true => listing::json_lines(generations.iter().map(|generation| {
            json!({ "generation": generation.number, "at": generation.at, "op": generation.op, "text": generation.text })
        })),
        false => {
            let rows: Vec<_> = generations
                .iter()
                .map(|generation| {
                    let number = generation.number.to_string();
                    [number, moment(generation.at).to_string(), generation.op.clone(), line(&generation.text)]
                })
                .collect();
            Columns::new(["generation", "at", "what", "text"]).page(&rows).into_bytes()
        }
    };
    listing::print(&text).map_err(one)?;
    Ok(ExitCode::Drained)
}
