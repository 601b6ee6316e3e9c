//! Items as people see them: by filter and order, a page at a time. Owns the search; how an item stands is
//! [`super::standing`]'s.

use highwater_engine::ledger::{ItemFilter, ItemOrder, ItemRecord};
use highwater_engine::name::{ITEM_KEY_BYTES_MAX, ItemKey, PassId, WorklistId};
use highwater_engine::outcome::OutcomeKind;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::column::{Count, Keyword, Micros, Name, Number, limit, outcome_keyword};
use super::fault::{Failure, Step, lenient};
use super::{seen, worklist};

/// The word that takes both retries.
const RETRY: &str = "retry";
/// Unknown keys that an error names.
const NAMED_KEYS: usize = 5;

/// A page of items; `after` is the position, or the number of the outcome, of the last one seen.
pub(super) fn list(
    db: &Connection,
    id: WorklistId,
    filter: &ItemFilter,
    order: ItemOrder,
    after: Option<u64>,
    rows_max: usize,
) -> Step<Vec<ItemRecord>> {
    worklist::known(db, id)?;
    let positions = match (filter, order) {
        (ItemFilter::Keys(keys), _) => return of_keys(db, id, keys, order, after, rows_max),
        (_, ItemOrder::Position) => by_position(db, id, filter, after, rows_max)?,
        (_, ItemOrder::Recorded) => by_outcome_no(db, id, filter, after, rows_max)?,
    };
    let mut items = Vec::with_capacity(positions.len());
    for position in positions {
        items.extend(get(db, id, position)?);
    }
    Ok(items)
}

/// Positions of items that a filter takes, in the order of the list, after `after`.
pub(super) fn by_position(
    db: &Connection,
    id: WorklistId,
    filter: &ItemFilter,
    after: Option<u64>,
    rows_max: usize,
) -> Step<Vec<u64>> {
    let (id, after, limit) = (Number(id), after_or_first(after), limit(rows_max));
    match filter {
        ItemFilter::All => positions(db, include_str!("item/all.sql"), params![id, after, limit]),
        ItemFilter::Open => positions(db, include_str!("item/open.sql"), params![id, after, limit]),
        ItemFilter::Outcome(word) if word == RETRY => {
            positions(db, include_str!("item/retry.sql"), params![id, after, limit])
        }
        ItemFilter::Outcome(word) if word == OutcomeKind::Done.word() => {
            positions(db, include_str!("item/done.sql"), params![id, after, limit])
        }
        ItemFilter::Outcome(word) => {
            positions(db, include_str!("item/outcome.sql"), params![id, after, limit, terminal(word)])
        }
        ItemFilter::Keys(keys) => of_known_keys(db, id.0, keys),
    }
}

/// The same in the order in which outcomes were recorded.
fn by_outcome_no(
    db: &Connection,
    id: WorklistId,
    filter: &ItemFilter,
    after: Option<u64>,
    rows_max: usize,
) -> Step<Vec<u64>> {
    let (id, after, limit) = (Number(id), after_or_first(after), limit(rows_max));
    let (one, or) = match filter {
        ItemFilter::All => return positions(db, include_str!("item/recorded.sql"), params![id, after, limit]),
        ItemFilter::Outcome(word) if word != RETRY => (terminal(word), terminal(word)),
        _ => (Some(outcome_keyword(OutcomeKind::Failed)), Some(outcome_keyword(OutcomeKind::Deferred))),
    };
    positions(db, include_str!("item/recorded_outcome.sql"), params![id, after, limit, one, or])
}

/// The word of a terminal outcome; another word takes no item.
fn terminal(word: &str) -> Option<&'static str> {
    OutcomeKind::terminal_from_word(word).map(outcome_keyword)
}

fn after_or_first(after: Option<u64>) -> i64 {
    after.map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX))
}

fn positions(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Step<Vec<u64>> {
    let mut select = db.prepare_cached(sql)?;
    let rows = select.query_map(values, |row| Ok(row.get::<_, Count>(0)?.0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The position of the item with this key; `None` when the worklist has none, or not yet.
pub(super) fn position_of(db: &Connection, id: WorklistId, key: &ItemKey) -> Step<Option<u64>> {
    let mut select = db.prepare_cached(include_str!("item/position_of_key.sql"))?;
    let values = params![Number(id), seen::hash(key.as_str()), Name(key)];
    Ok(select.query_row(values, |row| Ok(row.get::<_, Count>(0)?.0)).optional()?)
}

/// Positions of items with these keys, each once, in the order of the list; all must be there.
pub(super) fn of_known_keys(db: &Connection, id: WorklistId, keys: &[ItemKey]) -> Step<Vec<u64>> {
    let (mut positions, mut unknown) = (Vec::with_capacity(keys.len()), Vec::new());
    for key in keys {
        match position_of(db, id, key)? {
            Some(position) => positions.push(position),
            None => unknown.push(key.as_str()),
        }
    }
    if unknown.is_empty() {
        positions.sort_unstable();
        positions.dedup();
        return Ok(positions);
    }
    let more =
        if unknown.len() > NAMED_KEYS { format!(" and {} more", unknown.len() - NAMED_KEYS) } else { String::new() };
    unknown.truncate(NAMED_KEYS);
    Err(Failure::not_there(format!("worklist {id} has no item {}{more}; nothing was changed", unknown.join(", "))))
}

fn of_keys(
    db: &Connection,
    id: WorklistId,
    keys: &[ItemKey],
    order: ItemOrder,
    after: Option<u64>,
    rows_max: usize,
) -> Step<Vec<ItemRecord>> {
    let mut items = Vec::new();
    for key in keys {
        let Some(position) = position_of(db, id, key)? else { continue };
        items.extend(get(db, id, position)?);
    }
    let place = |item: &ItemRecord| match order {
        ItemOrder::Position => Some(item.position),
        ItemOrder::Recorded => item.recorded_no,
    };
    items.retain(|item| place(item).is_some_and(|place| after.is_none_or(|after| place > after)));
    items.sort_by_key(place);
    items.dedup_by_key(|item| item.position);
    items.truncate(rows_max);
    Ok(items)
}

fn get(db: &Connection, id: WorklistId, position: u64) -> Step<Option<ItemRecord>> {
    let mut select = db.prepare_cached(include_str!("item/get.sql"))?;
    Ok(select.query_row(params![Number(id), Count(position)], |row| read(row, position)).optional()?)
}

/// What cannot be read is shown as untried, as a pass would take it (R14); the pass is who sets it aside.
fn read(row: &Row<'_>, position: u64) -> rusqlite::Result<ItemRecord> {
    Ok(ItemRecord {
        position,
        key: key_as_shown(row.get_ref(0)?),
        outcome: lenient(row.get::<_, Option<Keyword<OutcomeKind>>>(1))?.map(|kind| kind.0),
        detail: lenient(row.get(2))?,
        attempts: lenient(row.get(3))?.unwrap_or_default(),
        deferrals: lenient(row.get(4))?.unwrap_or_default(),
        recorded_at: lenient(row.get::<_, Option<Micros>>(5))?.map(|at| at.0),
        recorded_no: lenient(row.get::<_, Option<Count>>(6))?.map(|no| no.0),
        pass: lenient(row.get::<_, Option<Number<PassId>>>(7))?.map(|pass| pass.0),
    })
}

/// The key, or what can be shown of a damaged one.
fn key_as_shown(value: ValueRef<'_>) -> ItemKey {
    let text = String::from_utf8_lossy(value.as_bytes().unwrap_or_default());
    let text: String = text.replace('\0', "\u{fffd}").chars().take(ITEM_KEY_BYTES_MAX / 4).collect();
    let exact = value.as_str().ok().and_then(|key| ItemKey::new(key).ok());
    exact
        .or_else(|| ItemKey::new(text).ok())
        .unwrap_or_else(|| ItemKey::new("\u{fffd}").expect("invariant: one character is a key"))
}
