//! The pages of a base and their links, as one HTML page that needs nothing else. Owns which pages are drawn, and that what a document
//! is called can only ever be text there: names stand in the page as JSON in which no tag can end, the script makes text of them, and the
//! page itself forbids every script but its own.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::base::Snapshot;
use crate::error::KbError;
use crate::page::front::{Found, Front};
use crate::page::{PageKind, PageName, front, plain};

/// How many pages are drawn, unless told: more are slow to draw, and nobody sees a thing in them.
pub const PAGES_MAX: usize = 5_000;
/// How much is told of what a page is about, in characters.
const TEXT_CHARS_MAX: usize = 400;
/// Rows that are read at a time.
const ROWS: u32 = 1_000;

/// The kinds that are drawn, with what they are called. A document's text is drawn as its summary.
const KINDS: [(PageKind, &str); 4] = [
    (PageKind::Summary, "Documents"),
    (PageKind::Concept, "Concepts"),
    (PageKind::Entity, "Entities"),
    (PageKind::Exploration, "Explorations"),
];

const PAGE: &str = include_str!("graph/page.html");
const STYLE: &str = include_str!("graph/page.css");
const SCRIPT: &str = concat!(include_str!("graph/layout.js"), include_str!("graph/page.js"));

/// With what a page of these begins: by it one is known that may be written over.
pub const MARK: &str = "<meta name=\"generator\" content=\"highwater kb visualize\">";

/// Pages and their links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// What the kinds are called.
    pub kinds: Vec<&'static str>,
    /// The pages, those with the most links first.
    pub pages: Vec<Node>,
    /// Which pages one links to the other, by their places in the list; in no direction, and each once.
    pub links: Vec<(u32, u32)>,
    /// How many pages there are, those that are not drawn among them.
    #[serde(skip)]
    pub all: usize,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// As a link names it: `concepts/tides`.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// The place of its kind in the list of kinds.
    pub kind: usize,
    /// What it is about, as it says itself.
    pub text: String,
}

impl Graph {
    /// Reads the pages of a generation: at most `pages_max`, those with the most links.
    ///
    /// # Errors
    /// What the rows or the disk say.
    pub fn read(snapshot: &Snapshot, pages_max: usize) -> Result<Self, KbError> {
        let nodes = nodes(snapshot)?;
        let place: HashMap<&str, usize> = nodes.iter().enumerate().map(|(n, node)| (node.name.as_str(), n)).collect();
        let mut degrees = vec![0_u32; nodes.len()];
        each_link(snapshot, &place, |from, to| {
            degrees[from] += 1;
            degrees[to] += 1;
        })?;
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|one, other| (degrees[*other], &nodes[*one].name).cmp(&(degrees[*one], &nodes[*other].name)));
        order.truncate(pages_max);
        let drawn: HashMap<usize, u32> = order.iter().copied().zip(0..).collect();
        let mut links = BTreeSet::new();
        each_link(snapshot, &place, |from, to| {
            if let (Some(from), Some(to)) = (drawn.get(&from), drawn.get(&to)) {
                links.insert((*from.min(to), *from.max(to)));
            }
        })?;
        let page = |n: &usize| Ok(Node { text: told(snapshot, &nodes[*n].name)?, ..nodes[*n].clone() });
        Ok(Self {
            kinds: KINDS.iter().map(|(_, called)| *called).collect(),
            pages: order.iter().map(page).collect::<Result<_, KbError>>()?,
            links: links.into_iter().collect(),
            all: nodes.len(),
        })
    }

    /// The page that draws it.
    #[must_use]
    pub fn html(&self, title: &str) -> String {
        let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let mut counts = format!("{}, {}", counted(self.pages.len(), "page"), counted(self.links.len(), "link"));
        if self.pages.len() < self.all {
            counts = format!("{counts}; of {} pages those with the most links", self.all);
        }
        let graph = serde_json::to_string(self).expect("invariant: a graph is JSON");
        // Nothing of JSON needs these outside of its texts, and there they may be written so.
        let graph = graph.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
        filled(&[
            ("{title}", &escaped(title)),
            ("{counts}", &escaped(&counts)),
            ("{style-hash}", &hash(STYLE)),
            ("{script-hash}", &hash(SCRIPT)),
            ("{style}", STYLE),
            ("{script}", SCRIPT),
            ("{graph}", &graph),
        ])
    }
}

/// The page with its places filled, from its beginning on: what is put in one is not looked at again.
fn filled(places: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(PAGE.len() + places.iter().map(|(_, with)| with.len()).sum::<usize>());
    let mut rest = PAGE;
    loop {
        let next = places.iter().filter_map(|(place, with)| Some((rest.find(place)?, *place, *with))).min();
        let Some((at, place, with)) = next else { break };
        page.push_str(&rest[..at]);
        page.push_str(with);
        rest = &rest[at + place.len()..];
    }
    page.push_str(rest);
    page
}

/// What the page allows of what stands in it.
///
/// # Source
/// <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn escaped(text: &str) -> String {
    let text = plain::one_line(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn nodes(snapshot: &Snapshot) -> Result<Vec<Node>, KbError> {
    let mut nodes = Vec::new();
    for (kind, (of, _)) in KINDS.into_iter().enumerate() {
        let mut after = Vec::new();
        loop {
            let listed = snapshot.listed_after(of, &after, ROWS)?;
            let Some(last) = listed.last() else { break };
            after = last.key.clone();
            let titled = |name: &PageName, title: String| if title.is_empty() { name.stem().to_owned() } else { title };
            nodes.extend(listed.into_iter().map(|page| Node {
                title: titled(&page.name, page.title),
                name: page.name.to_string(),
                kind,
                text: String::new(),
            }));
        }
    }
    explorations(snapshot, &mut nodes)?;
    Ok(nodes)
}

/// Pages that somebody kept are files alone; they are called by their heading.
fn explorations(snapshot: &Snapshot, nodes: &mut Vec<Node>) -> Result<(), KbError> {
    let Some(kind) = KINDS.iter().position(|(kind, _)| *kind == PageKind::Exploration) else { return Ok(()) };
    let below = format!("wiki/{}/", PageKind::Exploration.directory());
    let mut after = below.clone();
    loop {
        let files = snapshot.files_after(&after, ROWS)?;
        let Some((last, _)) = files.last().filter(|_| files[0].0.as_str().starts_with(&below)) else { return Ok(()) };
        after = last.to_string();
        for (path, _) in files {
            let name = path.as_str().strip_prefix("wiki/").and_then(|path| path.strip_suffix(".md"));
            let Some(page) = name.and_then(|name| name.parse::<PageName>().ok()) else { continue };
            if page.kind() != PageKind::Exploration {
                continue;
            }
            let text = stored(snapshot, &page)?;
            let body = &text[front::part(&text).body_at..];
            let heading = body.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(page.stem());
            nodes.push(Node { name: page.to_string(), title: plain::one_line(heading), kind, text: String::new() });
        }
    }
}

/// What a page says that it is about.
fn told(snapshot: &Snapshot, name: &str) -> Result<String, KbError> {
    let Ok(page) = name.parse::<PageName>() else { return Ok(String::new()) };
    let description = match Front::read(&stored(snapshot, &page)?) {
        Found::Front(front) => front.description.unwrap_or_default(),
        _ => String::new(),
    };
    Ok(plain::one_line(&description).chars().take(TEXT_CHARS_MAX).collect())
}

/// The text of a page; one whose bytes are lost is drawn all the same.
fn stored(snapshot: &Snapshot, page: &PageName) -> Result<String, KbError> {
    match snapshot.page(page) {
        Err(KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. }) => Ok(String::new()),
        text => Ok(text?.unwrap_or_default()),
    }
}

/// Where a page is drawn that a link names: the text of a document is with its summary.
fn drawn_at(place: &HashMap<&str, usize>, name: &str) -> Option<usize> {
    let of_text = || place.get(&*format!("summaries/{}", name.strip_prefix("sources/")?));
    place.get(name).or_else(of_text).copied()
}

fn each_link(
    snapshot: &Snapshot,
    place: &HashMap<&str, usize>,
    mut take: impl FnMut(usize, usize),
) -> Result<(), KbError> {
    let mut after = (String::new(), String::new());
    loop {
        let links = snapshot.links_after((&after.0, &after.1), ROWS)?;
        let Some(last) = links.last() else { return Ok(()) };
        after = last.clone();
        for (origin, target) in &links {
            if let (Some(from), Some(to)) = (drawn_at(place, origin), drawn_at(place, target))
                && from != to
            {
                take(from, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str =
        "</script><script>alert(1)</script> <img src=x onerror=alert(1)> {graph} {script} &amp; \u{2028} \"'";

    #[test]
    fn what_a_page_is_called_ends_nothing_in_the_html() {
        let page =
            |n: u32| Node { name: format!("concepts/{n}"), title: EVIL.to_owned(), kind: 1, text: EVIL.to_owned() };
        let graph = Graph {
            kinds: KINDS.map(|(_, called)| called).to_vec(),
            pages: vec![page(0), page(1)],
            links: vec![(0, 1)],
            all: 9,
        };
        let html = graph.html(EVIL);
        assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (2, 2), "{html}");
        assert!(!html.contains("<img") && html.contains("2 pages, 1 link; of 9 pages those with the most links"));
        let begin = html.find("id=\"graph\">").unwrap() + "id=\"graph\">".len();
        let json = &html[begin..begin + html[begin..].find("</script>").unwrap()];
        let read: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!((&read["pages"][1]["title"], &read["pages"][1]["text"]), (&EVIL.into(), &EVIL.into()));
        for hashed in [SCRIPT, STYLE] {
            assert!(html.contains(&hash(hashed)) && html.contains(hashed));
        }
        assert!(html.find(MARK).unwrap() < 1024);
    }

    #[test]
    fn the_script_makes_no_html_of_text_and_asks_nobody() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
            "XMLHttp",
            "http:",
            "https:",
            "import",
        ] {
            assert!(
                !SCRIPT.contains(forbidden) && !PAGE.contains(forbidden) && !STYLE.contains(forbidden),
                "{forbidden}"
            );
        }
    }
}
