//! `kb resolve`: a conflict ends. Owns how a page is named, and what is told of what stays.

use std::path::Path;

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::resolve::{Side, resolve as settle};
use highwater_kb::{Base, Fate, FilePath, Generation, KbError};
use serde_json::json;

use super::NO_CONFLICT;
use super::fates::became;
use super::place::Place;
use crate::cli::KbResolve;
use crate::output::Output;
use crate::table::one_line;
use crate::{Done, in_runtime};

/// The open conflicts that a refusal names.
const NAMED_MAX: usize = 10;

pub(super) fn resolve(args: &KbResolve, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(async { resolved(&place, args, output).await.map_err(|error| vec![error]) })
}

async fn resolved(place: &Place, args: &KbResolve, output: Output) -> Result<ExitCode, Diagnosis> {
    let (mut base, held, late) = place.caught_up().await?;
    let side = if args.side.mine { Side::Mine } else { Side::Theirs };
    let (word, stays) = if side == Side::Mine { ("mine", "yours") } else { ("theirs", "what the base has") };
    let named = args.page.to_string_lossy();
    let mut refused = format!("{} names no file of the base", one_line(&named));
    for path in candidates(place, &base, &args.page)? {
        match settle(&mut base, &held, place.clock.now(), &path, side) {
            Ok(resolved) => {
                let mut told = format!("{path}: {stays} stays");
                for (path, kept) in &resolved.kept {
                    told.push_str(&format!("\n  {path} as it stood is kept: {}", place.root.join(kept).display()));
                }
                // The log tells of it, and a person may have edited that.
                let met =
                    resolved.committed.fates.iter().filter(|(met, fate)| **fate == Fate::Conflict && **met != path);
                let met: Vec<_> = met.map(|(met, _)| met).collect();
                for met in &met {
                    told.push_str(&format!("\n  {met} {}", became(Fate::Conflict).unwrap_or_default()));
                }
                let kept = resolved.kept.iter().map(|(path, kept)| json!({ "path": path, "kept": kept }));
                let json = json!({ "path": path, "stays": word,
                    "generation": resolved.committed.generation, "kept": kept.collect::<Vec<_>>(),
                    "conflicts": met });
                output.answer(&json, told);
                return Ok(ExitCode::Drained);
            }
            Err(KbError::NoConflict(_)) if let Some(late) = late.as_ref().filter(|late| ended(late, &path, word)) => {
                let told = format!("{path}: {stays} stays; it was committed before, and is written now");
                let json =
                    json!({ "path": path, "stays": word, "generation": late.number, "kept": [], "conflicts": [] });
                output.answer(&json, told);
                return Ok(ExitCode::Drained);
            }
            Err(error @ KbError::NoConflict(_)) => {
                if base.content(&path).map_err(|error| place.failed(&error))?.is_some() {
                    if side == Side::Mine && is_gone(place, &path) {
                        let message = format!("{path} is in no conflict: it was deleted, and stays away");
                        let next = format!("nothing; `highwater kb resolve {path} --theirs` puts it back");
                        return Err(Diagnosis::refusal(NO_CONFLICT, message, next).in_file(&place.root));
                    }
                    refused = error.to_string();
                }
            }
            Err(error @ KbError::NoFile(_)) => {
                let next = "move away what is there, and call again";
                return Err(Diagnosis::refusal(NO_CONFLICT, error.to_string(), next).in_file(&place.root));
            }
            Err(error) => return Err(place.failed(&error)),
        }
    }
    Err(Diagnosis::refusal(NO_CONFLICT, refused, open(place, &base)?).in_file(&place.root))
}

/// Whether a generation ended the conflict of this file in this way.
fn ended(generation: &Generation, path: &FilePath, word: &str) -> bool {
    generation.op == "resolve" && generation.text == format!("{path}, {word}")
}

fn is_gone(place: &Place, path: &FilePath) -> bool {
    let there = std::fs::symlink_metadata(place.root.join(path.as_str()));
    there.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// What can be done: the conflicts that are open.
fn open(place: &Place, base: &Base) -> Result<String, Diagnosis> {
    let open = base.conflicts().map_err(|error| place.failed(&error))?;
    if open.is_empty() {
        return Ok("nothing: there is no conflict in this base".to_owned());
    }
    let mut named: Vec<String> = open.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if open.len() > NAMED_MAX {
        named.push("others that `highwater kb lint` names".to_owned());
    }
    Ok(format!("name one of those that are open: {}", named.join(", ")))
}

/// The files that a person may mean: `concepts/tides`, `[[concepts/tides]]`, `wiki/concepts/tides.md`, a path from `/` or from the working
/// directory on, and each with the mark of the version beside it, unless the base has a file that is called so.
fn candidates(place: &Place, base: &Base, named: &Path) -> Result<Vec<FilePath>, Diagnosis> {
    let mut texts: Vec<String> = Vec::new();
    let below = |path: &Path| path.strip_prefix(&place.root).ok().map(|below| below.to_string_lossy().into_owned());
    // The directory is followed as links lead, the file itself is not.
    let whole = std::path::absolute(named).ok().and_then(|path| {
        let directory = path.parent()?.canonicalize().ok()?;
        below(&directory.join(path.file_name()?))
    });
    texts.extend(whole);
    let text = named.to_string_lossy();
    let text = text.trim().trim_start_matches("[[").trim_end_matches("]]");
    let text = text.split(['|', '#']).next().unwrap_or_default().trim_start_matches("./");
    texts.extend([text.to_owned(), format!("wiki/{text}")]);
    let mut paths: Vec<FilePath> = Vec::new();
    for text in texts {
        for text in [format!("{text}.md"), text] {
            let Ok(path) = FilePath::new(text) else { continue };
            let is_its = base.content(&path).map_err(|error| place.failed(&error))?.is_some();
            let beside = path.lies_beside().filter(|_| !is_its);
            for path in beside.into_iter().chain([path]) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    }
    Ok(paths)
}
