//! What a document says of one thing: the sentences that name it, the one that defines it first. Owns which are told, and where they
//! stand.

use std::collections::HashMap;

use crate::prose::{BlockKind, Glue, Reading, Shape, WordId, cut, is_at, markdown, markdown_inside, plain};

/// The most sentences that are told of one thing.
const TOLD_MAX: usize = 5;
/// The most of one section.
const PER_SECTION_MAX: usize = 2;
/// The mentions of a thing that are looked at.
const MENTIONS_MAX: usize = 64;
/// The characters of a sentence that is told.
const TOLD_CHARS_MAX: usize = 400;
/// The characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 220;
/// What a mention must weigh where it defines.
const DEFINES: u64 = 1_000_000;

/// Where something is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mention {
    /// In which sentence.
    pub(super) sentence: usize,
    /// At which of its words.
    pub(super) token: usize,
    /// With how many words.
    pub(super) words: usize,
}

/// What is told of a thing.
pub(super) struct Told {
    pub(super) description: String,
    pub(super) body: String,
    /// How many sentences are told.
    pub(super) sentences: usize,
    /// Whether one of them says what it is.
    pub(super) defined: bool,
}

/// Where each of these phrases stands, in one walk over the text.
pub(super) fn of_phrases(reading: &Reading, phrases: &[&[WordId]]) -> Vec<Vec<Mention>> {
    let mut by_first: HashMap<WordId, Vec<usize>> = HashMap::new();
    for (number, words) in phrases.iter().enumerate() {
        if let Some(first) = words.first() {
            by_first.entry(*first).or_default().push(number);
        }
    }
    let mut found = vec![Vec::new(); phrases.len()];
    for (number, sentence) in reading.sentences.iter().enumerate() {
        let tokens = reading.tokens_of(sentence);
        for (at, token) in tokens.iter().enumerate() {
            for phrase in by_first.get(&token.word).into_iter().flatten() {
                let words = phrases[*phrase];
                let here: &mut Vec<Mention> = &mut found[*phrase];
                let joined = tokens[at + 1..]
                    .iter()
                    .take(words.len() - 1)
                    .all(|token| matches!(token.glue, Glue::Space | Glue::Hyphen));
                let again = here.last().is_some_and(|last| last.sentence == number);
                if joined && is_at(&tokens[at..], words) && here.len() < MENTIONS_MAX && !again {
                    here.push(Mention { sentence: number, token: at, words: words.len() });
                }
            }
        }
    }
    found
}

/// How a document writes what it names so: most often, within sentences where it can.
pub(super) fn surface(reading: &Reading, mentions: &[Mention]) -> String {
    let mut counts: Vec<(String, u32)> = Vec::new();
    for mention in mentions {
        let sentence = &reading.sentences[mention.sentence];
        let tokens = &reading.tokens_of(sentence)[mention.token..][..mention.words];
        let heading = reading.block(sentence).kind == BlockKind::Heading;
        let mut written = String::new();
        for (at, token) in tokens.iter().enumerate() {
            if at > 0 {
                written.push(if token.glue == Glue::Hyphen { '-' } else { ' ' });
            }
            let word = reading.surface(sentence, token, token);
            let loud = token.shape == Shape::Capital
                && (heading || token.glue == Glue::Begin)
                && !reading.language.capitalises_nouns();
            if loud { written.push_str(&word.to_lowercase()) } else { written.push_str(word) }
        }
        let weight = if heading { 1 } else { 3 };
        match counts.iter_mut().find(|(known, _)| *known == written) {
            Some((_, count)) => *count += weight,
            None => counts.push((written, weight)),
        }
    }
    let best = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    counts.into_iter().find(|(_, count)| *count == best).map_or_else(String::new, |(written, _)| written)
}

/// What the document says of what is mentioned there; nothing where no sentence can stand alone. `named` says that it is a name:
/// `Anna Keller: …` tells who said something, not who she is.
pub(super) fn tell(reading: &Reading, title: &str, weights: &[u64], mentions: &[Mention], named: bool) -> Option<Told> {
    let mut candidates: Vec<(u64, usize)> = Vec::new();
    for mention in mentions {
        let Some((value, at)) = value(reading, weights, *mention, named) else { continue };
        let text = reading.text(&reading.sentences[at]);
        match candidates.iter_mut().find(|(_, known)| reading.text(&reading.sentences[*known]) == text) {
            Some((best, _)) => *best = value.max(*best),
            None => candidates.push((value, at)),
        }
    }
    candidates.sort_by_key(|(value, at)| (std::cmp::Reverse(*value), *at));
    let (best, first) = *candidates.first()?;
    let section = |at: usize| reading.block(&reading.sentences[at]).heading;
    let mut told: Vec<usize> = Vec::new();
    for (_, at) in &candidates {
        let crowded = section(*at).is_some()
            && told.iter().filter(|other| section(**other) == section(*at)).count() >= PER_SECTION_MAX;
        if told.len() < TOLD_MAX && !crowded {
            told.push(*at);
        }
    }
    // What defines it stands first, the rest as in the document.
    told[1..].sort_unstable();
    let lines: Vec<String> = told.iter().map(|at| line(reading, title, *at)).collect();
    let description = cut(&plain(reading.text(&reading.sentences[first])), DESCRIPTION_CHARS_MAX);
    Some(Told { description, body: lines.join("\n"), sentences: told.len(), defined: best >= DEFINES })
}

/// A sentence as an item, with its place.
pub(super) fn line(reading: &Reading, title: &str, at: usize) -> String {
    let sentence = &reading.sentences[at];
    let text = markdown(&cut(reading.text(sentence), TOLD_CHARS_MAX));
    match reading.place(reading.block(sentence), title) {
        Some(place) => format!("- {text} ({})", markdown_inside(&place)),
        None => format!("- {text}"),
    }
}

/// How much a mention says of what it mentions, and by which sentence.
fn value(reading: &Reading, weights: &[u64], mention: Mention, named: bool) -> Option<(u64, usize)> {
    let sentence = &reading.sentences[mention.sentence];
    let tokens = reading.tokens_of(sentence);
    if reading.block(sentence).kind == BlockKind::Heading {
        // Below a heading that is about it, the first sentence is.
        let about = tokens.iter().filter(|token| !reading.words.word(token.word).stop).count() == mention.words;
        let block = reading.block(sentence).heading;
        let next = (mention.sentence + 1..reading.sentences.len())
            .take_while(|at| reading.block(&reading.sentences[*at]).heading == block)
            .find(|at| reading.sentences[*at].whole && !reading.sentences[*at].leans);
        return next.filter(|_| about).map(|at| (DEFINES / 2 + weights[at], at));
    }
    let defines = defines(reading, mention, named);
    if weights[mention.sentence] == 0 {
        // `Chart datum: the level …` is no sentence, and defines.
        let enough = defines >= 3 && (5..=60).contains(&sentence.words);
        return enough.then_some((DEFINES * defines, mention.sentence));
    }
    let early = mention.token * 3 <= tokens.len();
    let weight = weights[mention.sentence] * if early { 130 } else { 100 } / 100;
    Some((weight + DEFINES * if sentence.leans { 0 } else { defines }, mention.sentence))
}

/// How clearly a sentence says what something is: 0 where it does not.
fn defines(reading: &Reading, mention: Mention, named: bool) -> u64 {
    let sentence = &reading.sentences[mention.sentence];
    let tokens = reading.tokens_of(sentence);
    let word = |at: usize| tokens.get(at).map(|token| reading.surface(sentence, token, token));
    let end = mention.token + mention.words;
    let text = reading.text(sentence);
    let last = tokens[end - 1].end - sentence.span.0;
    let behind = &text[last as usize..];
    let begins = mention.token == 0
        || (mention.token == 1 && word(0).is_some_and(|word| ARTICLES.contains(&word.to_lowercase().as_str())));
    if behind.starts_with("とは") {
        return 4;
    }
    if behind.starts_with('是') || (begins && behind.starts_with('は')) {
        return 2;
    }
    if begins
        && !named
        && mention.token == 0
        && [": ", " – ", " — ", " - "].iter().any(|mark| behind.starts_with(mark))
        && sentence.words >= 5
    {
        return 3;
    }
    // `Chart datum (CD) is …`
    let closed = if behind.trim_start().starts_with('(') {
        behind.find(')').map_or(behind, |at| &behind[at + 1..])
    } else {
        behind
    };
    let mut next = closed.split_whitespace();
    let (verb, then) = (next.next().unwrap_or_default(), next.next().unwrap_or_default());
    match () {
        () if begins && MEANS.contains(&verb) => 4,
        () if begins && IS.contains(&verb) && ARTICLES.contains(&then) => 4,
        () if begins && IS.contains(&verb) => 2,
        () if mention.token > 0
            && word(mention.token - 1)
                .is_some_and(|word| matches!(word, "called" | "termed" | "heißt" | "genannt" | "appelé")) =>
        {
            1
        }
        () => 0,
    }
}

const ARTICLES: &[&str] = &[
    "a", "an", "the", "der", "die", "das", "ein", "eine", "einen", "le", "la", "l", "les", "un", "une", "el", "los",
    "las", "una", "il", "lo", "o",
];
const IS: &[&str] =
    &["is", "are", "was", "were", "ist", "sind", "war", "est", "sont", "es", "son", "è", "sono", "é", "são"];
const MEANS: &[&str] =
    &["means", "mean", "denotes", "denote", "refers", "describes", "bezeichnet", "bedeutet", "désigne", "significa"];
