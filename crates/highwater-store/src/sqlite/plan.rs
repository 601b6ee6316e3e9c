//! What is still to be drained, in plan order: untried items first, then those to be tried again by (rank, position).

use highwater_engine::ledger::OpenItem;
use highwater_engine::name::{ItemKey, PassId, WorklistId};
use highwater_engine::outcome::OutcomeKind;
use rusqlite::{Connection, Row, params};

use super::column::{Count, Keyword, Name, Number, limit};
use super::fault::{Step, is_row_damage};
use super::{intent, worklist};

/// A page of open items.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Those that can be read; a damaged standing or intent counts as none.
    pub(super) items: Vec<OpenItem>,
    /// Rows that cannot, to be set aside.
    pub(super) damaged: Vec<Damaged>,
}

/// A row of an open item that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damaged {
    pub(super) position: u64,
    pub(super) part: Part,
    pub(super) why: String,
}

/// Which of an item's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What was pinned.
    Item,
    /// How it stands.
    Standing,
    /// What was about to happen.
    Intent,
}

/// Open items of a worklist that `pass` has not tried, after (rank, position).
pub(super) fn open_items(
    db: &Connection,
    id: WorklistId,
    pass: PassId,
    after: Option<(u32, u64)>,
    rows_max: usize,
) -> Step<Page> {
    worklist::known(db, id)?;
    let mut page = Page::default();
    let after_untried = match after {
        None => Some(-1),
        Some((0, position)) => Some(i64::try_from(position).unwrap_or(i64::MAX)),
        Some(_) => None,
    };
    if let Some(position) = after_untried {
        let mut untried = db.prepare_cached(include_str!("plan/untried.sql"))?;
        let mut rows = untried.query(params![Number(id), position, limit(rows_max)])?;
        while let Some(row) = rows.next()? {
            page.take(row, 0, 0)?;
        }
    }
    let rows_left = rows_max.saturating_sub(page.items.len() + page.damaged.len());
    if rows_left > 0 {
        // Below everything, a damaged rank too.
        let from_the_first = (i64::MIN, i64::MIN);
        let (rank, position) =
            after.map_or(from_the_first, |(rank, position)| (rank.into(), i64::try_from(position).unwrap_or(i64::MAX)));
        let mut retry = db.prepare_cached(include_str!("plan/retry.sql"))?;
        let mut rows = retry.query(params![Number(id), rank, position, Number(pass), limit(rows_left)])?;
        while let Some(row) = rows.next()? {
            page.take_retry(row)?;
        }
    }
    Ok(page)
}

impl Page {
    fn take_retry(&mut self, row: &Row<'_>) -> Step<()> {
        let standing = row.get::<_, Keyword<OutcomeKind>>(5).and_then(|_| Ok((row.get(6)?, row.get(7)?)));
        let (attempts, rank) = self.or_damaged(row, Part::Standing, standing)?.unwrap_or_default();
        self.take(row, attempts, rank)
    }

    fn take(&mut self, row: &Row<'_>, attempts: u32, rank: u32) -> Step<()> {
        let position = row.get::<_, Count>(0)?.0;
        let intent = self.or_damaged(row, Part::Intent, intent::read(row, 3, 4))?.flatten();
        let item = row.get::<_, Name<ItemKey>>(1).and_then(|key| Ok((key.0, row.get(2)?)));
        if let Some((key, payload)) = self.or_damaged(row, Part::Item, item)? {
            self.items.push(OpenItem { position, rank, key, payload, attempts, intent });
        }
        Ok(())
    }

    /// What was read, or `None` and a note of what could not be.
    fn or_damaged<T>(&mut self, row: &Row<'_>, part: Part, read: rusqlite::Result<T>) -> Step<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_row_damage(&error) => {
                let position = row.get::<_, Count>(0)?.0;
                self.damaged.push(Damaged { position, part, why: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
