//! The key phrases of a document, which become concepts. Owns how they are found and ranked: by how often they come outside of longer
//! phrases, where, and between which words. Counted in whole numbers: see docs/decisions/0032.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::prose::{BlockKind, Glue, Lexicon, Reading, Shape, Token, WordId, is_cjk, lexicon, words_of};

/// The words of a phrase.
const PHRASE_WORDS_MAX: usize = 3;
/// The most phrases that are ranked.
pub(super) const RANKED_MAX: usize = 48;
/// A phrase that comes more often is no more important.
const COUNT_MAX: u64 = 40;
/// In a text of fewer words one mention may be enough.
const SHORT_WORDS_MAX: u64 = 600;
/// Above so many words, a word that comes once is in no phrase.
const RARE_WORDS_MIN: u64 = 3_000;

/// English endings of words that are no nouns.
const NO_NOUN_ENDS: &[&str] = &[
    "ous", "ful", "less", "ible", "able", "ed", "ive", "ic", "ish", "est", "ier", "ward", "wards", "al", "ant", "ent",
];
/// What stands before a noun and its adjectives; `to` may as well stand before a verb.
const BEFORE_NOUNS: &[&str] = &[
    "a", "an", "the", "this", "that", "these", "those", "each", "every", "any", "no", "some", "all", "both", "another",
    "its", "their", "your", "our", "my", "his", "her", "of", "in", "on", "with", "from", "by", "at", "per", "into",
    "onto", "between", "without", "within", "via", "about", "against", "during", "under", "over",
];
/// A word is a noun where at least one in so many of its mentions is one for sure.
const NOUN_ONE_IN: u32 = 8;
/// Nouns that end so.
static NOUNS: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/nouns.txt")));

/// A phrase, as it is found.
#[derive(Debug, Clone)]
pub(super) struct Phrase {
    /// Its words.
    pub(super) words: Vec<WordId>,
    /// How often it comes.
    pub(super) count: u64,
    /// How much it matters.
    pub(super) score: u64,
    /// Whether a heading or the title is about it.
    pub(super) headed: bool,
}

#[derive(Default)]
struct Stat {
    count: u32,
    alone: u32,
    first: u32,
    headed: u32,
    capital: u32,
    /// How often it stands as a noun does: behind an article or the like, with nothing behind it, before `of`, or by itself in a heading.
    noun: u32,
    sections: u32,
    last_section: u32,
    nested: u64,
    nests: u64,
}

/// Phrases in the order of their importance.
pub(super) fn ranked(reading: &Reading, title: &str) -> Vec<Phrase> {
    let mut index: HashMap<[u32; 3], usize> = HashMap::new();
    let (mut keys, mut stats): (Vec<[u32; 3]>, Vec<Stat>) = Default::default();
    let total = reading.word_count();
    let rare = if total >= RARE_WORDS_MIN { 2 } else { 1 };
    for (number, sentence) in reading.sentences.iter().enumerate() {
        let block = reading.block(sentence);
        let heading = block.kind == BlockKind::Heading;
        let section = block.heading.map_or(0, |heading| heading + 1);
        let all = reading.tokens_of(sentence);
        for (begin, run) in runs(reading, all) {
            let word = |at: usize| all.get(at).map(|token| reading.surface(sentence, token, token));
            let led = begin.checked_sub(1).and_then(word).is_some_and(|word| is_any(BEFORE_NOUNS, word));
            let of = word(begin + run.len()).is_some_and(|word| word == "of");
            for from in 0..run.len() {
                for to in from + 1..=run.len().min(from + PHRASE_WORDS_MAX) {
                    let tokens = &run[from..to];
                    if reading.words.word(tokens[tokens.len() - 1].word).count < rare {
                        break;
                    }
                    let key = key(tokens);
                    let at = *index.entry(key).or_insert_with(|| {
                        keys.push(key);
                        let first = u32::try_from(number).unwrap_or(u32::MAX);
                        stats.push(Stat { first, last_section: u32::MAX, ..Stat::default() });
                        stats.len() - 1
                    });
                    let stat = &mut stats[at];
                    stat.count += 1;
                    stat.alone += u32::from(tokens.len() == run.len());
                    stat.headed += u32::from(heading);
                    stat.noun += u32::from(to == run.len() && (led || of || (heading && run.len() == 1)));
                    let followed = || run.get(to).is_some_and(is_capital);
                    let inside = tokens.len() > 1 || tokens[0].glue != Glue::Begin || followed();
                    stat.capital += u32::from(!heading && inside && tokens.iter().all(is_capital));
                    stat.sections += u32::from(stat.last_section != section);
                    stat.last_section = section;
                }
            }
        }
    }
    nest(&keys, &mut stats, &index);
    let titled = words_of(reading, title);
    let mut phrases: Vec<(u32, Phrase)> = Vec::new();
    for (key, stat) in keys.iter().zip(&stats) {
        let words: Vec<WordId> = key.iter().filter(|word| **word > 0).map(|word| WordId(word - 1)).collect();
        let in_title = words.iter().all(|word| titled.contains(word));
        if !is_concept(reading, &words, stat, in_title, titled.len(), total) {
            continue;
        }
        let score = score(&words, stat, in_title, reading.sentences.len());
        let (count, headed) = (u64::from(stat.count), stat.headed > 0 || in_title);
        phrases.push((stat.first, Phrase { words, count, score, headed }));
    }
    // Equal scores: the first in the text, the longest there.
    phrases.sort_by(|(first, one), (other_first, other)| {
        other
            .score
            .cmp(&one.score)
            .then(first.cmp(other_first))
            .then(other.words.len().cmp(&one.words.len()))
            .then(one.words.cmp(&other.words))
    });
    distinct(phrases.into_iter().map(|(_, phrase)| phrase))
}

/// Words that stand together without a stop between them, and where they begin.
fn runs<'t>(reading: &Reading, tokens: &'t [Token]) -> Vec<(usize, &'t [Token])> {
    let is_part = |token: &Token| {
        matches!(token.shape, Shape::Lower | Shape::Capital | Shape::Acronym | Shape::Mixed | Shape::Run)
            && !reading.words.word(token.word).stop
    };
    let (mut runs, mut from) = (Vec::new(), None);
    for (at, token) in tokens.iter().enumerate() {
        let part = is_part(token);
        if let Some(begin) = from
            && !(part && matches!(token.glue, Glue::Space | Glue::Hyphen))
        {
            runs.push((begin, &tokens[begin..at]));
            from = None;
        }
        if part && from.is_none() {
            from = Some(at);
        }
    }
    if let Some(begin) = from {
        runs.push((begin, &tokens[begin..]));
    }
    runs
}

fn is_capital(token: &Token) -> bool {
    matches!(token.shape, Shape::Capital | Shape::Mixed | Shape::Acronym)
}

fn key(tokens: &[Token]) -> [u32; 3] {
    let mut key = [0; 3];
    for (to, token) in key.iter_mut().zip(tokens) {
        *to = token.word.0 + 1;
    }
    key
}

/// Tells each phrase how often it is only a part of longer ones.
fn nest(keys: &[[u32; 3]], stats: &mut [Stat], index: &HashMap<[u32; 3], usize>) {
    for at in 0..keys.len() {
        let [a, b, c] = keys[at];
        let count = u64::from(stats[at].count);
        if b == 0 || count < 2 {
            continue;
        }
        let parts: &[[u32; 3]] =
            if c > 0 { &[[a, b, 0], [b, c, 0], [a, 0, 0], [b, 0, 0], [c, 0, 0]] } else { &[[a, 0, 0], [b, 0, 0]] };
        for part in parts {
            if let Some(part) = index.get(part) {
                stats[*part].nested += count;
                stats[*part].nests += 1;
            }
        }
    }
}

/// Whether a phrase may be what a page is about.
fn is_concept(
    reading: &Reading,
    words: &[WordId],
    stat: &Stat,
    in_title: bool,
    title_words: usize,
    total: u64,
) -> bool {
    let text = |word: &WordId| reading.words.word(*word).text.as_str();
    let generic = |word: &WordId| reading.words.word(*word).generic;
    let english = reading.language.code == "en";
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    if words.iter().all(generic) || words.windows(2).any(|pair| pair[0] == pair[1]) {
        return false;
    }
    // The document itself is no concept of its own.
    if in_title && words.len() > 1 && words.len() >= title_words {
        return false;
    }
    // What is written with capitals is a name.
    let names =
        !reading.language.capitalises_nouns() && stat.capital * 2 > stat.count - stat.headed.min(stat.count - 1);
    if names || words.iter().any(|word| is_junk(text(word))) || (english && !is_noun(text(last))) {
        return false;
    }
    let script = text(first).chars().any(is_cjk);
    let short = total <= SHORT_WORDS_MAX;
    let count = stat.count;
    match words.len() {
        1 if script => count >= 2 || (short && (stat.headed > 0 || in_title)),
        1 => {
            let long = text(first).chars().count() >= 4;
            let noun = !english || stat.noun * NOUN_ONE_IN >= count;
            long && noun
                && (count >= 3 && (stat.sections >= 2 || short || stat.headed > 0)
                    || (short && count >= 2 && (stat.headed > 0 || in_title)))
        }
        _ => {
            let whole = stat.alone > 0 || stat.headed > 0;
            whole && (count >= 2 || (short && (stat.headed > 0 || in_title)))
        }
    }
}

fn is_any(words: &[&str], word: &str) -> bool {
    words.iter().any(|any| any.eq_ignore_ascii_case(word))
}

fn is_noun(word: &str) -> bool {
    NOUNS.contains(word) || !NO_NOUN_ENDS.iter().any(|end| word.len() > end.len() + 1 && word.ends_with(end))
}

fn is_junk(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit()) || !word.chars().any(char::is_alphabetic)
}

fn score(words: &[WordId], stat: &Stat, in_title: bool, sentences: usize) -> u64 {
    let count = u64::from(stat.count).min(COUNT_MAX) * 100;
    // What comes only within longer phrases is named by these.
    let nested = (stat.nested.min(u64::from(stat.count)) * 100 / stat.nests.max(1)).min(count);
    let own = (count - nested).max(20);
    let length = match words.len() {
        1 => 40,
        2 => 100,
        _ => 115,
    };
    let times = |holds: bool, percent: u64| if holds { percent } else { 100 };
    let early = (stat.first as usize) * 8 <= sentences;
    let alone = 60 + 80 * u64::from(stat.alone + stat.headed).min(u64::from(stat.count)) / u64::from(stat.count.max(1));
    let spread = 100 + 8 * u64::from(stat.sections.min(10));
    [length, times(stat.headed > 0, 160), times(in_title, 150), times(early, 125), alone, spread]
        .iter()
        .fold(own, |score, percent| score * percent / 100)
}

/// Leaves out a phrase that says the same as one before it.
fn distinct(phrases: impl Iterator<Item = Phrase>) -> Vec<Phrase> {
    let mut kept: Vec<Phrase> = Vec::new();
    for phrase in phrases {
        let within =
            |inner: &Phrase, outer: &Phrase| outer.words.windows(inner.words.len()).any(|window| window == inner.words);
        let same = kept.iter().any(|other| {
            (other.words.len() > phrase.words.len() && within(&phrase, other) && phrase.count * 2 <= other.count * 5)
                || (phrase.words.len() > other.words.len() && within(other, &phrase))
        });
        // One head is named thrice at most: `water level`, `sea level`, `low level`.
        let heads =
            kept.iter().filter(|other| other.words.last() == phrase.words.last() && phrase.words.len() > 1).count();
        if !same && heads < 3 {
            kept.push(phrase);
        }
        if kept.len() >= RANKED_MAX {
            break;
        }
    }
    kept
}
