//! `skip`: a person gives items without a success the outcome `skipped`.

use highwater_engine::ledger::Word;
use highwater_engine::name::{ItemKey, JobName};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::worklist::{Standing, reopen, settle};
use rusqlite::Connection;

use super::fault::Step;
use super::standing::Standings;
use super::{event, item, job, retry, worklist};

pub(super) fn skip(db: &Connection, name: &JobName, keys: &[ItemKey], word: &Word) -> Step<u64> {
    let record = retry::current(db, name)?;
    let mut tally = record.tally;
    let mut standings = Standings::of(db, record.id, word.at)?;
    let mut skipped = 0;
    for position in item::of_known_keys(db, record.id, keys)? {
        let mut taken = standings.take(position, &mut tally)?;
        if taken.standing.outcome.is_some_and(|kind| kind.is_success() || kind == OutcomeKind::Skipped) {
            continue;
        }
        let Standing { attempts, deferrals, .. } = taken.standing;
        // A `review` is terminal, and only a person's word is above it; the breaker no longer counts what a person judged.
        reopen(&mut taken.standing, &mut tally);
        let outcome = Outcome::because(OutcomeKind::Skipped, word.why.as_str());
        let outcome = settle(&mut taken.standing, &mut tally, outcome, u32::MAX);
        (taken.standing.attempts, taken.standing.deferrals) = (attempts, deferrals);
        standings.set(&taken, &outcome, &tally, None)?;
        standings.drop_intent(position)?;
        skipped += 1;
    }
    worklist::set_tally(db, record.id, &tally)?;
    if skipped > 0 {
        job::set_last_drained(db, name, word.at)?;
        job::revise(db, name)?;
        event::add(db, "skip", Some(name), None, &retry::counted(word, skipped))?;
    }
    Ok(skipped)
}
