//! The log of a base as pages: the newest entries in `log.md`, those before them by month, in parts. Owns which entries are on which
//! page. A commit writes the page with its entry, and the one that is full with it.

use jiff::Timestamp;

use crate::base::Draft;
use crate::base::Entry;
use crate::base::rows::derived::{Place, entries, entries_of_month, log, month_before, newest_entry, next_entry};
use crate::error::KbError;
use crate::page::rendered;
use crate::path::FilePath;

/// The page with the newest entries.
pub(crate) const LOG_PAGE: &str = "wiki/log.md";
/// What a base that was taken over said in its log before.
pub(crate) const LOG_BEFORE: &str = "wiki/log/before.md";
/// Where the others are.
const PARTS: &str = "wiki/log/";
/// How many entries a page has.
const ENTRIES_MAX: u32 = 200;
/// How many months before the newest the log links; what is earlier is linked from these.
const MONTHS_MAX: usize = 24;

/// Whether a file is of the log, which only grows: to go back is an entry of its own.
pub(crate) fn is_log(path: &FilePath) -> bool {
    path.as_str() == LOG_PAGE || path.as_str().starts_with(PARTS)
}

/// Adds entries to the log, and renders the pages that they are on where the base is one for people.
pub(crate) fn enter(draft: &mut Draft<'_>, at: Timestamp, new: &[Entry], is_shown: bool) -> Result<(), KbError> {
    let mut newest = None;
    for entry in new {
        let place = next_entry(draft.rows(), at)?;
        // The page that was the newest is one of the others now.
        if is_shown
            && place.n % ENTRIES_MAX == 1
            && let Some((month, last)) = before(draft, &place)?
        {
            render_part(draft, &month, last)?;
        }
        log(draft.rows(), at, entry)?;
        newest = Some(place);
    }
    match newest {
        Some(place) if is_shown => render(draft, place),
        _ => Ok(()),
    }
}

/// Writes a page of the log as the rows have it; nothing where they have none that is called so.
pub(super) fn again(draft: &mut Draft<'_>, path: &FilePath) -> Result<(), KbError> {
    if path.as_str() == LOG_PAGE {
        return newest_entry(draft.rows())?.map_or(Ok(()), |place| render(draft, place));
    }
    let Some((month, part)) = called(path) else { return Ok(()) };
    let last = entries_of_month(draft.rows(), month)?;
    // The newest entries are on another page.
    let is_newest =
        newest_entry(draft.rows())?.is_some_and(|newest| newest.month == month && part == part_of(newest.n));
    if last == 0 || is_newest || part > part_of(last) {
        return Ok(());
    }
    render_part(draft, month, last.min(part.saturating_mul(ENTRIES_MAX)))
}

/// Renders the page, which is not the newest, whose last entry is this one of a month.
fn render_part(draft: &mut Draft<'_>, month: &str, last: u32) -> Result<(), KbError> {
    let part = part_of(last);
    let listed = entries(draft.rows(), month, first_of(part), last)?;
    let links = earlier(draft, month, part)?;
    let page = rendered::log(&format!("Log of {month}, part {part}"), &links, &listed);
    draft.write(path(month, part), page.as_bytes())
}

/// Renders the page whose last entry is at this place.
fn render(draft: &mut Draft<'_>, place: Place) -> Result<(), KbError> {
    let part = part_of(place.n);
    let listed = entries(draft.rows(), &place.month, first_of(part), place.n)?;
    let mut links = earlier(draft, &place.month, part)?;
    let (mut month, mut months) = (place.month, Vec::new());
    while let Some(before) = month_before(draft.rows(), &month)?.filter(|_| months.len() < MONTHS_MAX) {
        months.push(format!("[[log/{before}-1|{before}]]"));
        month = before;
    }
    if !months.is_empty() {
        links.push(format!("Months: {}", months.join(", ")));
    }
    let page = rendered::log("Log", &links, &listed);
    draft.write(FilePath::new(LOG_PAGE).expect("invariant: it is below wiki/"), page.as_bytes())
}

/// The month and the number of the entry before this one.
fn before(draft: &Draft<'_>, place: &Place) -> Result<Option<(String, u32)>, KbError> {
    if place.n > 1 {
        return Ok(Some((place.month.clone(), place.n - 1)));
    }
    let Some(month) = month_before(draft.rows(), &place.month)? else { return Ok(None) };
    let last = entries_of_month(draft.rows(), &month)?;
    Ok(Some((month, last)))
}

/// A link to the part before this one.
fn earlier(draft: &Draft<'_>, month: &str, part: u32) -> Result<Vec<String>, KbError> {
    if part > 1 {
        return Ok(vec![format!("Earlier: [[log/{month}-{}]]", part - 1)]);
    }
    let Some(month) = month_before(draft.rows(), month)? else {
        let before = FilePath::new(LOG_BEFORE).expect("invariant: it is below wiki/");
        return Ok(draft.content(&before)?.map(|_| "Before: [[log/before]]".to_owned()).into_iter().collect());
    };
    let part = part_of(entries_of_month(draft.rows(), &month)?);
    Ok(vec![format!("Earlier: [[log/{month}-{part}]]")])
}

fn part_of(n: u32) -> u32 {
    n.saturating_sub(1) / ENTRIES_MAX + 1
}

fn first_of(part: u32) -> u32 {
    (part - 1) * ENTRIES_MAX + 1
}

/// The month and the part that a page is called by which is not the newest.
fn called(path: &FilePath) -> Option<(&str, u32)> {
    let (month, part) = path.as_str().strip_prefix(PARTS)?.strip_suffix(".md")?.rsplit_once('-')?;
    Some((month, part.parse().ok().filter(|part| *part > 0)?))
}

fn path(month: &str, part: u32) -> FilePath {
    FilePath::new(format!("{PARTS}{month}-{part}.md")).expect("invariant: a month and a number are a file's name")
}
