//! The guard: is a rollup complete, so that what it replaces may be taken away? Owns what complete means, and the figures.
//!
//! Complete means that the watermark trails the newest event by no more than a threshold. Only events that a watermark could
//! have covered count: one that is dated later than the database's clock counts as if it were of now, since no watermark ever
//! passes that clock. So an application whose clock runs ahead keeps nobody waiting for a time that is still to come, and a
//! single event of the year 2099 asks for a watermark that is fresh, not for one of that year. For the same reason a watermark
//! that is itself later than the clock proves nothing.
//!
//! Of a declared rollup more is known. Entries that wait in its queues for longer than the threshold are changes that are not in the
//! target, however old the events are that they are about, and whether any event is left. What went past the triggers, such as
//! TRUNCATE, is proved by nothing until a tick has settled it, however new it is. And a seed that a person let begin later than the
//! first event leaves buckets without their events, whatever its watermark says.

mod block;

use std::fmt;
use std::time::Duration;

pub use block::block;
use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use jiff::{SignedDuration, Timestamp};

use crate::bypass;
use crate::declare::{Declaration, Ident, TableName};
use crate::freeze;
use crate::sql::Shape;
use crate::state;
use crate::window::{Mark, Moment, ReadError, WatermarkAt, Window, is_there};

/// How far a watermark may trail the newest event, unless told, in seconds.
pub const THRESHOLD_SECS: u64 = 3600;

/// The rollup that is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'s> {
    /// One that highwater installed.
    Declared(&'s Declaration),
    /// One whose pipeline is somebody's own.
    Window(&'s Window),
}

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The watermark.
    pub watermark: Timestamp,
    /// The newest event that a watermark could have covered: no later than the database's clock; `None` where there is no event.
    pub newest: Option<Timestamp>,
    /// The newest event, where it is dated later than the database's clock.
    pub ahead: Option<Timestamp>,
    /// When the oldest change was queued that is still to be taken; always `None` of a window.
    pub queued: Option<Timestamp>,
    /// The database's clock.
    pub now: Timestamp,
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is complete within the threshold.
    Complete(Figures),
    /// There is no event, and so nothing to prove.
    SourceEmpty,
    /// It is not complete.
    Behind {
        /// What was compared.
        figures: Figures,
        /// How far it trails.
        by: SignedDuration,
    },
    /// Its watermark is later than the database's clock by more than the threshold, and proves nothing.
    Ahead(Figures),
    /// A declared rollup whose buckets were not all computed once.
    NotSeeded {
        /// The newest event; `None` where there is none, but changes that wait.
        newest: Option<Timestamp>,
    },
    /// A declared rollup that was seeded, and has no watermark: no tick has stamped one, or somebody took it away.
    NotStamped {
        /// When it was seeded.
        seeded_at: Timestamp,
    },
    /// A declared rollup whose seed began later than its first event: the buckets before that were never computed.
    Partial {
        /// The beginning of the first bucket that was.
        from: Timestamp,
        /// The earliest event.
        first: Timestamp,
    },
    /// Something went past the triggers of a declared rollup, and no tick has settled it.
    Unsettled {
        /// What it was.
        what: String,
    },
    /// The row that holds the watermark is missing, or of a window it is NULL: nobody knows how far it is.
    StateMissing {
        /// The table.
        table: String,
        /// Whether there is a row.
        is_null: bool,
        /// The statement that mends it, by a watermark below every event; everything is then to be computed again.
        mend: String,
    },
    /// The table that holds the watermark is not there.
    NotInstalled {
        /// The table.
        table: String,
        /// Whether there are events that it should tell of.
        has_events: bool,
    },
}

impl Answer {
    /// Whether what the rollup replaces may be taken away.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_) | Self::SourceEmpty | Self::NotInstalled { has_events: false, .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(figures) => write!(f, "complete: {figures}"),
            Self::SourceEmpty => f.write_str("complete: there is no event"),
            Self::Behind { figures, by } => write!(f, "behind by {by:#}: {figures}"),
            Self::Ahead(figures) => {
                write!(f, "not proved: the watermark is later than the database's clock: {figures}")
            }
            Self::NotSeeded { newest: Some(newest) } => write!(f, "not seeded: the newest event is of {newest}"),
            Self::NotSeeded { newest: None } => f.write_str("not seeded: there is no event, and changes wait"),
            Self::NotStamped { seeded_at } => {
                write!(f, "not proved: it was seeded at {seeded_at:.0}, and has no watermark")
            }
            Self::Partial { from, first } => write!(
                f,
                "seeded in part: from {from} on, and the earliest event is of {first}; the buckets before that were never computed"
            ),
            Self::Unsettled { what } => {
                write!(f, "not proved: {}; no trigger fires for that, and no tick has settled it", what)
            }
            Self::StateMissing { table, is_null: true, .. } => write!(f, "not known: the watermark in {table} is NULL"),
            Self::StateMissing { table, is_null: false, .. } => {
                write!(f, "not known: {table} has no row for the watermark")
            }
            Self::NotInstalled { table, has_events: true } => {
                write!(f, "not installed: there are events, and no table {table}")
            }
            Self::NotInstalled { table, has_events: false } => {
                write!(f, "not installed: there is no table {table}, and no event that it should tell of")
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watermark {}, ", self.watermark)?;
        match self.newest {
            Some(newest) => write!(f, "newest event {newest}")?,
            None => f.write_str("no event")?,
        }
        if let Some(ahead) = self.ahead {
            write!(f, " (events are dated up to {ahead}, later than the database's clock, and count as of now)")?;
        }
        if let Some(queued) = self.queued {
            write!(f, ", oldest queued change {queued}")?;
        }
        Ok(())
    }
}

/// Asks. Changes nothing. No transaction may be open.
///
/// # Errors
/// [`ReadError`].
pub async fn guard(session: &mut dyn Session, subject: Subject<'_>, threshold: Duration) -> Result<Answer, ReadError> {
    // The watermark first: what is inserted in between makes the answer stricter, never laxer.
    let mark = subject.mark(session).await?;
    let events = subject.events(session).await;
    if mark == Mark::NoTable {
        let has_events = match events {
            Ok(events) => events.extent.is_some(),
            // Both are to come, with a migration perhaps.
            Err(ReadError::Fault(Fault { kind: FaultKind::Undefined, .. })) => false,
            Err(error) => return Err(error),
        };
        return Ok(Answer::NotInstalled { table: subject.table().to_string(), has_events });
    }
    let events = events?;
    if let Some(what) = subject.unsettled(session).await? {
        return Ok(Answer::Unsettled { what });
    }
    let queued = subject.queued(session).await?;
    let is_due = queued.is_some_and(|queued| events.now.duration_since(queued) > signed(threshold));
    if events.extent.is_none() && !is_due {
        return Ok(Answer::SourceEmpty);
    }
    let (first, last) = events.extent.unzip();
    let newest = last.map(|last| last.min(events.now));
    let watermark = match (mark, subject) {
        (Mark::At(watermark), _) => watermark,
        (Mark::Null, Subject::Declared(declaration)) => {
            let state = state::read(session, declaration).await?;
            let seeded_at = state.and_then(|state| state.seeded_at);
            return Ok(seeded_at.map_or(Answer::NotSeeded { newest }, |seeded_at| Answer::NotStamped { seeded_at }));
        }
        (mark, _) => {
            let is_null = mark == Mark::Null;
            let mend = subject.mend(session, mark, first.unwrap_or(events.now)).await?;
            return Ok(Answer::StateMissing { table: subject.table().to_string(), is_null, mend });
        }
    };
    if let (Some(from), Some(first)) = (subject.seeded_from(session).await?, first)
        && first < from
    {
        return Ok(Answer::Partial { from, first });
    }
    let ahead = last.filter(|last| *last > events.now);
    Ok(judged(Figures { watermark, newest, ahead, queued, now: events.now }, threshold))
}

fn signed(threshold: Duration) -> SignedDuration {
    SignedDuration::try_from(threshold).unwrap_or(SignedDuration::MAX)
}

fn judged(figures: Figures, threshold: Duration) -> Answer {
    let threshold = signed(threshold);
    if figures.watermark.duration_since(figures.now) > threshold {
        return Answer::Ahead(figures);
    }
    let trails = figures.newest.map_or(SignedDuration::ZERO, |newest| newest.duration_since(figures.watermark));
    let waits = figures.queued.map_or(SignedDuration::ZERO, |queued| figures.now.duration_since(queued));
    match trails.max(waits) {
        by if by > threshold => Answer::Behind { figures, by },
        _ => Answer::Complete(figures),
    }
}

/// What there is to tell of.
struct Events {
    /// The earliest and the latest; nothing where there is none.
    extent: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
}

impl Subject<'_> {
    /// The table of its watermark.
    fn table(&self) -> TableName {
        match self {
            Self::Declared(declaration) => state::name(declaration),
            Self::Window(window) => window.watermark.table.clone(),
        }
    }

    async fn mark(&self, session: &mut dyn Session) -> Result<Mark, ReadError> {
        let declaration = match self {
            Self::Window(window) => return window.watermark.read(session).await,
            Self::Declared(declaration) => declaration,
        };
        if !is_there(session, &state::name(declaration)).await? {
            return Ok(Mark::NoTable);
        }
        let Some(state) = state::read(session, declaration).await? else { return Ok(Mark::NoRow) };
        // A watermark without a seed would deny that buckets are missing.
        Ok(state.seeded_at.and(state.watermark).map_or(Mark::Null, Mark::At))
    }

    async fn events(&self, session: &mut dyn Session) -> Result<Events, ReadError> {
        let dialect = session.dialect();
        let [first, last, now] = ["b.first", "b.last", now(dialect)].map(|time| Moment::of(dialect, time));
        let sql = format!(
            "{}\nSELECT {}, {}, {} FROM b",
            self.bounds(dialect),
            first.columns(),
            last.columns(),
            now.columns()
        );
        let row = session.first(&sql, &[]).await?.ok_or_else(|| ReadError::NoRow { what: "`bounds`".to_owned() })?;
        let (first, last) =
            (Moment::read("the earliest event", &row[..2])?, Moment::read("the latest event", &row[2..4])?);
        let now = Moment::read("the database's clock", &row[4..])?.expect("invariant: a clock is not NULL");
        Ok(Events { extent: first.zip(last), now })
    }

    /// `WITH b (first, last) AS (…)`: the times of the earliest and of the latest event.
    fn bounds(&self, dialect: Dialect) -> String {
        match self {
            Self::Window(window) => window.bounds(),
            Self::Declared(declaration) => {
                let at = Shape::of(dialect, declaration).at(&declaration.event_time.quoted());
                format!("WITH b (first, last) AS (SELECT min({at}), max({at}) FROM {})", declaration.source.quoted())
            }
        }
    }

    /// What went past the triggers and is not settled, where anything did.
    async fn unsettled(&self, session: &mut dyn Session) -> Result<Option<String>, Fault> {
        let Some(sql) = self.unsettled_sql(session.dialect()) else { return Ok(None) };
        let row = session.first(&sql, &[]).await?;
        Ok(row.and_then(|row| row[0].text().map(str::to_owned)))
    }

    /// A query of one text; of a window nobody knows.
    fn unsettled_sql(&self, dialect: Dialect) -> Option<String> {
        match self {
            Self::Window(_) => None,
            Self::Declared(declaration) => bypass::unsettled(&Shape::of(dialect, declaration)),
        }
    }

    /// Where the seed began, if that was later than it had to be.
    async fn seeded_from(&self, session: &mut dyn Session) -> Result<Option<Timestamp>, Fault> {
        match self {
            Self::Window(_) => Ok(None),
            Self::Declared(declaration) => {
                Ok(state::read(session, declaration).await?.and_then(|state| state.seeded_from))
            }
        }
    }

    /// When the oldest entry of the queues was queued.
    async fn queued(&self, session: &mut dyn Session) -> Result<Option<Timestamp>, ReadError> {
        let Some(sql) = self.oldest_queued(session.dialect()) else { return Ok(None) };
        let moment = Moment::of(session.dialect(), "q.at");
        let row = session.first(&format!("SELECT {} FROM ({sql}) AS q", moment.columns()), &[]).await?;
        row.map_or(Ok(None), |row| Moment::read("the oldest queued change", &row))
    }

    /// A query of one row and one column `at`; a window has no queue that is known.
    fn oldest_queued(&self, dialect: Dialect) -> Option<String> {
        let Self::Declared(declaration) = self else { return None };
        let shape = Shape::of(dialect, declaration);
        let queues: Vec<String> = shape
            .tracked
            .iter()
            .map(|table| format!("SELECT min(changed_at) AS at FROM {}", shape.queue(table)))
            .collect();
        Some(format!("SELECT min(at) AS at FROM ({}) AS each", queues.join(" UNION ALL ")))
    }

    /// The statement that puts a watermark where none is, below every event.
    async fn mend(&self, session: &mut dyn Session, mark: Mark, first: Timestamp) -> Result<String, Fault> {
        match self {
            // Seeding is what gives it a watermark.
            Self::Declared(declaration) => freeze::state_row(session, declaration).await,
            Self::Window(window) => window.watermark.mend(session, mark, first.min(Timestamp::UNIX_EPOCH)).await,
        }
    }
}

fn now(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "clock_timestamp()",
        Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    }
}

impl WatermarkAt {
    pub(crate) async fn mend(&self, session: &mut dyn Session, mark: Mark, to: Timestamp) -> Result<String, Fault> {
        let (table, column) = (self.table.quoted(), self.column.quoted());
        let to = match session.dialect() {
            Dialect::Sqlite if self.holds_numbers(session).await? => to.as_second().to_string(),
            _ => format!("'{to}'"),
        };
        if mark == Mark::Null {
            return Ok(format!("UPDATE {table} SET {column} = {to} WHERE {};", self.condition("")));
        }
        let columns: Vec<String> = self.key.keys().map(Ident::quoted).chain([column]).collect();
        let values: Vec<String> = self.key.values().map(ToString::to_string).chain([to]).collect();
        Ok(format!("INSERT INTO {table} ({}) VALUES ({});", columns.join(", "), values.join(", ")))
    }

    /// Whether SQLite would keep a time there as seconds.
    pub(crate) async fn holds_numbers(&self, session: &mut dyn Session) -> Result<bool, Fault> {
        let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE lower(name) = lower(?2) AND type LIKE '%INT%'";
        let values = [Value::from(self.table.table().as_str()), Value::from(self.column.as_str())];
        Ok(session.first(sql, &values).await?.and_then(|row| row[0].int()) == Some(1))
    }
}

#[cfg(test)]
mod tests;
