//! How far a rollup is, as far as its own tables and the database's clock tell. Owns what counts as complete.

use highwater_db::session::{Dialect, Fault, Session};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::declare::Declaration;
use crate::recompute::Span;
use crate::state;

/// How far a rollup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The watermark, seeded or not.
    pub watermark: Option<Timestamp>,
    /// When every bucket had been computed once.
    pub seeded_at: Option<Timestamp>,
    /// The beginning of the first bucket that was, where the seed began later than the first event.
    pub seeded_from: Option<Timestamp>,
    /// The database's clock.
    pub now: Timestamp,
    /// From the first bucket that has a cell to the end of the last.
    #[serde(skip)]
    pub extent: Option<Span>,
}

impl Standing {
    /// The time below which buckets are complete; `None` where none is known to be.
    #[must_use]
    pub fn complete_until(&self) -> Option<Timestamp> {
        // Without a seed a watermark says nothing of what was there before it.
        self.seeded_at.and(self.watermark)
    }

    /// How far the watermark is behind the database's clock.
    #[must_use]
    pub fn behind(&self) -> Option<SignedDuration> {
        self.watermark.map(|watermark| self.now.duration_since(watermark))
    }
}

/// Reads it.
///
/// # Errors
/// [`Fault`], [`highwater_db::session::FaultKind::Undefined`] where the rollup is not installed.
pub async fn standing(session: &mut dyn Session, declaration: &Declaration) -> Result<Standing, Fault> {
    let (dialect, secs) = (session.dialect(), declaration.grain.secs());
    let state = state::read(session, declaration).await?;
    let (now, epoch) = match dialect {
        Dialect::Postgres => (
            "to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
            ["min", "max"].map(|edge| format!("floor(extract(epoch FROM {edge}(bucket)))::bigint")),
        ),
        Dialect::Sqlite => (
            "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            ["min", "max"]
                .map(|edge| format!("unixepoch((SELECT {edge}(bucket) FROM {}))", declaration.target.quoted())),
        ),
    };
    let [first, last] = epoch;
    let from = match dialect {
        Dialect::Postgres => format!(" FROM {}", declaration.target.quoted()),
        // Each edge is a query of its own there, so that the index answers it.
        Dialect::Sqlite => String::new(),
    };
    let row = session.first(&format!("SELECT {now}, {first}, {last}{from}"), &[]).await?;
    let row = row.expect("invariant: an aggregate has a row");
    let time = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let extent = row[1].int().zip(row[2].int()).map(|(first, last)| Span { from: time(first), to: time(last + secs) });
    let now = row[0].text().and_then(|text| text.parse().ok()).expect("invariant: the clock is written as RFC 3339");
    let (watermark, seeded_at, seeded_from) =
        state.map_or((None, None, None), |state| (state.watermark, state.seeded_at, state.seeded_from));
    Ok(Standing { watermark, seeded_at, seeded_from, now, extent })
}
