//! What a document is about: the sentence that says so, and the paragraph that introduces it. Owns where they are looked for.

use crate::prose::{BlockKind, Reading, WordId, describes_itself, words_of};

/// A sentence of the document that says what it is stands among so many.
const SELF_SENTENCES: usize = 60;
/// And has so many words: `This page is the map.` says too little.
const SELF_WORDS_MIN: u32 = 8;
/// An introduction stands among so many sentences.
const LEAD_SENTENCES: usize = 200;
/// The sentences of an introduction.
const LEAD_MAX: usize = 3;
/// Their characters, all together.
const LEAD_CHARS_MAX: usize = 620;

/// Headings over what introduces a document.
const HEADINGS: &[&str] = &[
    "abstract",
    "about",
    "executive summary",
    "introduction",
    "overview",
    "purpose",
    "scope",
    "summary",
    "description",
    "einleitung",
    "kurzfassung",
    "überblick",
    "zusammenfassung",
    "zweck",
    "introduction",
    "résumé",
    "resumen",
    "introducción",
    "はじめに",
    "概要",
    "要約",
    "目的",
    "摘要",
    "简介",
];

/// What introduces a document, as numbers of sentences.
pub(super) struct Lead {
    /// The sentence that says what it is.
    pub(super) first: Option<usize>,
    /// What introduces it, that sentence included.
    pub(super) sentences: Vec<usize>,
}

pub(super) fn of(reading: &Reading, title: &str) -> Lead {
    let titled = words_of(reading, title);
    let own = (0..reading.sentences.len().min(SELF_SENTENCES)).find(|at| {
        is_whole(reading, *at) && reading.sentences[*at].words >= SELF_WORDS_MIN && describes_itself(text(reading, *at))
    });
    let defined = || {
        (0..reading.sentences.len().min(SELF_SENTENCES / 3))
            .find(|at| is_whole(reading, *at) && defines(reading, *at, &titled))
    };
    let Some(begin) = own
        .or_else(|| introduction(reading))
        .or_else(|| abstracted(reading))
        .or_else(defined)
        .or_else(|| opening(reading))
    else {
        return Lead { first: None, sentences: Vec::new() };
    };
    let (block, mut sentences, mut characters) = (reading.sentences[begin].block, Vec::new(), 0);
    for at in begin..reading.sentences.len() {
        let length = text(reading, at).chars().count();
        if reading.sentences[at].block != block
            || !reading.sentences[at].whole
            || sentences.len() >= LEAD_MAX
            || (characters > 0 && characters + length > LEAD_CHARS_MAX)
        {
            break;
        }
        characters += length;
        sentences.push(at);
    }
    Lead { first: Some(begin), sentences }
}

fn text(reading: &Reading, at: usize) -> &str {
    reading.text(&reading.sentences[at])
}

fn is_whole(reading: &Reading, at: usize) -> bool {
    reading.sentences[at].whole
}

/// `Highwater is …`: the title's words, and then what it is.
fn defines(reading: &Reading, at: usize, titled: &[WordId]) -> bool {
    let sentence = &reading.sentences[at];
    let tokens = reading.tokens_of(sentence);
    let is = tokens.iter().take(8).position(|token| {
        matches!(
            reading.surface(sentence, token, token),
            "is" | "are" | "describes" | "explains" | "ist" | "sind" | "est" | "es" | "beschreibt"
        )
    });
    is.is_some_and(|is| is > 0 && tokens[..is].iter().any(|token| titled.contains(&token.word)))
}

/// The first sentence of an abstract.
fn abstracted(reading: &Reading) -> Option<usize> {
    (0..reading.sentences.len().min(LEAD_SENTENCES)).find(|at| {
        let block = reading.block(&reading.sentences[*at]);
        let heading = block.heading.map(|heading| reading.blocks.headings[heading as usize].title.to_lowercase());
        let under =
            heading.is_some_and(|heading| HEADINGS.contains(&heading.trim_matches(|c: char| !c.is_alphabetic())));
        under && is_whole(reading, *at) && !reading.sentences[*at].leans
    })
}

/// The first sentence below the title, before any other heading.
fn introduction(reading: &Reading) -> Option<usize> {
    let below = |at: &usize| reading.block(&reading.sentences[*at]).heading.is_none_or(|heading| heading == 0);
    let titled = reading.blocks.headings.len() > 1;
    let opens = |at: &usize| {
        let sentence = &reading.sentences[*at];
        sentence.whole && !sentence.leans && reading.block(sentence).kind == BlockKind::Paragraph
    };
    (0..reading.sentences.len().min(LEAD_SENTENCES)).take_while(below).find(opens).filter(|_| titled)
}

/// The first sentence of the first paragraph that has one.
fn opening(reading: &Reading) -> Option<usize> {
    let candidates = || 0..reading.sentences.len().min(LEAD_SENTENCES);
    let opens = |at: &usize| {
        let sentence = &reading.sentences[*at];
        sentence.whole && !sentence.leans && reading.block(sentence).kind == BlockKind::Paragraph
    };
    candidates().find(opens).or_else(|| candidates().find(|at| is_whole(reading, *at)))
}
