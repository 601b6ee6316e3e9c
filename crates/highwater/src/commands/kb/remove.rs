//! `kb remove`: documents out of a base. Owns how what that touches is told.

use std::fmt::Write as _;
use std::path::PathBuf;

use highwater_engine::clock::Clock as _;
use highwater_engine::report::ExitCode;
use highwater_kb::remove::{Removed, Touch, rehearse, remove as remove_these};
use highwater_kb::{Base, DocName, Document, KbError};
use serde_json::json;

use super::fates::became;
use super::named::{is_meant, named};
use super::place::Place;
use crate::cli::KbRemove;
use crate::output::Output;
use crate::{Done, in_runtime};

/// What a generation is called that takes documents out.
const REMOVE: &str = "remove";

pub(super) fn remove(args: &KbRemove, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(removed(&place, args, output))
}

async fn removed(place: &Place, args: &KbRemove, output: Output) -> Done {
    let one = |error| vec![error];
    let (mut base, held, late) = place.caught_up().await.map_err(one)?;
    // All of them are there, or nothing is begun.
    let names = match named(place, &place.snapshot().map_err(one)?, &args.documents) {
        Ok(names) => names,
        Err(refused) => {
            let gone = late.filter(|late| late.op == REMOVE).map(|late| gone(&base, late.number, &args.documents));
            let Some(removed) = gone.transpose().map_err(|error| one(place.failed(&error)))?.flatten() else {
                return Err(refused);
            };
            tell(&removed, place, false, output);
            return Ok(ExitCode::Drained);
        }
    };
    let act = if args.dry_run { rehearse } else { remove_these };
    let removed = act(&mut base, &held, place.clock.now(), &names, args.keep_raw);
    let removed = removed.map_err(|error| one(place.failed(&error)))?;
    tell(&removed, place, args.dry_run, output);
    Ok(ExitCode::Drained)
}

fn tell(removed: &Removed, place: &Place, is_dry: bool, output: Output) {
    let json = json!({ "documents": removed.documents, "generation": removed.generation, "dry_run": is_dry,
        "touched": removed.touched });
    output.answer(&json, told(removed, place, is_dry).trim_end());
}

/// What a removal came to that was committed before and is written only now, where it took out all that is asked for again.
fn gone(base: &Base, generation: u32, asked: &[PathBuf]) -> Result<Option<Removed>, KbError> {
    let Some(manifest) = base.manifest(generation)? else { return Ok(None) };
    let mut gone = Vec::new();
    for (name, (before, after)) in manifest.documents {
        if let (Some(before), None) = (before, after) {
            let record = serde_json::from_value::<Document>(before);
            gone.push((DocName::try_from(name.clone())?, record.map_err(|source| KbError::Record { name, source })?));
        }
    }
    let mut documents = Vec::new();
    for asked in asked {
        let is_it = |(name, was): &&(DocName, Document)| is_meant(asked, name, &was.origin);
        let Some((name, _)) = gone.iter().find(is_it) else { return Ok(None) };
        if !documents.contains(name) {
            documents.push(name.clone());
        }
    }
    Ok(Some(Removed { documents, generation: Some(generation), touched: Vec::new() }))
}

fn told(removed: &Removed, place: &Place, would: bool) -> String {
    let mut told = String::new();
    for name in &removed.documents {
        let _ = writeln!(told, "{name} {}", if would { "would go" } else { "is removed" });
    }
    for touched in &removed.touched {
        let touch = match touched.touch {
            Touch::Goes => "goes",
            Touch::WasAway => "was deleted already",
            Touch::Ends => "goes: what is left on it is worth no page",
            Touch::LosesSection => "loses a section",
            Touch::LosesLinks => "is kept: its links to what goes become words",
            Touch::Names => "no longer names what goes",
            Touch::Anew => "is made anew of what is left",
            Touch::Tells => "tells of it",
        };
        let _ = match became(touched.fate) {
            Some(became) => writeln!(told, "  {} {became}", touched.path),
            None => writeln!(told, "  {} {touch}", touched.path),
        };
    }
    match removed.generation {
        Some(generation) => {
            let _ = writeln!(
                told,
                "  take it back: highwater kb undo {} --kb {}",
                generation.saturating_sub(1),
                place.root.display()
            );
        }
        None => told.push_str("  nothing was written\n"),
    }
    told
}
