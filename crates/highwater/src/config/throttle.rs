//! What a job's kind makes of its signals: which it can have, and the database that is asked where none is named. Owns these
//! rules; which fields go with which signal is the engine's.

use highwater_db::address::DatabaseAddress;
use highwater_engine::settings::{JobSettings, Problem, ThrottleSettings};

use super::KindSettings;

/// The database that a job of this kind works in, as an address; `None` where it works in none.
pub(crate) fn own_database(kind: &KindSettings) -> Option<&str> {
    kind.database().map(|database| database.expose())
}

/// What is wrong with the settings of every job, the kind of this one considered.
pub(super) fn problems(settings: &JobSettings, kind: &KindSettings) -> Vec<Problem> {
    let mut problems = settings.problems();
    for (index, throttle) in settings.throttle.iter().enumerate() {
        let at = format!("throttle[{index}]");
        problems.extend(unseen(throttle, kind, &at));
        problems.extend(no_database(throttle, kind, &at));
    }
    problems
}

/// A command contacts whom it likes: highwater sees none of its answers.
fn unseen(throttle: &ThrottleSettings, kind: &KindSettings, at: &str) -> Option<Problem> {
    let blind = matches!(kind, KindSettings::Exec(_));
    let word = throttle.signal.word();
    (blind && throttle.signal.is_seen_by_contacts()).then(|| {
        Problem::new(
            format!("{at}.signal"),
            format!("found `{word}` in a job of kind `{}`, whose contacts are not highwater's to see", kind.name()),
            "measure it yourself, with `signal = \"command\"` or `\"file\"`",
        )
    })
}

fn no_database(throttle: &ThrottleSettings, kind: &KindSettings, at: &str) -> Option<Problem> {
    if !throttle.signal.asks_a_database() {
        return None;
    }
    let word = throttle.signal.word();
    let named = throttle.database.as_ref().map(|database| database.expose());
    let Some(address) = named.or_else(|| own_database(kind)) else {
        return Some(Problem::new(
            format!("{at}.database"),
            format!("found no `database` to ask, and a job of kind `{}` works in none", kind.name()),
            "add `database = \"postgres://USER@HOST/DATABASE\"`, or `\"sqlite:PATH\"`",
        ));
    };
    let field = if named.is_some() { format!("{at}.database") } else { format!("{at}.signal") };
    match address.parse() {
        // What it says never shows the address.
        Err(error) => Some(Problem::new(
            field,
            format!("found an address that cannot be used: {}", highwater_engine::diagnosis::with_causes(&error)),
            "correct the address",
        )),
        Ok(DatabaseAddress::Sqlite(_)) if throttle.signal.asks_postgres() => Some(Problem::new(
            field,
            format!("found a SQLite file, expected a PostgreSQL server: `{word}` is a figure of one"),
            "name a server, or ask the file with `signal = \"sql\"` and a `query`",
        )),
        Ok(_) => None,
    }
}
