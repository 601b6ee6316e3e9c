//! `kb query`: an answer from a base, or what it says of a question.

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::query::{Answered, Kept, QUESTION_BYTES_MAX, keep, words};
use highwater_kb::{Fate, KbError};
use serde_json::{Value, json};

use super::ask::{self, Asker};
use super::place::Place;
use super::search::where_it_is;
use super::{NO_MODEL, shown};
use crate::cli::{Global, KbQuery};
use crate::output::Output;
use crate::table::line;
use crate::{Done, in_runtime};

/// The most places that are named where no model answers.
const PLACES_MAX: usize = 10;
/// Of how many of them what they say is shown.
const TEXTS_MAX: usize = 3;
/// The most characters of each.
const TEXT_CHARS_MAX: usize = 1_500;

pub(super) fn query(args: &KbQuery, global: &Global) -> Done {
    let one = |error| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    let question = args.question.join(" ");
    if question.len() > QUESTION_BYTES_MAX {
        let message = format!("found a question of {} bytes, expected at most {QUESTION_BYTES_MAX}", question.len());
        return Err(one(Diagnosis::refusal(NO_MODEL, message, "ask in fewer words")));
    }
    let llm = args.llm.settings().map_err(one)?;
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let Some(llm) = llm else {
        if args.save {
            let message = "there is no answer to save: no language model is asked";
            let next = "name one: `--llm-url URL --llm-model MODEL`; without one, leave `--save` out";
            return Err(one(Diagnosis::refusal(NO_MODEL, message, next).at_field("--save")));
        }
        return found(&place, &question, output).map_err(one);
    };
    let site = ask::site(global, &place).map_err(one)?;
    in_runtime(async {
        let asker = Asker::new(&place, &site, &llm).map_err(one)?;
        let answered = match asker.answer(&question, &[]).await {
            Ok(Some(answered)) => answered,
            Ok(None) => return Ok(nothing(&question, output)),
            Err(none) => return none.told(output),
        };
        let kept = if args.save { Some(saved(&place, &answered).await.map_err(one)?) } else { None };
        tell(&answered, asker.paid(), kept.as_ref(), output);
        Ok(ExitCode::Drained)
    })
}

fn nothing(question: &str, output: Output) -> ExitCode {
    if output.json {
        output.json(&json!({ "question": question, "answer": Value::Null, "sources": [] }));
    } else {
        output.note("nothing in the base says anything of that");
    }
    ExitCode::Drained
}

/// Where the base says most of it, without a model.
fn found(place: &Place, question: &str, output: Output) -> Result<ExitCode, Diagnosis> {
    let failed = |error: KbError| place.failed(&error);
    let snapshot = place.snapshot()?;
    let hits = snapshot.search(&words(question), PLACES_MAX).map_err(failed)?;
    if hits.is_empty() {
        return Ok(nothing(question, output));
    }
    let mut texts = Vec::with_capacity(hits.len());
    for (at, hit) in hits.iter().enumerate() {
        let text = if at < TEXTS_MAX || output.json { snapshot.text(hit).map_err(failed)? } else { String::new() };
        texts.push(shown(&text, TEXT_CHARS_MAX));
    }
    if output.json {
        let sources = hits.iter().zip(&texts).zip(1_u32..).map(|((hit, text), number)| {
            let stands = snapshot.stands(&hit.page).map_err(failed)?;
            Ok(json!({ "n": number, "page": hit.page, "path": hit.page.path(), "heading": hit.heading, "lines": hit.lines,
                "pages": hit.pages, "stands": stands, "text": text, "score": hit.score }))
        });
        let sources: Vec<Value> = sources.collect::<Result<_, Diagnosis>>()?;
        output.json(&json!({ "question": question, "answer": Value::Null, "sources": sources }));
        return Ok(ExitCode::Drained);
    }
    for ((hit, text), number) in hits.iter().zip(&texts).zip(1_u32..) {
        let said = if text.is_empty() { line(&hit.snippet) } else { text.replace('\n', "\n  ") };
        let place = where_it_is(hit, snapshot.stands(&hit.page).map_err(failed)?);
        output.line(format_args!("[{number}] {place}\n  {said}"));
    }
    Ok(ExitCode::Drained)
}

async fn saved(place: &Place, answered: &Answered) -> Result<Kept, Diagnosis> {
    let (mut base, held) = place.locked().await?;
    keep(&mut base, &held, place.clock.now(), answered).map_err(|error| place.failed(&error))
}

fn tell(answered: &Answered, paid: u64, kept: Option<&Kept>, output: Output) {
    if output.json {
        let mut json = ask::json(answered, paid);
        if let Some(kept) = kept {
            let fates = kept.fates.iter().filter(|(_, fate)| **fate != Fate::AsGenerated);
            json["saved"] = json!({ "page": kept.page, "path": kept.page.path(), "generation": kept.generation,
                "kept": fates.map(|(path, fate)| json!({ "path": path, "fate": fate })).collect::<Vec<_>>() });
        }
        return output.json(&json);
    }
    output.line(ask::told(answered));
    for note in ask::notes(answered) {
        output.note(format_args!("  note: {note}"));
    }
    let Some(kept) = kept else { return };
    let path = kept.page.path();
    match kept.fates.get(&path) {
        None => output.note(format_args!("{path} says that already")),
        Some(Fate::AsGenerated) => output.note(format_args!("saved as {path}")),
        Some(Fate::Merged) => output.note(format_args!("{path} was edited: the answer is merged into it")),
        Some(Fate::Conflict) => {
            output.note(format_args!("{path} was edited, and stays: the answer lies beside it, as .conflict"));
        }
        Some(Fate::Kept | Fate::Deleted) => {
            output.note(format_args!("{path} was edited or deleted by a person, and stays as it is"));
        }
    }
}
