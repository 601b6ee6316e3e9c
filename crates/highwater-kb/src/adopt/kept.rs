//! What stood on pages that this kind renders anew: the log, and what a person wrote into the index. Owns where it is kept, so that
//! it is still read where somebody would look for it.

use std::collections::BTreeMap;

use highwater_fs::{Fs, FsError};

use super::shelf;
use super::survey::Survey;
use crate::base::{Objects, PAGE_BYTES_MAX};
use crate::content::ContentId;
use crate::error::KbError;
use crate::fold;
use crate::page::front::Front;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// The index of a base.
const INDEX: &str = "wiki/index.md";
/// What the page is called that keeps it.
const INDEX_KEPT: &str = "index before";
/// How many names are tried for it.
const NAMES_MAX: u32 = 100;
/// The headings of the older index.
const HEADINGS: [&str; 5] = ["# Knowledge Base Index", "## Documents", "## Concepts", "## Entities", "## Explorations"];
/// How a line of it begins that ours has too.
const LISTED: [&str; 3] = ["- [[summaries/", "- [[concepts/", "- [[entities/"];

/// Where the older index is to be kept, if it says something that ours does not.
pub(super) fn index(disk: &dyn Fs) -> Result<Option<FilePath>, FsError> {
    let index = FilePath::new(INDEX).expect("invariant: it is below wiki/");
    let Ok(bytes) = shelf::read(disk, &index, PAGE_BYTES_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    if !says_more(&text) {
        return Ok(None);
    }
    for n in 1..=NAMES_MAX {
        let title = if n == 1 { INDEX_KEPT.to_owned() } else { format!("{INDEX_KEPT} {n}") };
        let path = PageName::of_title(PageKind::Exploration, &title).path();
        // An earlier call may have kept it already.
        let is_it = |there: Vec<u8>| String::from_utf8_lossy(&there).ends_with(&*text);
        if shelf::kind(disk, &path.to_rel())?.is_none()
            || shelf::read(disk, &path, 2 * PAGE_BYTES_MAX)?.is_ok_and(is_it)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether an older index has a line that ours does not have.
fn says_more(index: &str) -> bool {
    index.lines().map(str::trim_end).any(|line| {
        let is_known =
            line.is_empty() || HEADINGS.contains(&line) || LISTED.iter().any(|begin| line.starts_with(begin));
        !is_known
    })
}

/// The pages that keep what is rendered anew, with their bytes.
pub(super) fn pages(
    survey: &Survey,
    placed: &BTreeMap<FilePath, ContentId>,
    objects: Objects<'_>,
) -> Result<Vec<(FilePath, String)>, KbError> {
    let path = |path: &str| FilePath::new(path).expect("invariant: it is below wiki/");
    let log =
        (fold::LOG_PAGE, Some(path(fold::LOG_BEFORE)), "log", "What was done to this base before it was taken over.");
    let kind = PageKind::Exploration.type_word();
    let index = (INDEX, survey.index_kept.clone(), kind, "The index as it was before this base was taken over.");
    let mut pages = Vec::new();
    for (from, to, kind, description) in [log, index] {
        let (Some(content), Some(to)) = (placed.get(&path(from)), to) else { continue };
        let bytes = match objects.read(*content, PAGE_BYTES_MAX) {
            Ok(bytes) => bytes,
            // The first generation has it.
            Err(KbError::Fs(FsError::TooLarge { .. })) => continue,
            Err(error) => return Err(error),
        };
        let front =
            Front { kind: Some(kind.to_owned()), description: Some(description.to_owned()), ..Front::default() };
        pages.push((to, format!("{}\n{}", front.write(), String::from_utf8_lossy(&bytes))));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_only_lists_says_nothing_more() {
        let plain = "# Knowledge Base Index\n\n## Documents\n- [[summaries/a]] (short) — A.\n\n## Explorations\n";
        assert!(!says_more(plain));
        assert!(says_more(&format!("{plain}- [[explorations/why]]\n")));
        assert!(says_more(&format!("Mine.\n{plain}")));
    }
}
