//! `kb rebuild`: the database of a base is made again. Owns when that is refused, and what is told of what was lost.

use std::time::Duration;

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::add::{LOCK_LOOK_MS, LOCK_WAIT_SECS};
use highwater_kb::base::{Anew, Edits, Health, Rebuilt, examine};
use highwater_kb::{BaseLock, Directory, KbError};
use serde_json::json;

use super::place::Place;
use super::{BUSY, NOTHING, WHOLE};
use crate::bar::{counted, grouped};
use crate::cli::KbRebuild;
use crate::output::Output;
use crate::table::one_line;
use crate::{Done, in_runtime};

pub(super) fn rebuild(args: &KbRebuild, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(async { rebuilt(&place, args.force, output).await.map_err(|error| vec![error]) })
}

async fn rebuilt(place: &Place, force: bool, output: Output) -> Result<ExitCode, Diagnosis> {
    let failed = |error: &KbError| match error {
        KbError::NoGenerations => {
            let next = "bring `.highwater/objects/` back from a copy; what stands in wiki/ and raw/ can be added to a new base";
            Diagnosis::refusal(NOTHING, error.to_string(), next).in_file(&place.root)
        }
        error => place.failed(error),
    };
    let home = Directory::open(&place.root).map_err(|error| failed(&error.into()))?;
    let held = place.lock(&home).await?;
    let found = examine(&home).map_err(|error| failed(&error))?;
    let why = match &found {
        Health::Whole(_) if !force => {
            let next = "nothing need be done; `--force` makes it again all the same";
            let message = "the database of the base can be used";
            return Err(Diagnosis::refusal(WHOLE, message, next).in_file(&place.root));
        }
        Health::Whole(_) => "it was to be made again".to_owned(),
        Health::Gone => "it lay beside a database that is gone".to_owned(),
        Health::Unusable(why) => why.clone(),
    };
    let mut anew = Anew::make(&home, &held, place.clock.now(), &found).map_err(|error| failed(&error))?;
    let rebuilt = put(place, &mut anew, &held, &why, failed).await?;
    let head = rebuilt.base.head().map_err(|error| failed(&error))?.map(|head| head.number);
    let aside = rebuilt.aside.iter().map(|it| json!({ "what": it.what, "why": it.why, "next": it.next }));
    let json = json!({ "generation": head, "generations": rebuilt.generations, "documents": rebuilt.documents,
        "edited": rebuilt.edits.edited, "deleted": rebuilt.edits.deleted, "conflicts": rebuilt.edits.conflicts,
        "replaced": rebuilt.replaced, "lost": aside.collect::<Vec<_>>(), "more": rebuilt.more });
    output.answer(&json, place.told_here(&text(&rebuilt, place)));
    Ok(if rebuilt.aside.is_empty() { ExitCode::Drained } else { ExitCode::Halted })
}

/// Waits until nobody has the rows open that were there.
async fn put(
    place: &Place,
    anew: &mut Anew<'_>,
    held: &BaseLock,
    why: &str,
    failed: impl Fn(&KbError) -> Diagnosis,
) -> Result<Rebuilt, Diagnosis> {
    for _ in 0..LOCK_WAIT_SECS * 1000 / LOCK_LOOK_MS {
        match anew.put(held, place.clock.now(), why) {
            Err(KbError::RowsOpen) => place.clock.sleep(Duration::from_millis(LOCK_LOOK_MS)).await,
            put => return put.map_err(|error| failed(&error)),
        }
    }
    let message = format!("{} for {LOCK_WAIT_SECS} s", KbError::RowsOpen);
    Err(Diagnosis::failure(BUSY, message, "let what reads or changes the base end, and call again")
        .in_file(&place.root))
}

fn text(rebuilt: &Rebuilt, place: &Place) -> String {
    let (documents, generations) = (counted(rebuilt.documents, "document"), counted(rebuilt.generations, "generation"));
    let are = if rebuilt.documents == 1 { "is" } else { "are" };
    let mut text = format!("{documents} {are} back, from {generations}");
    let Edits { edited, deleted, conflicts } = rebuilt.edits;
    let edits = [(edited, "edited"), (deleted, "deleted"), (conflicts, "in conflict")];
    let edits: Vec<String> = edits
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("{} {how}", grouped(count)))
        .collect();
    if !edits.is_empty() {
        text.push_str(&format!(
            "\n  what people made of its files stays: {}; `highwater kb lint` names them",
            edits.join(", ")
        ));
    }
    for path in &rebuilt.replaced {
        text.push_str(&format!("\n  what was there is kept: {}", place.root.join(path).display()));
    }
    for lost in &rebuilt.aside {
        let (what, why, next) = (one_line(&lost.what), one_line(&lost.why), one_line(&lost.next));
        text.push_str(&format!("\n{what}: {why}\n    {next}"));
    }
    if rebuilt.more > 0 {
        text.push_str(&format!("\nand {} more: `highwater kb lint` names them", rebuilt.more));
    }
    text
}
