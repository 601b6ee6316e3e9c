//! `retry`: a person puts items back to untried.

use highwater_engine::ledger::{ItemFilter, PAGE_ROWS_MAX, Word};
use highwater_engine::name::{JobName, WorklistId};
use highwater_engine::worklist::{WorklistRecord, reopen};
use rusqlite::Connection;

use super::fault::{Failure, Step};
use super::standing::{Standings, make_untried};
use super::{event, item, job, worklist};

pub(super) fn retry(db: &Connection, name: &JobName, filter: &ItemFilter, word: &Word) -> Step<u64> {
    let record = current(db, name)?;
    let id = record.id;
    let mut tally = record.tally;
    let mut standings = Standings::of(db, id, word.at)?;
    let mut reopened = 0;
    for_each_page(db, id, filter, |position| {
        let mut taken = standings.take(position, &mut tally)?;
        let was_tried = reopen(&mut taken.standing, &mut tally);
        make_untried(db, id, position)?;
        if was_tried {
            standings.drop_intent(position)?;
            reopened += 1;
        }
        Ok(())
    })?;
    worklist::set_tally(db, id, &tally)?;
    if reopened == 0 {
        return Ok(0);
    }
    worklist::reopen(db, id)?;
    job::set_drained(db, name, false)?;
    job::revise(db, name)?;
    event::add(db, "retry", Some(name), None, &counted(word, reopened))?;
    Ok(reopened)
}

/// The worklist whose items a person may change.
pub(super) fn current(db: &Connection, name: &JobName) -> Step<WorklistRecord> {
    let Some(id) = job::known(db, name)?.worklist else {
        return Err(Failure::not_there(format!("job {name} has no worklist")));
    };
    let record = worklist::whole(db, id)?;
    worklist::refuse_forgotten(db, &record)?;
    Ok(record)
}

/// The word with how many items it changed.
pub(super) fn counted(word: &Word, items: u64) -> Word {
    let noun = if items == 1 { "item" } else { "items" };
    let why = if word.why.is_empty() { String::new() } else { format!(": {}", word.why) };
    Word { why: format!("{items} {noun}{why}"), ..word.clone() }
}

/// Does `change` to every item that the filter takes, a page of positions in memory at a time.
fn for_each_page(
    db: &Connection,
    id: WorklistId,
    filter: &ItemFilter,
    mut change: impl FnMut(u64) -> Step<()>,
) -> Step<()> {
    let mut after = None;
    loop {
        let page = item::by_position(db, id, filter, after, PAGE_ROWS_MAX)?;
        for position in &page {
            change(*position)?;
        }
        // Keys are one page, however many they are.
        if page.len() < PAGE_ROWS_MAX || matches!(filter, ItemFilter::Keys(_)) {
            return Ok(());
        }
        after = page.last().copied();
    }
}
