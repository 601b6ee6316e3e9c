//! An answer as a page of the wiki, in `wiki/explorations/`. Owns what such a page looks like and is called: the same question has the same
//! page, whose answer is replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::Answered;
use crate::base::{Base, BaseLock, Fate};
use crate::error::KbError;
use crate::llm::markdown::{Leads, own};
use crate::page::front::{Found, Front};
use crate::page::plain::{line, one_line};
use crate::page::render::link_to;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// The most characters of an answer on its page.
const ANSWER_CHARS_MAX: usize = 20_000;
/// Hexadecimal digits that tell questions of one name apart.
const MARK_DIGITS: usize = 6;

/// An answer that is a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The page.
    pub page: PageName,
    /// The generation that has it; `None` where the page said the same already.
    pub generation: Option<u32>,
    /// What became of each file, where a person had edited it.
    pub fates: BTreeMap<FilePath, Fate>,
}

/// Makes an answer a page.
///
/// # Errors
/// What the base says; [`Base::commit`].
pub fn keep(base: &mut Base, held: &BaseLock, at: Timestamp, answered: &Answered) -> Result<Kept, KbError> {
    // What a crash left unshown is shown before the page's name is looked for.
    base.finish(held)?;
    let page = name(base, &answered.question)?;
    let text = rendered(answered);
    let path = page.path();
    let committed =
        base.commit(held, at, "query", &one_line(&answered.question), |draft| draft.write(path, text.as_bytes()))?;
    let (generation, fates) = committed.map(|done| (done.generation, done.fates)).unzip();
    Ok(Kept { page, generation, fates: fates.unwrap_or_default() })
}

/// What the page of a question is called; where another question has that name, with a mark.
fn name(base: &Base, question: &str) -> Result<PageName, KbError> {
    let plain = PageName::of_title(PageKind::Exploration, question);
    let mark = blake3::hash(question.as_bytes()).to_hex();
    let marked = || PageName::of_title(PageKind::Exploration, &format!("{} {}", &mark[..MARK_DIGITS], plain.stem()));
    let Some(bytes) = base.read(&plain.path())? else { return Ok(plain) };
    let is_its = match Front::read(&String::from_utf8_lossy(&bytes)) {
        Found::Front(front) => front.description == Some(one_line(question)),
        _ => false,
    };
    Ok(if is_its { plain } else { marked() })
}

/// Where an answer leads: the pages that it links, and those that it cites.
struct Sources<'a>(&'a Answered);

impl Leads for Sources<'_> {
    fn page(&self, target: &str) -> Option<PageName> {
        let target = target.split('#').next().unwrap_or_default();
        target.parse().ok().filter(|page| self.0.linked.contains(page))
    }

    fn cited(&self, number: u32) -> Option<String> {
        let passage = self.0.passages.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        Some(link_to(&passage.page, &number.to_string()))
    }
}

fn rendered(answered: &Answered) -> String {
    let cited = || answered.passages.iter().zip(1_u32..).filter(|(_, number)| answered.cited.contains(number));
    let mut sources: Vec<String> = Vec::new();
    for (passage, _) in cited() {
        let source = passage.page.to_string();
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    let front = Front {
        kind: Some(PageKind::Exploration.type_word().to_owned()),
        description: Some(one_line(&answered.question)),
        sources,
        ..Front::default()
    };
    let mut page = format!("{}\n# {}\n", front.write(), line(&answered.question));
    let body = own(&answered.text, &Sources(answered), ANSWER_CHARS_MAX);
    let _ = write!(page, "\n{body}\n");
    if !answered.cited.is_empty() {
        page.push_str("\n## Sources\n\n");
        for (passage, number) in cited() {
            let _ = writeln!(page, "- {number}: {}", link_to(&passage.page, &passage.place()));
        }
    }
    let _ = write!(page, "\nAnswered by {}.\n", line(&answered.model));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Passage;

    #[test]
    fn a_page_says_where_its_answer_is_from() {
        let passage = |page: &str, lines| Passage {
            page: page.parse().unwrap(),
            title: "Tides [1]".into(),
            heading: "Springs".into(),
            lines,
            pages: Some((3, 4)),
            text: "words".into(),
        };
        let answered = Answered {
            question: "Why [[x]] # tides?\n---".into(),
            text: "They **rise** [1] and fall [3]. See [[concepts/tides|them]], [out](https://evil). <b>x</b>\n\n## No heading".into(),
            passages: vec![
                passage("sources/tides", Some((80, 120))),
                passage("summaries/tides", None),
                passage("sources/tides", Some((130, 140))),
            ],
            cited: [1, 3].into(),
            linked: ["concepts/tides".parse().unwrap()].into(),
            dropped: 0,
            is_cut: false,
            model: "small|1".into(),
        };
        insta::assert_snapshot!(rendered(&answered));
    }
}
