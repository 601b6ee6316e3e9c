//! Which buckets are verified. Owns how a sample is drawn: by its seed, again, the same.

use fastrand::Rng;
use highwater_db::session::{Dialect, Fault, Session};
use jiff::Timestamp;

use crate::declare::{BUCKET, Declaration};
use crate::recompute::{self, Span};
use crate::sql::Shape;

/// Most buckets of a sample.
pub const SAMPLE_BUCKETS_MAX: u32 = 1_000;
/// Seeds of chance are below this, so that a person can type one.
const SEEDS: u64 = 1_000_000;
/// Draws for each bucket of a sample before what was found is all: of few buckets, the same are drawn again and again.
const DRAWS_PER_BUCKET_MAX: u32 = 8;

/// Which buckets are verified; what is frozen never is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Only those that begin then or later.
    pub since: Option<Timestamp>,
    /// Only those that begin before.
    pub until: Option<Timestamp>,
    /// Only these.
    pub buckets: Option<Vec<Timestamp>>,
}

impl Scope {
    /// All buckets.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The bucket of a time and all later ones.
    #[must_use]
    pub fn since(declaration: &Declaration, time: Timestamp) -> Self {
        Self { since: Some(declaration.grain.begin(time)), ..Self::default() }
    }

    /// Whether it is all buckets.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The scope without what is frozen.
    pub(crate) fn live(&self, frozen: Option<Timestamp>) -> Self {
        Self { since: self.since.max(frozen), ..self.clone() }
    }

    /// Whether a stored cell is in it, by its `bucket`.
    pub(crate) fn stored(&self, shape: &Shape<'_>) -> String {
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(self.since.map(|since| format!("bucket >= {}", shape.instant(since))));
        conditions.extend(self.until.map(|until| format!("bucket < {}", shape.instant(until))));
        if self.buckets.is_some() {
            conditions.push(format!("bucket IN (SELECT bucket FROM {})", self.listed(shape)));
        }
        conditions.join(" AND ")
    }

    /// The cells that the raw rows yield of it.
    pub(crate) fn fresh(&self, shape: &Shape<'_>) -> String {
        let at = shape.at(&shape.event_time());
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(self.since.map(|since| format!("{at} >= {}", shape.edge(&shape.instant(since)))));
        conditions.extend(self.until.map(|until| format!("{at} < {}", shape.edge(&shape.instant(until)))));
        let mut before = String::new();
        if self.buckets.is_some() {
            // The buckets first, so that the source is read by its event time.
            before = format!("{}\nCROSS JOIN ", self.listed(shape));
            conditions.push(format!("{at} >= {} AND {at} < {}", shape.edge("b.bucket"), shape.end_of("b.bucket")));
        } else if shape.dialect == Dialect::Sqlite {
            conditions.push(shape.is_in_time(&at));
        }
        shape.fresh(&before, &conditions.join(" AND "))
    }

    /// The buckets of the sample as a table `b` of one column.
    fn listed(&self, shape: &Shape<'_>) -> String {
        let values: Vec<String> =
            self.buckets.iter().flatten().map(|bucket| format!("({})", shape.instant(*bucket))).collect();
        if values.is_empty() {
            return format!("(SELECT {BUCKET} FROM {} WHERE false) AS b", shape.declaration.target.quoted());
        }
        format!("(SELECT column1 AS {BUCKET} FROM (VALUES {}) AS listed) AS b", values.join(", "))
    }
}

/// Buckets of a scope, drawn at random among those that hold events or cells: at most so many, and all of them where there are
/// no more. Also the seed, the given one or one of chance: it draws the same ones from the same data.
///
/// # Errors
/// [`Fault`].
pub async fn sample(
    session: &mut dyn Session,
    declaration: &Declaration,
    scope: &Scope,
    buckets_max: u32,
    seed: Option<u64>,
) -> Result<(Scope, u64), Fault> {
    let seed = seed.unwrap_or_else(|| fastrand::u64(..SEEDS));
    let scope = scope.live(crate::freeze::limit(session, declaration).await?);
    let mut buckets = Vec::new();
    if let Some(extent) = extent(session, declaration).await? {
        let (secs, from) = (declaration.grain.secs(), scope.since.map_or(extent.from, |since| since.max(extent.from)));
        let count = (extent.to.as_second() - from.as_second()) / secs;
        let mut rng = Rng::with_seed(seed);
        let mut draws = u64::from(buckets_max.min(SAMPLE_BUCKETS_MAX)) * u64::from(DRAWS_PER_BUCKET_MAX);
        while count > 0 && draws > 0 && buckets.len() < buckets_max.min(SAMPLE_BUCKETS_MAX) as usize {
            draws -= 1;
            let drawn = Timestamp::from_second(from.as_second() + rng.i64(0..count) * secs).unwrap_or(from);
            // One that holds something, and the first such after a gap.
            let found = match next(session, declaration, drawn).await? {
                Some(found) => Some(found),
                None => next(session, declaration, from).await?,
            };
            let Some(found) = found else { break };
            if !buckets.contains(&found) {
                buckets.push(found);
            }
        }
    }
    buckets.sort_unstable();
    Ok((Scope { buckets: Some(buckets), ..scope }, seed))
}

/// The buckets that hold events or cells.
async fn extent(session: &mut dyn Session, declaration: &Declaration) -> Result<Option<Span>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let of_source = recompute::extent(session, declaration).await?;
    let sql = format!(
        "SELECT {}, {} FROM {}",
        shape.seconds("min(bucket)"),
        shape.seconds("max(bucket)"),
        declaration.target.quoted()
    );
    let row = session.first(&sql, &[]).await?;
    let of_target = row.and_then(|row| row[0].int().zip(row[1].int())).map(|(first, last)| {
        let time = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        Span { from: time(first), to: time(last + declaration.grain.secs()) }
    });
    Ok(match (of_source, of_target) {
        (Some(source), Some(target)) => Some(Span { from: source.from.min(target.from), to: source.to.max(target.to) }),
        (one, other) => one.or(other),
    })
}

/// The first bucket from a time on that holds an event or a cell.
async fn next(
    session: &mut dyn Session,
    declaration: &Declaration,
    from: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let shape = Shape::of(session.dialect(), declaration);
    let at = shape.at(&declaration.event_time.quoted());
    let instant = shape.instant(from);
    let sql = format!(
        "SELECT (SELECT {} FROM {} WHERE bucket >= {instant}), (SELECT {} FROM {} WHERE {at} >= {} AND {})",
        shape.seconds("min(bucket)"),
        declaration.target.quoted(),
        shape.event_seconds(&format!("min({at})")),
        declaration.source.quoted(),
        shape.edge(&instant),
        shape.is_in_time(&at)
    );
    let Some(row) = session.first(&sql, &[]).await? else { return Ok(None) };
    let first = row[0].int().into_iter().chain(row[1].int()).min();
    Ok(first.and_then(|second| Timestamp::from_second(second).ok()).map(|time| declaration.grain.begin(time)))
}
