//! `kb`: knowledge bases. Owns the codes of what its commands refuse; each verb is in a file of its own.

mod add;
mod adopt;
mod ask;
mod chat;
mod convert;
mod fates;
mod gc;
mod init;
mod lint;
mod list;
mod log;
mod named;
mod pass;
mod place;
mod query;
mod rebuild;
mod recompile;
mod remove;
mod resolve;
mod review;
mod search;
mod status;
mod typed;
mod undo;
mod visualize;
mod watch;

use std::path::Path;

use crate::Done;
use crate::cli::{Global, KbVerb};
use crate::output::Output;
use crate::wiring::kb::NO_BASE;

/// What is wrong with a document.
const DOCUMENT: &str = "HW-KB-001";
/// No document can be converted on this machine.
const NO_CONVERSION: &str = "HW-KB-002";
/// The directory for what is converted holds something.
const TAKEN: &str = "HW-KB-003";
/// The conversion is to be tried again.
const AGAIN: &str = "HW-KB-004";
/// A base cannot be made there.
const NOT_MADE: &str = "HW-KB-024";
/// Another change of the base does not end.
const BUSY: &str = "HW-KB-025";
/// A page is in no conflict.
const NO_CONFLICT: &str = "HW-KB-031";
/// The database of a base can be used, and is not made again.
const WHOLE: &str = "HW-KB-032";
/// There is nothing to make the database of a base from.
const NOTHING: &str = "HW-KB-034";
/// A file is none that was drawn before.
const NOT_DRAWN: &str = "HW-KB-033";
/// There is no such generation.
const NO_GENERATION: &str = "HW-KB-026";
/// What is to stand somewhere is not stored any more.
const LOST: &str = "HW-KB-053";
/// What is asked needs a language model, or fewer words.
const NO_MODEL: &str = "HW-KB-040";
/// A session cannot be had, or not go on.
const NO_SESSION: &str = "HW-KB-041";
/// A question has no answer.
const NO_ANSWER: &str = "HW-KB-042";
/// A directory of a base of the older kind is a symlink.
const NO_DIRECTORY: &str = "HW-KB-052";
/// There is no such document.
const UNKNOWN_DOCUMENT: &str = "HW-KB-027";
/// There is no base of the older kind.
const NONE_OLDER: &str = "HW-KB-046";
/// A base of the older kind is there.
const IS_OLDER: &str = "HW-KB-047";
/// The registry of the older kind cannot be read.
const NO_REGISTRY: &str = "HW-KB-048";
/// The older program is at work.
const OLDER_BUSY: &str = "HW-KB-049";
/// A base with a history of its own is there.
const HAS_HISTORY: &str = "HW-KB-050";

pub(crate) fn kb(verb: KbVerb, global: &Global) -> Done {
    let kb = verb.kb().map(Path::to_owned);
    of_base(verb, global).map_err(|errors| typed::errors_about(errors, kb.as_deref()))
}

fn of_base(verb: KbVerb, global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    match verb {
        KbVerb::Init(args) if args.adopt => adopt::adopt(&args, output),
        KbVerb::Init(args) => init::init(&args, output),
        KbVerb::Add(args) => add::add(&args, global),
        KbVerb::Watch(args) => watch::watch(&args, global),
        KbVerb::Remove(args) => remove::remove(&args, output),
        KbVerb::Recompile(args) => recompile::recompile(&args, global),
        KbVerb::List(which) => list::list(&which, output),
        KbVerb::Search(args) => search::search(&args, output),
        KbVerb::Query(args) => query::query(&args, global),
        KbVerb::Chat(args) => chat::chat(&args, global),
        KbVerb::Undo(args) => undo::undo(&args, output),
        KbVerb::Status(which) => status::status(&which, global, output),
        KbVerb::Resolve(args) => resolve::resolve(&args, output),
        KbVerb::Rebuild(args) => rebuild::rebuild(&args, output),
        KbVerb::Visualize(args) => visualize::visualize(&args, output),
        KbVerb::Lint(args) => lint::lint(&args, global),
        KbVerb::Log(args) => log::log(&args, output),
        KbVerb::Gc(args) => gc::gc(&args, output),
        KbVerb::Convert(args) => convert::convert(&args, output),
    }
}

/// A text as a terminal may show it, at most so many characters of it.
fn shown(text: &str, chars_max: usize) -> String {
    let plain = text.trim().chars().filter(|character| !character.is_control() || matches!(character, '\n' | '\t'));
    let mut shown: String = plain.clone().take(chars_max).collect();
    if plain.count() > chars_max {
        shown.push_str(" …");
    }
    shown
}
