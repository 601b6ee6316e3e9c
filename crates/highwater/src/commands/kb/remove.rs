//! `kb remove`: documents out of a base. Owns how what that touches is told.

use std::fmt::Write as _;

use highwater_engine::clock::Clock as _;
use highwater_engine::report::ExitCode;
use highwater_kb::remove::{Removed, Touch, rehearse, remove as remove_these};
use serde_json::json;

use super::fates::became;
use super::named::named;
use super::place::Place;
use crate::cli::KbRemove;
use crate::output::Output;
use crate::{Done, in_runtime};

pub(super) fn remove(args: &KbRemove, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(removed(&place, args, output))
}

async fn removed(place: &Place, args: &KbRemove, output: Output) -> Done {
    let one = |error| vec![error];
    // All of them are there, or nothing is begun.
    named(place, &place.snapshot().map_err(one)?, &args.documents)?;
    let (mut base, held) = place.locked().await.map_err(one)?;
    // What went while the lock was waited for is gone already.
    let names = named(place, &place.snapshot().map_err(one)?, &args.documents)?;
    let act = if args.dry_run { rehearse } else { remove_these };
    let removed = act(&mut base, &held, place.clock.now(), &names, args.keep_raw);
    let removed = removed.map_err(|error| one(place.failed(&error)))?;
    let json = json!({ "documents": removed.documents, "generation": removed.generation, "dry_run": args.dry_run,
        "touched": removed.touched });
    output.answer(&json, told(&removed, place, args.dry_run).trim_end());
    Ok(ExitCode::Drained)
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
