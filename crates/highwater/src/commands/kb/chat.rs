//! `kb chat`: questions and answers, line by line. Owns the conversation at the terminal or in a pipe; what was said is the session's.

use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::name::JobName;
use highwater_engine::report::ExitCode;
use highwater_engine::shell::quoted_path;
use highwater_kb::chat::{Session, SessionError, Turn};
use highwater_kb::query::{Answered, QUESTION_BYTES_MAX};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::ask::{self, Asker};
use super::place::Place;
use super::{NO_MODEL, NO_SESSION};
use crate::cli::{Global, KbChat};
use crate::output::Output;
use crate::{Done, in_runtime};

/// Where sessions are, below the state directory.
const SESSIONS: &str = "chat";
/// What a person is asked with.
const PROMPT: &str = "> ";

pub(super) fn chat(args: &KbChat, global: &Global) -> Done {
    let one = |error| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    let llm = args.llm.settings().map_err(one)?;
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let sessions = ask::state(&place).join(SESSIONS);
    if args.list {
        let names = Session::names(&sessions).map_err(|error| one(failed(&error).in_file(&sessions)))?;
        output.answer(&json!({ "sessions": names }), names.join("\n"));
        return Ok(ExitCode::Drained);
    }
    let Some(llm) = llm else {
        let message = "a conversation needs a language model, and none is named";
        let next =
            "name one: `--llm-url URL --llm-model MODEL`; without one, `highwater kb query` shows what the base says";
        return Err(one(Diagnosis::refusal(NO_MODEL, message, next)));
    };
    let name = match &args.session {
        Some(name) => JobName::new(name.as_str()).map(|name| name.to_string()).map_err(|_| {
            let message =
                "found what no session is called, expected a letter or digit, then letters, digits, `.`, `_`, `-`";
            one(Diagnosis::refusal(NO_SESSION, message, "correct it; `--list` names those that there are")
                .at_field("--session"))
        })?,
        None => place.clock.now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d-%H%M%S").to_string(),
    };
    let site = ask::site(global, &place).map_err(one)?;
    let mut session =
        Session::open(&sessions, &name).map_err(|error| one(failed(&error).in_file(sessions.join(&name))))?;
    in_runtime(async {
        let asker = Asker::new(&place, &site, &llm).map_err(one)?;
        let ended = converse(&asker, &place, &mut session, &name, output).await;
        if session.turns().is_empty() && session.damaged() == 0 {
            // Nothing was said: it need not be there.
            let _ = std::fs::remove_file(session.path());
        }
        ended
    })
}

fn failed(error: &SessionError) -> Diagnosis {
    match error {
        SessionError::Busy => Diagnosis::refusal(
            NO_SESSION,
            error.to_string(),
            "let that one end, or begin another: leave `--session` out",
        ),
        error => Diagnosis::failure(NO_SESSION, with_causes(error), "check the disk, its space and its permissions"),
    }
}

async fn converse(asker: &Asker<'_>, place: &Place, session: &mut Session, name: &str, output: Output) -> Done {
    let at_terminal = stdin().is_terminal() && !output.json && !output.quiet;
    match session.turns().len() {
        0 => output.note(format_args!(
            "a new session; go on with it later: highwater kb chat --session {name} --kb {}",
            quoted_path(&place.root)
        )),
        turns => output.note(format_args!("session {name} goes on, with {turns} answers so far")),
    }
    if session.damaged() > 0 {
        output.note(format_args!("  note: {} lines of it cannot be read, and are passed over", session.damaged()));
    }
    let mut questions = questions();
    loop {
        if at_terminal {
            anstream::eprint!("{PROMPT}");
        }
        let question = tokio::select! {
            question = questions.recv() => question,
            () = asker.stopped() => return Ok(ExitCode::Drained),
        };
        let question = match question {
            None => return Ok(ExitCode::Drained),
            Some(Ok(Some(question))) => question,
            Some(Ok(None)) => {
                output.note("  note: a line that is no UTF-8 was passed over: ask it again, as UTF-8");
                continue;
            }
            Some(Err(why)) => {
                return Err(vec![Diagnosis::refusal(NO_SESSION, why, "ask in shorter lines")]);
            }
        };
        let question = question.trim();
        if question.is_empty() {
            continue;
        }
        match asker.answer(question, &session.before()).await {
            Ok(Some(answered)) => {
                session
                    .add(turn(&answered, place))
                    .map_err(|error| vec![failed(&error).in_file(session.path().to_owned())])?;
                output.answer(&ask::json(&answered, asker.paid()), ask::told(&answered));
                ask::notes(&answered).iter().for_each(|note| output.note(format_args!("  note: {note}")));
            }
            Ok(None) if output.json => {
                output.json(&json!({ "question": question, "answer": Value::Null, "sources": [] }));
            }
            Ok(None) => output.line("nothing in the base says anything of that"),
            Err(none) => return none.told(output),
        }
    }
}

fn turn(answered: &Answered, place: &Place) -> Turn {
    let cited = answered.passages.iter().zip(1_u32..).filter(|(_, number)| answered.cited.contains(number));
    Turn {
        at: place.clock.now(),
        question: answered.question.clone(),
        answer: answered.text.clone(),
        sources: cited.map(|(passage, number)| (number, passage.clone())).collect(),
    }
}

/// The lines of standard input; `None` for one that is no UTF-8. A thread of its own reads them: nothing waits for it when the conversation ends.
fn questions() -> mpsc::Receiver<Result<Option<String>, String>> {
    let (to, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = input.by_ref().take(QUESTION_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
            let question = match read {
                Ok(0) => return,
                Ok(_) if line.len() > QUESTION_BYTES_MAX => {
                    Err(format!("found a line of more than {QUESTION_BYTES_MAX} bytes"))
                }
                Ok(_) => Ok(String::from_utf8(line).ok()),
                Err(error) => Err(format!("standard input cannot be read: {error}")),
            };
            let is_last = question.is_err();
            if to.blocking_send(question).is_err() || is_last {
                return;
            }
        }
    });
    lines
}
