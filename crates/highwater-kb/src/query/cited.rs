//! What an answer cites and links, checked. Owns that `[n]` is a passage that was read, and `[[page]]` a page that is there; what is not, is
//! left out and counted.

use std::collections::BTreeSet;

use crate::error::KbError;
use crate::page::PageName;

/// The most digits of a passage's number.
const DIGITS_MAX: usize = 3;
/// The most bytes of a link.
const LINK_BYTES_MAX: usize = 300;

/// An answer whose citations and links lead somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Checked {
    pub(super) text: String,
    pub(super) cited: BTreeSet<u32>,
    pub(super) linked: BTreeSet<PageName>,
    pub(super) dropped: u32,
}

/// Checks an answer from so many passages.
pub(super) fn checked(
    said: &str,
    passages: usize,
    mut has: impl FnMut(&PageName) -> Result<bool, KbError>,
) -> Result<Checked, KbError> {
    let mut checked = Checked::default();
    // A terminal is told nothing but text.
    let said: String = said.chars().filter(|character| !character.is_control() || *character == '\n').collect();
    let mut rest = said.trim();
    while let Some(at) = rest.find('[') {
        checked.text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((inner, after)) = enclosed(rest, "[[", "]]") {
            let (target, alias) = inner.split_once('|').unwrap_or((inner, inner));
            let target = target.split('#').next().unwrap_or_default().trim();
            let page = target.strip_suffix(".md").unwrap_or(target).parse::<PageName>().ok();
            match page {
                Some(page) if has(&page)? => {
                    checked.text.push_str(&page.link(alias));
                    checked.linked.insert(page);
                }
                _ => {
                    checked.text.push_str(alias.trim());
                    checked.dropped += 1;
                }
            }
            rest = after;
        } else if let Some((numbers, after)) =
            enclosed(rest, "[", "]").and_then(|(inner, after)| Some((numbers(inner)?, after)))
        {
            for number in numbers {
                if usize::try_from(number).is_ok_and(|number| (1..=passages).contains(&number)) {
                    checked.text.push_str(&format!("[{number}]"));
                    checked.cited.insert(number);
                } else {
                    checked.text.truncate(checked.text.trim_end_matches(' ').len());
                    checked.dropped += 1;
                }
            }
            rest = after;
        } else {
            checked.text.push('[');
            rest = &rest[1..];
        }
    }
    checked.text.push_str(rest);
    checked.text = checked.text.trim().to_owned();
    Ok(checked)
}

/// What stands between two marks at the beginning of a text, on one line, and what is after them.
fn enclosed<'t>(text: &'t str, begin: &str, end: &str) -> Option<(&'t str, &'t str)> {
    let inner = text.strip_prefix(begin)?;
    let at = inner.find(end).filter(|at| *at <= LINK_BYTES_MAX)?;
    let (inner, after) = (&inner[..at], &inner[at + end.len()..]);
    (!inner.contains(['\n', '['])).then_some((inner, after))
}

/// `2`, or `1, 2`.
fn numbers(inner: &str) -> Option<Vec<u32>> {
    let parts = inner.split([',', ';']).map(str::trim);
    parts
        .map(|part| {
            let digits = (1..=DIGITS_MAX).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| digits)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str) -> (String, Vec<u32>, u32) {
        let has = |page: &PageName| Ok(page.to_string() == "concepts/tides");
        let Checked { text, cited, dropped, .. } = checked(said, 3, has).unwrap();
        (text, cited.into_iter().collect(), dropped)
    }

    #[test]
    fn what_leads_nowhere_is_left_out_and_counted() {
        assert_eq!(check("They rise [1], they fall [9]."), ("They rise [1], they fall.".into(), vec![1], 1));
        assert_eq!(check("Both [1, 3; 4]."), ("Both [1][3].".into(), vec![1, 3], 1));
        assert_eq!(
            check("See [[concepts/tides|them]] and [[concepts/none|those]] and [[none]]."),
            ("See [[concepts/tides|them]] and those and none.".into(), vec![], 2)
        );
        assert_eq!(check("[x] [0] [1234] [[ [2"), ("[x] [1234] [[ [2".into(), vec![], 1));
        assert_eq!(check("a\u{1b}[31mred\u{7}"), ("a[31mred".into(), vec![], 0));
    }
}
