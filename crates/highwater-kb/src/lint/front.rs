//! What a page begins with. Owns which pages have front matter, and which types there are.

use super::{Finding, Kind, Look};
use crate::page::PageKind;
use crate::page::front::{Found, Front};
use crate::path::FilePath;

/// Types of pages that no document contributes to.
const OTHERS: [&str; 3] = ["index", "log", "guide"];

/// `kind` is what pages of its directory are; a page that lies elsewhere may begin as it likes.
pub(super) fn look(look: &mut Look<'_>, path: &FilePath, text: &str, kind: Option<PageKind>) {
    let begin = |kind: &str| format!("begin it with the lines `---`, `type: {kind}`, `---`");
    let expected = kind.map_or("concept", PageKind::type_word);
    let (fault, what, mends) = match Front::read(text) {
        Found::None if kind.is_some() => (Kind::FrontMatter, "it has no front matter".to_owned(), begin(expected)),
        Found::None => return,
        Found::Damaged(why) => {
            (Kind::FrontMatter, format!("its front matter cannot be read: {why}"), "correct it as YAML".to_owned())
        }
        Found::Front(Front { kind: None, .. }) if kind.is_none() => return,
        Found::Front(Front { kind: None, .. }) => {
            (Kind::UnknownType, "its front matter has no type".to_owned(), format!("add the line `type: {expected}`"))
        }
        Found::Front(Front { kind: Some(word), .. }) => {
            let known = PageKind::ALL.iter().map(|kind| kind.type_word()).chain(OTHERS);
            if kind.is_none() || known.clone().any(|known| known == word) {
                return;
            }
            let known: Vec<&str> = known.collect();
            (Kind::UnknownType, format!("there is no type {word:?}"), format!("write one of {}", known.join(", ")))
        }
    };
    look.tell(Finding { kind: fault, file: path.to_string(), line: Some(1), what, mends, fix: false });
}
