//! What is shown by weekday and hour of a zone. Owns how often each of them was there: a clock that is set forward skips an
//! hour, one that is set back shows it twice.

use highwater_db::session::Session;
use jiff::civil::Date;

use super::buckets::Buckets;
use super::cells::{Cell, Rows};
use super::number::Number;
use super::standing::Standing;
use super::{Kind, Question, Refused};

/// Days of a week, from Monday.
pub const DAYS: usize = 7;
/// Hours of a day.
pub const HOURS: usize = 24;
/// Hours that are read at a time.
const PAGE_HOURS: usize = 2_000;

/// Figures by weekday and hour.
#[derive(Debug, Clone)]
pub struct Heat {
    /// The hours that it is made of.
    pub buckets: Buckets,
    /// The first day and the last.
    pub days: (Date, Date),
    /// How many of them, from the first on, are complete; the others are left out.
    pub complete: usize,
    /// A figure each, from Monday and midnight on; of what adds up it is the mean of one hour. `None` where nothing is known.
    pub figures: [[Option<Number>; HOURS]; DAYS],
    /// How often each hour was there, complete.
    pub hours: [[u64; HOURS]; DAYS],
    /// Whether hours of the zone begin within an hour of the target: then each is counted where it begins.
    pub straddle: bool,
}

/// Answers by weekday and hour, in the transaction that is open; keys are not told apart.
///
/// # Errors
/// [`Refused`].
pub async fn heat(session: &mut dyn Session, question: &Question<'_>, standing: &Standing) -> Result<Heat, Refused> {
    let kind = question.kind;
    if kind == Kind::Distinct {
        return Err(Refused::Distinct {
            value: question.value.to_string(),
            what: "an hour of a weekday is several cells of the rollup".to_owned(),
        });
    }
    let (buckets, days) = Buckets::hours(&question.span, &question.zone, question.declaration.grain, question.now)?;
    let complete = buckets.complete(standing.complete_until());
    let slots: Vec<(usize, usize)> = buckets.edges()[..complete]
        .iter()
        .map(|edge| {
            let local = buckets.local(*edge);
            let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
            (day, usize::try_from(local.hour()).unwrap_or(0))
        })
        .collect();
    let mut hours = [[0_u64; HOURS]; DAYS];
    slots.iter().for_each(|(day, hour)| hours[*day][*hour] += 1);
    let mut cells: [[Cell; HOURS]; DAYS] = Default::default();
    for at in (0..complete).step_by(PAGE_HOURS) {
        let end = (at + PAGE_HOURS).min(complete);
        for found in question.cells(session, &buckets.edges()[at..=end], Rows::One).await? {
            let (day, hour) = slots[at + found.bucket];
            cells[day][hour].add(kind, &found.cell);
        }
    }
    let figure = |day: usize, hour: usize| {
        let count = Number::Exact(hours[day][hour].into());
        match (kind, cells[day][hour].figure(kind)) {
            (Kind::Adds, figure) if hours[day][hour] > 0 => figure.unwrap_or_else(Number::zero).over(&count),
            (_, figure) => figure,
        }
    };
    let figures = std::array::from_fn(|day| std::array::from_fn(|hour| figure(day, hour)));
    let straddle = buckets.straddle() || buckets.edges().iter().any(|edge| buckets.local(*edge).minute() != 0);
    Ok(Heat { buckets, days, complete, figures, hours, straddle })
}
