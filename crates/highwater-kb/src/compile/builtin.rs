//! The compiler that is built in: it asks nobody, and says of a document only what stands in it. Owns what a summary consists of, and
//! which concepts and entities are told of.

mod kind;
mod lead;
mod mentions;
mod names;
mod phrases;
mod points;
mod runs;
mod tables;
mod title;

use highwater_engine::job::ReadCx;

use super::{CompileError, Compiled, Compiler, Contribution, Source};
use crate::convert::Converted;
use crate::page::{PageKind, PageName, slug};
use crate::prose::{
    BlockKind, Heading, Reading, TEXT_BYTES_MAX, cut, is_form_heading, markdown, markdown_inside, numberless, plain,
    weights,
};
use crate::tree;
use mentions::Told;
use names::{Name, Of};

/// What the registry calls it; the number changes where its answers do.
const NAME: &str = "builtin/1";
/// The most concepts of a document.
pub const CONCEPTS_MAX: usize = 12;
/// The most entities of a document.
pub const ENTITIES_MAX: usize = 12;
/// The most concepts that are worth a page for one document alone.
pub const CONCEPTS_ALONE_MAX: usize = 3;
/// The most entities that are.
pub const ENTITIES_ALONE_MAX: usize = 2;
/// The most characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 220;
/// The sections that the summary of a short document names.
const SECTIONS_MAX: usize = 16;
/// The characters of what a section says, there.
const SECTION_CHARS_MAX: usize = 150;
/// The characters of a title.
const TITLE_CHARS_MAX: usize = 80;

/// Compiles from the text alone, offline, and the same from the same text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

impl Compiler for Builtin {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    async fn compile(&self, _: &ReadCx, source: Source<'_>) -> Result<Compiled, CompileError> {
        let Source { name, converted, tree } = source;
        // Images say nothing here, and are the most of it.
        let text = Converted {
            title: converted.title.clone(),
            markdown: converted.markdown.clone(),
            images: Vec::new(),
            page_lines: converted.page_lines.clone(),
            converter: converted.converter.clone(),
        };
        let (builtin, name, tree) = (*self, name.clone(), tree.to_vec());
        let compiled = tokio::task::spawn_blocking(move || {
            builtin.compiled(Source { name: &name, converted: &text, tree: &tree })
        });
        compiled.await.map_err(|broke| CompileError::Review(format!("its compiler broke on it: {broke}")))
    }
}

impl Builtin {
    /// What a document contributes. It computes, for up to some seconds, and waits for nothing.
    #[must_use]
    pub fn compiled(&self, source: Source<'_>) -> Compiled {
        let reading = Reading::of(&source.converted.markdown, &source.converted.page_lines);
        let title = title::of(&source, &reading.blocks);
        let kind = kind::of(&source, &reading, &title);
        let weights = weights(&reading, &title);
        let entities = entities(&reading, &title, &weights);
        let concepts = concepts(&reading, &title, &weights, &entities);
        let lead = lead::of(&reading, &title);
        Compiled {
            description: described(&reading, kind, &lead),
            summary: summary(&source, &reading, &title, kind, &lead),
            doc_type: kind.to_owned(),
            tree: source.tree.to_vec(),
            contributions: ordered(concepts, entities),
            title,
        }
    }
}

/// What a document is about, in one line.
fn described(reading: &Reading, kind: &str, lead: &lead::Lead) -> String {
    let table = || tables::described(reading);
    let text = match lead.first {
        _ if kind == "table" => table(),
        _ if kind == "notes" && headed(reading).len() > 1 => Some(format!("Covers {}.", headed(reading).join("; "))),
        Some(first) => Some(plain(reading.text(&reading.sentences[first]))),
        None => table(),
    };
    let text = text.or_else(|| tree::listed(reading)).or_else(|| {
        let headings: Vec<String> =
            reading.blocks.headings.iter().take(5).map(|heading| plain(&heading.title)).collect();
        (!headings.is_empty()).then(|| headings.join("; "))
    });
    text.map_or_else(|| "No text was found in it.".to_owned(), |text| cut(&text, DESCRIPTION_CHARS_MAX))
}

/// What the sections of a short document are called, those of the highest level, without what is there for the form.
fn headed(reading: &Reading) -> Vec<String> {
    let titles = reading.blocks.headings.iter().skip(1).filter(|heading| !is_form_heading(&heading.title));
    let top = titles.clone().map(|heading| heading.level).min();
    let formal = ["agenda", "attendees", "action items", "actions", "present", "next meeting", "teilnehmer"];
    let title = |heading: &Heading| numberless(&plain(&heading.title)).to_owned();
    let titles = titles.filter(|heading| Some(heading.level) == top).map(title);
    titles.filter(|title| !formal.contains(&title.to_lowercase().as_str())).take(6).collect()
}

/// The body of the summary page.
fn summary(source: &Source<'_>, reading: &Reading, title: &str, kind: &str, lead: &lead::Lead) -> String {
    let mut parts = vec![facts(source, reading, kind)];
    // What the description says whole stands above it already.
    let said = |at: &&usize| {
        lead.first == Some(**at) && described(reading, kind, lead) == plain(reading.text(&reading.sentences[**at]))
    };
    if lead.sentences.iter().any(|at| !said(&at)) && kind != "table" {
        let sentences: Vec<&str> =
            lead.sentences.iter().filter(|at| !said(at)).map(|at| reading.text(&reading.sentences[*at])).collect();
        let join = if reading.language.has_no_spaces() { "" } else { " " };
        parts.push(markdown(&sentences.join(join)));
    }
    let points = points::of(reading, title, &lead.sentences);
    if !points.is_empty() {
        let lines: Vec<String> = points.iter().map(|at| mentions::line(reading, title, *at)).collect();
        parts.push(format!("**Key points**\n\n{}", lines.join("\n")));
    }
    let tables = tables::lines(reading, title);
    if !tables.is_empty() {
        let lines: Vec<String> = tables.iter().map(|line| format!("- {line}")).collect();
        parts.push(format!("**Tables**\n\n{}", lines.join("\n")));
    }
    // The sections of a long document are its tree, which stands on the same page.
    let sections = if source.tree.is_empty() { sections(reading, title) } else { Vec::new() };
    if sections.len() > 1 {
        parts.push(format!("**Sections**\n\n{}", sections.join("\n")));
    }
    if reading.blocks.more {
        parts.push(format!(
            "Only the first {} MiB of its text were read for this page.",
            TEXT_BYTES_MAX / (1024 * 1024)
        ));
    }
    parts.join("\n\n") + "\n"
}

/// `A manual in English: 412 words in 6 sections.`
fn facts(source: &Source<'_>, reading: &Reading, kind: &str) -> String {
    let mut facts = Vec::new();
    let words = reading.word_count();
    let more = if reading.blocks.more { "more than " } else { "" };
    let many = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let pages = source.converted.page_lines.len() as u64;
    if pages > 0 {
        facts.push(many(pages, "page"));
    }
    let table = kind == "table";
    if table {
        let (rows, count) =
            reading.blocks.tables.iter().fold((0, 0), |(rows, count), table| (rows + table.row_count, count + 1));
        facts.push(tables::rows(rows, reading.blocks.more));
        facts.extend((count > 1).then(|| many(count, "table")));
    } else {
        facts.push(format!("{more}{}", many(words, "word")));
        let sections = reading.blocks.headings.len().saturating_sub(1) as u64;
        facts.extend((sections > 1).then(|| format!("{more}{}", many(sections, "section"))));
    }
    let language = if table || words < 20 { String::new() } else { format!(" in {}", reading.language.name) };
    format!("{}{language}: {}.", kind::with_article(kind), facts.join(", "))
}

/// A line for each section of a short document: its heading, and what it says.
fn sections(reading: &Reading, title: &str) -> Vec<String> {
    let Some(top) =
        reading.blocks.headings.iter().filter(|heading| heading.title != title).map(|heading| heading.level).min()
    else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let all: Vec<usize> = (0..reading.blocks.headings.len())
        .filter(|at| reading.blocks.headings[*at].level == top)
        .filter(|at| {
            reading.blocks.headings[*at].title != title && !is_form_heading(&reading.blocks.headings[*at].title)
        })
        .collect();
    for at in all.iter().take(SECTIONS_MAX) {
        let heading = &reading.blocks.headings[*at];
        let name = markdown(&cut(numberless(&plain(&heading.title)), TITLE_CHARS_MAX));
        match section(reading, *at) {
            Some(said) => lines.push(format!("- {name}: {}", markdown_inside(&cut(&said, SECTION_CHARS_MAX)))),
            None => lines.push(format!("- {name}")),
        }
    }
    if all.len() > SECTIONS_MAX {
        lines.push(format!("- and {} more", all.len() - SECTIONS_MAX));
    }
    lines
}

/// What a section holds: its items, or the first sentence that can stand alone.
fn section(reading: &Reading, at: usize) -> Option<String> {
    let level = reading.blocks.headings[at].level;
    let last = (at + 1..reading.blocks.headings.len()).find(|next| reading.blocks.headings[*next].level <= level);
    let within = |heading: Option<u32>| {
        heading.is_some_and(|heading| heading as usize >= at && last.is_none_or(|last| (heading as usize) < last))
    };
    let sentence = reading.sentences.iter().find(|sentence| {
        let block = reading.block(sentence);
        sentence.whole && !sentence.leans && within(block.heading)
    });
    if let Some(sentence) = sentence {
        return Some(plain(reading.text(sentence)));
    }
    let blocks = reading.blocks.blocks.iter().zip(&reading.silent);
    let items: Vec<String> = blocks
        .filter(|(block, silent)| !**silent && block.kind == BlockKind::Item && within(block.heading))
        .take(6)
        .map(|(block, _)| cut(&plain(&block.text), 50))
        .collect();
    let held = (at + 1..last.unwrap_or(reading.blocks.headings.len()))
        .take(6)
        .map(|inner| cut(&plain(&reading.blocks.headings[inner].title), 50));
    let held: Vec<String> = if items.is_empty() { held.collect() } else { items };
    (!held.is_empty()).then(|| held.join("; "))
}

/// The concepts that a document says something of.
fn concepts(reading: &Reading, title: &str, weights: &[u64], entities: &[Contribution]) -> Vec<Contribution> {
    let phrases = phrases::ranked(reading, title);
    let words: Vec<&[crate::prose::WordId]> = phrases.iter().map(|phrase| phrase.words.as_slice()).collect();
    let mentions = mentions::of_phrases(reading, &words);
    let mut told: Vec<(u64, usize, Told)> = Vec::new();
    for (at, phrase) in phrases.iter().enumerate() {
        let Some(one) = mentions::tell(reading, title, weights, &mentions[at], false) else { continue };
        // What the document defines is worth a page, what it says one thing of hardly.
        let percent = if one.defined { 160 } else { 100 } * if one.sentences > 1 { 100 } else { 60 } / 100;
        told.push((phrase.score * percent / 100, at, one));
    }
    told.sort_by_key(|(score, at, _)| (std::cmp::Reverse(*score), *at));
    let mut concepts: Vec<Contribution> = Vec::new();
    for (_, at, told) in told {
        if concepts.len() >= CONCEPTS_MAX {
            break;
        }
        let (phrase, mentions) = (&phrases[at], &mentions[at]);
        let canonical: Vec<&str> = phrase.words.iter().map(|word| reading.words.word(*word).text.as_str()).collect();
        let page = PageName::of_title(PageKind::Concept, &canonical.join(" "));
        let known = |other: &Contribution| other.page.stem() == page.stem();
        let name = title::first_upper(&plain(&mentions::surface(reading, mentions)));
        if name.is_empty() || concepts.iter().any(known) || entities.iter().any(known) {
            continue;
        }
        let alone = concepts.iter().filter(|other| other.alone).count() < CONCEPTS_ALONE_MAX
            && told.sentences >= 2
            && (told.defined || phrase.headed || phrase.count >= 4);
        let title = cut(&name, TITLE_CHARS_MAX);
        concepts.push(Contribution { page, title, description: told.description, body: told.body, alone });
    }
    concepts
}

/// The entities that a document names.
fn entities(reading: &Reading, title: &str, weights: &[u64]) -> Vec<Contribution> {
    let mut entities: Vec<Contribution> = Vec::new();
    for name in names::ranked(reading) {
        if entities.len() >= ENTITIES_MAX {
            break;
        }
        let Some(told) = mentions::tell(reading, title, weights, &name.mentions, true) else { continue };
        let page = PageName::of_title(PageKind::Entity, &name.text);
        if slug(&name.text) == slug("") || entities.iter().any(|other| other.page == page) {
            continue;
        }
        let alone = entities.iter().filter(|other| other.alone).count() < ENTITIES_ALONE_MAX
            && told.sentences >= 2
            && name.count >= 3;
        let description = if told.defined { told.description } else { introduced(&name, title, &told.description) };
        entities.push(Contribution {
            page,
            title: cut(&plain(&name.text), TITLE_CHARS_MAX),
            description,
            body: told.body,
            alone,
        });
    }
    entities
}

/// `An organisation (WHO), named in …`, with what is said of it first.
fn introduced(name: &Name, title: &str, said: &str) -> String {
    let of = match name.of {
        Of::Person => "A person",
        Of::Organisation => "An organisation",
        Of::Place => "A place",
        Of::Something => "Named",
    };
    let short = name.acronym.as_ref().map(|short| format!(" ({})", plain(short))).unwrap_or_default();
    let of = if name.of == Of::Something { format!("{of}{short} in") } else { format!("{of}{short}, named in") };
    cut(&format!("{of} {}: {said}", cut(title, 60)), DESCRIPTION_CHARS_MAX)
}

/// What is worth a page alone first, then concepts and entities by turns.
fn ordered(concepts: Vec<Contribution>, entities: Vec<Contribution>) -> Vec<Contribution> {
    let ranked = |of: Vec<Contribution>, kind: usize| {
        of.into_iter().enumerate().map(move |(rank, it)| ((!it.alone, rank, kind), it))
    };
    let mut all: Vec<_> = ranked(concepts, 0).chain(ranked(entities, 1)).collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, contribution)| contribution).collect()
}
