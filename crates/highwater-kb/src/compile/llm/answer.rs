//! What a model answered, read. Owns what is taken for an answer, leniently as to what stands around it and strictly as to what it is, and
//! how much of it comes onto pages: bounded, in Markdown of ours, with links to what the answer itself names.

use serde::Deserialize;

use crate::compile::{
    CONCEPTS_ALONE_MAX, CONCEPTS_MAX, Compiled, Contribution, DESCRIPTION_CHARS_MAX, ENTITIES_ALONE_MAX, ENTITIES_MAX,
};
use crate::llm::markdown::{Leads, own};
use crate::llm::{Answer, object, words};
use crate::page::{PageKind, PageName};
use crate::prose::{cut, plain};
use crate::tree::Section;

/// The most characters of a summary.
pub const SUMMARY_CHARS_MAX: usize = 8_000;
/// The most characters of what a document says on a page that it shares.
pub const BODY_CHARS_MAX: usize = 2_000;
/// The most characters of a title, and of a name.
const TITLE_CHARS_MAX: usize = 80;
/// The most characters of what a document is.
const KIND_CHARS_MAX: usize = 24;

/// Why an answer is none; it is told to the model, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it is empty")]
    Empty,
    #[error("it was cut off at the most tokens that an answer may have")]
    Cut,
    #[error("it has no JSON object: {0}")]
    NoJson(String),
    #[error("its JSON is not of the form that was asked for: {0}")]
    Form(String),
    #[error("its `{0}` says nothing")]
    Silent(&'static str),
}

/// An answer that is one.
#[derive(Debug, Deserialize)]
pub(super) struct Read {
    title: String,
    doc_type: String,
    description: String,
    summary: String,
    concepts: Vec<Named>,
    entities: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    description: String,
    body: String,
}

/// Reads an answer.
pub(super) fn read(answer: &Answer) -> Result<Read, NoAnswer> {
    let said = words(&answer.text);
    if said.trim().is_empty() {
        return Err(if answer.is_cut { NoAnswer::Cut } else { NoAnswer::Empty });
    }
    let object = object(said).map_err(|why| if answer.is_cut { NoAnswer::Cut } else { NoAnswer::NoJson(why) })?;
    let read: Read = serde_json::from_value(object).map_err(|error| NoAnswer::Form(error.to_string()))?;
    let fields = [
        ("title", &read.title),
        ("doc_type", &read.doc_type),
        ("description", &read.description),
        ("summary", &read.summary),
    ];
    let silent = fields.into_iter().find(|(_, text)| !says(text)).map(|(field, _)| field);
    silent.map_or(Ok(read), |field| Err(NoAnswer::Silent(field)))
}

fn says(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// A line, at most so long, without addresses: a reader would make links of them.
fn short(text: &str, chars_max: usize) -> String {
    let text = plain(text);
    let is_address = |word: &str| word.contains("://") || word.contains("www.");
    let words: Vec<&str> = text.split(' ').filter(|word| !is_address(word)).collect();
    cut(&words.join(" "), chars_max)
}

/// Links of an answer: to what it names itself, or to a page in full, which is there at the commit or stays words.
struct Own(Vec<PageName>);

impl Leads for Own {
    fn page(&self, target: &str) -> Option<PageName> {
        let target = target.split('#').next().unwrap_or_default().trim();
        let target = target.trim_start_matches("../").trim_start_matches("./");
        let target = target.strip_suffix(".md").unwrap_or(target);
        if let Ok(page) = target.parse::<PageName>() {
            let may =
                matches!(page.kind(), PageKind::Concept | PageKind::Entity | PageKind::Summary | PageKind::Source);
            return may.then_some(page);
        }
        let slugged = PageName::of_title(PageKind::Concept, target);
        self.0.iter().find(|own| own.stem() == slugged.stem()).cloned()
    }
}

impl Read {
    /// What the document contributes.
    pub(super) fn compiled(self, tree: &[Section]) -> Compiled {
        let mut entities = contributions(self.entities, PageKind::Entity, ENTITIES_MAX, ENTITIES_ALONE_MAX);
        let mut concepts = contributions(self.concepts, PageKind::Concept, CONCEPTS_MAX, CONCEPTS_ALONE_MAX);
        // What has a name of its own is no idea besides.
        concepts.retain(|concept| entities.iter().all(|entity| entity.page.stem() != concept.page.stem()));
        let leads = Own(concepts.iter().chain(&entities).map(|said| said.page.clone()).collect());
        for said in concepts.iter_mut().chain(&mut entities) {
            said.body = own(&said.body, &leads, BODY_CHARS_MAX);
        }
        concepts.append(&mut entities);
        concepts.retain(|said| !said.body.is_empty());
        concepts.sort_by_key(|said| !said.alone);
        Compiled {
            title: short(&self.title, TITLE_CHARS_MAX),
            doc_type: short(&self.doc_type, KIND_CHARS_MAX).to_lowercase(),
            description: short(&self.description, DESCRIPTION_CHARS_MAX),
            summary: own(&self.summary, &leads, SUMMARY_CHARS_MAX),
            tree: tree.to_vec(),
            contributions: concepts,
        }
    }
}

/// The first so many that say something of something, each once.
fn contributions(named: Vec<Named>, kind: PageKind, most: usize, alone_max: usize) -> Vec<Contribution> {
    let mut contributions: Vec<Contribution> = Vec::new();
    for named in named {
        if contributions.len() >= most {
            break;
        }
        let page = PageName::of_title(kind, &named.name);
        let is_new = contributions.iter().all(|known| known.page != page);
        if is_new && says(&named.name) && says(&named.body) {
            contributions.push(Contribution {
                page,
                title: short(&named.name, TITLE_CHARS_MAX),
                description: short(&named.description, DESCRIPTION_CHARS_MAX),
                body: named.body,
                alone: contributions.len() < alone_max,
            });
        }
    }
    contributions
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"title":"Tides","doc_type":"Report","description":"What tides are.","summary":"Tides **rise** [[Tidal range]].",
        "concepts":[{"name":"Tidal range","description":"A height.","body":"See [[Moon]] and [[nobody]]."},
            {"name":"tidal  RANGE","description":"","body":"again"},{"name":"!!","description":"","body":"x"},
            {"name":"Moon","description":"","body":"not an idea"}],
        "entities":[{"name":"Moon","description":"","body":"![x](http://evil/x.png) It [pulls](https://evil). <script>alert(1)</script>"}]}"#;

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), is_cut: false, model: "m".to_owned(), prompt_tokens: 1, answer_tokens: 1 }
    }

    #[test]
    fn an_answer_is_found_in_whatever_stands_around_it() {
        for (before, after) in [
            ("", ""),
            ("```json\n", "\n```"),
            ("Here {you} are:\n", "\nAnything else?"),
            ("<think>\n{\"a\": 1} no\n</think>\n", ""),
            ("\u{feff} ", " {}"),
        ] {
            let read = read(&answer(&format!("{before}{WHOLE}{after}"))).unwrap();
            assert_eq!(read.title, "Tides", "{before}");
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let told = |text: &str| read(&answer(text)).unwrap_err().to_string();
        assert_eq!(told(" \n"), "it is empty");
        assert_eq!(told("<think>for ever"), "it is empty");
        assert!(told("I cannot do that.").starts_with("it has no JSON object: expected `{`"));
        assert!(told(&WHOLE[..200]).starts_with("it has no JSON object: EOF"), "{}", told(&WHOLE[..200]));
        assert!(told("{\"title\": \"x\"}").contains("missing field `doc_type`"));
        assert!(told(&WHOLE.replace("\"Tides\"", "[1]")).contains("invalid type"));
        assert!(told(&WHOLE.replace("What tides are.", "...")).contains("`description` says nothing"));
        assert_eq!(read(&Answer { is_cut: true, ..answer(&WHOLE[..200]) }).unwrap_err(), NoAnswer::Cut);
    }

    #[test]
    fn only_what_may_come_onto_pages_does() {
        let compiled = read(&answer(WHOLE)).unwrap().compiled(&[]);
        assert_eq!(compiled.summary, "Tides **rise** [[concepts/tidal-range|Tidal range]].");
        assert_eq!(compiled.doc_type, "report");
        let said: Vec<_> =
            compiled.contributions.iter().map(|said| (said.page.to_string(), said.body.as_str())).collect();
        assert_eq!(
            said,
            [
                ("concepts/tidal-range".to_owned(), "See [[entities/moon|Moon]] and nobody."),
                ("entities/moon".to_owned(), "x It pulls. ‹script>alert(1)‹/script>"),
            ]
        );
        let many = |n: usize| format!(r#"{{"name":"N {n}","description":"","body":"b"}}"#);
        let list = (0..99).map(many).collect::<Vec<_>>().join(",");
        let long = WHOLE.replace("Tides **rise** [[Tidal range]].", &"word ".repeat(9_999));
        let long = long.replace(r#""entities":["#, &format!(r#""entities":[{list},"#));
        let compiled = read(&answer(&long)).unwrap().compiled(&[]);
        assert!(compiled.summary.chars().count() <= SUMMARY_CHARS_MAX + 1);
        assert_eq!(
            compiled.contributions.iter().filter(|said| said.page.kind() == PageKind::Entity).count(),
            ENTITIES_MAX
        );
        assert_eq!(compiled.contributions.iter().filter(|said| said.alone).count(), 2 + ENTITIES_ALONE_MAX);
    }
}
