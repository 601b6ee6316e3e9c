//! `kb undo`: back to what an earlier generation had.

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::base::{Had, Undone};
use highwater_kb::{Fate, Generation, KbError};
use serde_json::json;

use super::fates::became;
use super::place::Place;
use super::{LOST, NO_GENERATION};
use crate::cli::KbUndo;
use crate::output::Output;
use crate::{Done, in_runtime};

/// What a generation that goes back is called.
const UNDO: &str = "undo";

/// The generation to which another went back.
fn gone_back_to(undone: &Generation) -> Option<u32> {
    undone.text.rsplit(' ').next()?.parse().ok()
}

pub(super) fn undo(args: &KbUndo, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(async { undone(&place, args, output).await.map_err(|error| vec![error]) })
}

async fn undone(place: &Place, args: &KbUndo, output: Output) -> Result<ExitCode, Diagnosis> {
    let (mut base, held, late) = place.caught_up().await?;
    if args.generation.is_none()
        && let Some(late) = late.filter(|late| late.op == UNDO)
    {
        // Who was told that it is committed and calls again does not want it taken back.
        let json = json!({ "to": gone_back_to(&late), "generation": late.number, "kept": [], "lost": [] });
        let told = format!(
            "generation {} goes {} already: it was committed before, and is written now",
            late.number, late.text
        );
        output.answer(&json, told);
        return Ok(ExitCode::Drained);
    }
    let failed = |error: &KbError| match error {
        KbError::NoGeneration { .. } | KbError::GenerationLost { .. } => {
            Diagnosis::refusal(NO_GENERATION, error.to_string(), "`highwater kb log` shows the generations")
        }
        KbError::Lost(lost) if lost.iter().all(|lost| lost.had == Had::Person) => {
            let next = "bring what is named back from a copy of the base, under that name; or go back without it: `--partly`. Nothing was changed";
            Diagnosis::refusal(LOST, error.to_string(), next).in_file(&place.root)
        }
        error => place.failed(error),
    };
    let head = base.head().map_err(|error| failed(&error))?.map_or(0, |head| head.number);
    let to = args.generation.unwrap_or(head.saturating_sub(1));
    let undone = match args.partly {
        true => base.undo_partly(&held, place.clock.now(), to),
        false => base.undo(&held, place.clock.now(), to).map(|committed| Undone { committed, lost: Vec::new() }),
    };
    let Undone { committed: done, lost } = undone.map_err(|error| failed(&error))?;
    let json = json!({ "to": to, "generation": done.as_ref().map(|done| done.generation),
        "kept": done.iter().flat_map(|done| &done.fates).filter(|(_, fate)| **fate != Fate::AsGenerated)
            .map(|(path, fate)| json!({ "path": path, "fate": fate })).collect::<Vec<_>>(),
        "lost": lost });
    let mut told = match &done {
        Some(done) if !lost.is_empty() => {
            format!("generation {} has what generation {to} had, but for what is lost", done.generation)
        }
        Some(done) => format!("generation {} has what generation {to} had", done.generation),
        None => format!("the newest generation has what generation {to} had; nothing changed"),
    };
    for (path, fate) in done.iter().flat_map(|done| &done.fates) {
        let is_of_base = || base.content(path).map(|content| content.is_some()).map_err(|error| failed(&error));
        let became = match fate {
            // It may come again with what it was of.
            Fate::Deleted if !is_of_base()? => Some("was deleted since, and is not put back"),
            fate => became(*fate),
        };
        if let Some(became) = became {
            told.push_str(&format!("\n  {path} {became}"));
        }
    }
    for lost in &lost {
        told.push_str(&format!("\n  not given back: {lost}"));
    }
    output.answer(&json, told);
    Ok(ExitCode::Drained)
}
