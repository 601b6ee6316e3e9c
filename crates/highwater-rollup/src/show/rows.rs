//! What is shown of every key, bucket by bucket, a page at a time. Owns that memory holds a page of it, however many keys a
//! bucket has.

use jiff::Timestamp;

use super::buckets::{BUCKETS_MAX, Buckets};
use super::cells::Rows;
use super::number::Number;
use super::standing::Standing;
use super::{Kind, Question, Refused};
use highwater_db::session::Session;

/// Most rows that are held at a time.
const PAGE_ROWS_MAX: usize = 5_000;
/// Buckets that the first page asks for; each later one asks for more or fewer, as they turn out to be large.
const PAGE_BUCKETS: usize = 64;
/// Most buckets of a page.
const PAGE_BUCKETS_MAX: usize = 2_000;

/// One bucket of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// The value of the key; `None` for NULL, and where there is no key.
    pub key: Option<String>,
    /// Its figure; `None` where nothing is known.
    pub value: Option<Number>,
    /// Whether the watermark is not before its end.
    pub complete: bool,
}

/// Gives every bucket and key that has a cell to `each`, in order, NULL last, in the transaction that is open.
///
/// # Errors
/// [`Refused`], and what `each` fails with.
pub async fn rows<E: From<Refused>>(
    session: &mut dyn Session,
    question: &Question<'_>,
    standing: &Standing,
    mut each: impl FnMut(&Buckets, Row) -> Result<(), E>,
) -> Result<Buckets, E> {
    let buckets = question.buckets(BUCKETS_MAX)?;
    let complete = buckets.complete(standing.complete_until());
    let edges = buckets.edges();
    let (mut at, mut wanted) = (0, PAGE_BUCKETS);
    let mut after: Option<String> = None;
    while at < buckets.count() {
        let end = (at + wanted).min(buckets.count());
        let page = Rows::Each { limit: PAGE_ROWS_MAX, after: after.as_deref() };
        let found = question.cells(session, &edges[at..=end], page).await?;
        if question.kind == Kind::Distinct {
            question.refuse_several(found.iter().map(|found| &found.cell))?;
        }
        let is_full = found.len() == PAGE_ROWS_MAX;
        // A bucket that a page ends in goes on after its last key; NULL is the last of all.
        let last = found.last().map(|last| (at + last.bucket, last.key.clone()));
        for found in found {
            let bucket = at + found.bucket;
            let row = Row {
                since: edges[bucket],
                until: edges[bucket + 1],
                key: found.key,
                value: found.cell.figure(question.kind),
                complete: bucket < complete,
            };
            each(&buckets, row)?;
        }
        match last {
            Some((bucket, key)) if is_full => {
                wanted = (wanted / 2).max(1);
                at = if key.is_some() { bucket } else { bucket + 1 };
                after = key;
            }
            _ => {
                wanted = (wanted * 2).min(PAGE_BUCKETS_MAX);
                at = end;
                after = None;
            }
        }
    }
    Ok(buckets)
}
