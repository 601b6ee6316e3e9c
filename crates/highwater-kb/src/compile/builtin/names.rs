//! The names in a document, which become entities: people, organisations, places, products. Owns what is taken for a name, and for
//! whose.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::mentions::Mention;
use crate::prose::{BlockKind, Glue, Lexicon, Reading, Sentence, Shape, Token, is_honorific, lexicon};

/// The words of a name.
const NAME_WORDS_MAX: usize = 7;
/// The most names that are ranked.
const RANKED_MAX: usize = 48;
/// The mentions of a name that are kept.
const MENTIONS_MAX: usize = 64;
/// The letters of an acronym.
const ACRONYM_LETTERS_MAX: usize = 7;

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Person,
    Organisation,
    Place,
    Something,
}

/// A name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) of: Of,
    pub(super) acronym: Option<String>,
    pub(super) count: u64,
    pub(super) mentions: Vec<Mention>,
}

/// The last word of an organisation's name, or a word of it.
static ORGANISATIONS: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/organisations.txt")));
/// The last word of a place's name.
static PLACES: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/places.txt")));
/// Words that begin a place's name.
const PLACES_BEGIN: &[&str] =
    &["cape", "isle", "lake", "loch", "mount", "port", "river", "fort", "san", "santa", "saint", "st", "los", "las"];
/// Words within a name.
const WITHIN: &[&str] =
    &["of", "de", "la", "du", "des", "del", "von", "van", "der", "den", "zu", "af", "y", "e", "&", "für"];
/// Capitalised words that name nothing.
static NO_NAMES: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/no-names.txt")));
/// Acronyms that everybody has: a page about each says nothing.
static COMMON: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/common-acronyms.txt")));

#[derive(Default)]
struct Found {
    first: usize,
    count: u64,
    inside: u64,
    titled: u64,
    placed: u64,
    mentions: Vec<Mention>,
}

/// The names of a document, the most important first.
pub(super) fn ranked(reading: &Reading) -> Vec<Name> {
    if reading.language.has_no_spaces() {
        return super::runs::ranked(reading);
    }
    let mut found: HashMap<String, Found> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut acronyms: BTreeMap<String, String> = BTreeMap::new();
    let mut lower: HashMap<u32, u32> = HashMap::new();
    for (number, sentence) in reading.sentences.iter().enumerate() {
        let tokens = reading.tokens_of(sentence);
        if reading.block(sentence).kind == BlockKind::Heading || shouts(reading, tokens) {
            continue;
        }
        for token in tokens.iter().filter(|token| token.shape == Shape::Lower) {
            *lower.entry(token.word.0).or_default() += 1;
        }
        for (from, to) in spans(reading, sentence, tokens) {
            let from = whole_name(reading, sentence, tokens, from, to);
            let text = reading.surface(sentence, &tokens[from], &tokens[to - 1]).to_owned();
            if let Some((short, long)) = expansion(reading, sentence, tokens, from, to) {
                acronyms.entry(short).or_insert(long);
            }
            let begins = from == 0 || before(reading, sentence, tokens, from).is_some_and(opens_words);
            let before = from.checked_sub(1).map(|at| reading.surface(sentence, &tokens[at], &tokens[at]));
            let entry = found.entry(text.clone()).or_insert_with(|| {
                order.push(text);
                Found { first: number, ..Found::default() }
            });
            entry.count += 1;
            entry.inside += u64::from(!begins);
            entry.titled += u64::from(before.is_some_and(is_honorific));
            let plain = tokens[from..to].iter().all(|token| token.shape == Shape::Capital);
            let into = |word| matches!(word, "in" | "at" | "near" | "from" | "aus" | "nach" | "à" | "en");
            entry.placed += u64::from(plain && before.is_some_and(into));
            if entry.mentions.len() < MENTIONS_MAX {
                entry.mentions.push(Mention { sentence: number, token: from, words: to - from });
            }
        }
    }
    let mut names: Vec<(usize, Name)> = Vec::new();
    for text in &order {
        let found = &found[text];
        if let Some(of) = judged(reading, text, found, &acronyms, &lower) {
            let acronym = acronyms.iter().find(|(_, long)| *long == text).map(|(short, _)| short.clone());
            names.push((
                found.first,
                Name { text: text.clone(), of, acronym, count: found.count, mentions: found.mentions.clone() },
            ));
        }
    }
    for (short, long) in &acronyms {
        let expanded = names.iter().position(|(_, name)| name.text == *long);
        let shortened = names.iter().position(|(_, name)| name.text == *short);
        if let (Some(long), Some(short)) = (expanded, shortened) {
            merge(&mut names, long, short);
        }
    }
    last_names(&mut names);
    names.sort_by_key(|(first, name)| (std::cmp::Reverse(weight(name)), *first));
    names.into_iter().map(|(_, name)| name).take(RANKED_MAX).collect()
}

fn weight(name: &Name) -> u64 {
    let words = name.text.split(' ').count() as u64;
    name.count.min(30) * 10
        + words.min(4) * 4
        + if name.of == Of::Something { 0 } else { 12 }
        + u64::from(name.acronym.is_some()) * 15
}

fn merge(names: &mut Vec<(usize, Name)>, into: usize, from: usize) {
    let (_, merged) = names[from].clone();
    let name = &mut names[into].1;
    name.count += merged.count;
    name.mentions.extend(merged.mentions);
    name.mentions.sort_by_key(|mention| (mention.sentence, mention.token));
    name.mentions.dedup_by_key(|mention| mention.sentence);
    name.mentions.truncate(MENTIONS_MAX);
    names.remove(from);
}

/// `Keller` is `Anna Keller`, where there is one.
fn last_names(names: &mut Vec<(usize, Name)>) {
    let mut at = 0;
    while at < names.len() {
        let text = &names[at].1.text;
        let full = |(_, name): &(usize, Name)| {
            name.text.len() > text.len()
                && name.text.strip_suffix(text.as_str()).is_some_and(|head| head.ends_with(' '))
                && name.of == Of::Person
        };
        let matching: Vec<usize> = (0..names.len()).filter(|other| full(&names[*other])).collect();
        match matching.as_slice() {
            [only] if !text.contains(' ') => merge(names, *only, at),
            _ => at += 1,
        }
    }
}

/// Whether a sentence is written in capitals.
fn shouts(reading: &Reading, tokens: &[Token]) -> bool {
    let capital =
        tokens.iter().filter(|token| matches!(token.shape, Shape::Acronym | Shape::Capital | Shape::Mixed)).count();
    let most = if reading.language.capitalises_nouns() { 9 } else { 7 };
    tokens.len() > 3 && capital * 10 > tokens.len() * most
}

/// Where capitalised words stand together, as ranges of tokens.
fn spans(reading: &Reading, sentence: &Sentence, tokens: &[Token]) -> Vec<(usize, usize)> {
    let text = |at: usize| reading.surface(sentence, &tokens[at], &tokens[at]);
    let is_part = |at: usize| {
        matches!(tokens[at].shape, Shape::Capital | Shape::Acronym | Shape::Mixed)
            && !is_honorific(text(at))
            && !NO_NAMES.contains(text(at).to_lowercase().as_str())
    };
    let joined = |at: usize| matches!(tokens[at].glue, Glue::Space | Glue::Hyphen | Glue::Dot);
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if !is_part(at) {
            at += 1;
            continue;
        }
        let mut from = at;
        let mut to = at + 1;
        while to < tokens.len() && to - from < NAME_WORDS_MAX && joined(to) {
            if is_part(to) {
                to += 1;
            } else if WITHIN.contains(&text(to))
                && to + 1 < tokens.len()
                && joined(to + 1)
                && is_part(to + 1)
                && to + 1 - from < NAME_WORDS_MAX
            {
                to += 2;
            } else {
                break;
            }
        }
        at = to;
        // The first word of a sentence has its capital from there, unless it is a name's.
        if from == 0 && to - from > 1 && reading.words.word(tokens[0].word).stop {
            from = 1;
        }
        // German nouns have capitals: names there are several words, none of them before an article.
        if from < to {
            spans.push((from, to));
        }
    }
    spans
}

fn before<'r>(reading: &'r Reading, sentence: &Sentence, tokens: &[Token], at: usize) -> Option<&'r str> {
    let (last, this) = (tokens.get(at.checked_sub(1)?)?, tokens.get(at)?);
    Some(&reading.block(sentence).text[last.end as usize..this.begin as usize])
}

/// Whether what stands between two words lets the second begin as a sentence does.
fn opens_words(gap: &str) -> bool {
    gap.contains([':', '"', '“', '„', '«', '–', '—', '.', '?', '!', '/', '|', '=', '>', '•', '('])
}

/// Where a name begins whose acronym says that it has more words: `Maritime and Coastguard Agency (MCA)`.
fn whole_name(reading: &Reading, sentence: &Sentence, tokens: &[Token], from: usize, to: usize) -> usize {
    let bracketed = before(reading, sentence, tokens, to).is_some_and(|gap| gap.trim() == "(");
    let Some(short) = tokens.get(to).filter(|token| bracketed && token.shape == Shape::Acronym) else { return from };
    let short = reading.surface(sentence, short, short).chars().count();
    let capitals = |from: usize| tokens[from..to].iter().filter(|token| token.shape != Shape::Lower).count();
    let mut begin = from;
    while capitals(begin) < short && begin >= 2 {
        let (word, joined) =
            (&tokens[begin - 1], tokens[begin].glue == Glue::Space && tokens[begin - 1].glue == Glue::Space);
        let link = matches!(reading.surface(sentence, word, word), "and" | "for" | "of" | "the" | "und" | "für" | "et");
        if !(joined && link && tokens[begin - 2].shape == Shape::Capital) {
            break;
        }
        begin -= 2;
        if capitals(begin) < short
            && begin >= 1
            && tokens[begin].glue == Glue::Space
            && tokens[begin - 1].shape == Shape::Capital
        {
            begin -= 1;
        }
    }
    if capitals(begin) == short { begin } else { from }
}

/// `World Health Organization (WHO)`: the acronym, and what it stands for.
fn expansion(
    reading: &Reading,
    sentence: &Sentence,
    tokens: &[Token],
    from: usize,
    to: usize,
) -> Option<(String, String)> {
    let short = tokens.get(to)?;
    let gap = before(reading, sentence, tokens, to)?;
    if short.shape != Shape::Acronym || gap.trim() != "(" {
        return None;
    }
    let short = reading.surface(sentence, short, short);
    let initials: String = tokens[from..to]
        .iter()
        .filter(|token| token.shape != Shape::Lower)
        .filter_map(|token| reading.surface(sentence, token, token).chars().next())
        .collect();
    let like = short.chars().next() == initials.chars().next()
        && short.chars().count().abs_diff(initials.chars().count()) <= 1;
    like.then(|| (short.to_owned(), reading.surface(sentence, &tokens[from], &tokens[to - 1]).to_owned()))
}

/// Whether it is a name, and of what.
fn judged(
    reading: &Reading,
    text: &str,
    found: &Found,
    acronyms: &BTreeMap<String, String>,
    lower: &HashMap<u32, u32>,
) -> Option<Of> {
    let words: Vec<&str> = text.split([' ', '-']).collect();
    let last = words.last()?.to_lowercase();
    let first = words.first()?.to_lowercase();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if letters < 2 || text.chars().filter(|c| !c.is_alphanumeric() && !" -.'’&".contains(*c)).count() > 0 {
        return None;
    }
    let organised = words.iter().map(|word| word.to_lowercase()).any(|word| {
        let ends = |end: &&str| reading.language.code == "de" && word.len() > end.len() + 3 && word.ends_with(*end);
        ORGANISATIONS.contains(word.as_str())
            || ["amt", "verband", "gesellschaft", "institut", "universität", "ministerium"].iter().any(ends)
    });
    let placed = PLACES.contains(last.as_str()) || (words.len() > 1 && PLACES_BEGIN.contains(&first.as_str()));
    let expanded = acronyms.values().any(|long| long == text);
    let of = match () {
        () if found.titled > 0 => Of::Person,
        () if words.len() > 1 && organised => Of::Organisation,
        () if words.len() > 1 && placed => Of::Place,
        () if found.placed * 2 >= found.count => Of::Place,
        () if is_person(reading, &words, lower) => Of::Person,
        () => Of::Something,
    };
    let acronym = words.len() == 1 && text.chars().all(|c| !c.is_lowercase());
    let enough = match () {
        () if expanded => true,
        () if acronym => {
            let length = text.chars().count();
            !COMMON.contains(text)
                && (2..=ACRONYM_LETTERS_MAX).contains(&length)
                && (acronyms.contains_key(text) || (found.inside >= 2 && length >= 3))
        }
        () if found.titled > 0 => true,
        // Nouns have capitals: a name is typed, or has no article.
        () if reading.language.capitalises_nouns() => {
            (words.len() > 1 && (organised || placed || of == Of::Person))
                || (words.len() == 1 && found.placed >= 1 && found.placed * 2 >= found.count && found.count >= 2)
        }
        () if words.len() > 1 => {
            let plain = words.iter().all(|word| is_plain(reading, word, lower));
            found.inside >= 1 && (!plain || organised || placed) || found.count >= 2 && found.inside == 0 && !plain
        }
        () => {
            found.inside >= 2 && !is_plain(reading, text, lower)
                || (found.inside >= 1 && of == Of::Place && !is_plain(reading, text, lower))
        }
    };
    enough.then_some(of)
}

/// Whether the document writes a word without a capital too, or everybody does.
fn is_plain(reading: &Reading, word: &str, lower: &HashMap<u32, u32>) -> bool {
    let known = reading.words.known(word, &reading.language);
    known.iter().any(|id| {
        let word = reading.words.word(*id);
        word.stop && word.text.chars().count() > 2 || word.generic || lower.contains_key(&id.0)
    })
}

/// `Anna Keller`, `J. K. Marsh`: two or three words, none of which is a word of its own.
fn is_person(reading: &Reading, words: &[&str], lower: &HashMap<u32, u32>) -> bool {
    let initials = words.iter().filter(|word| word.trim_end_matches('.').chars().count() == 1).count();
    let names = words
        .iter()
        .filter(|word| {
            word.chars().count() > 1 && word.chars().skip(1).all(|c| c.is_lowercase() || c == '\'' || c == '.')
        })
        .count();
    let shaped = (2..=3).contains(&words.len()) && initials + names == words.len() && names >= 1;
    let plain = words.iter().any(|word| is_plain(reading, word, lower));
    shaped && !plain && (initials > 0 || FIRST_NAMES.contains(words[0].to_lowercase().as_str()))
}

/// First names, with which a person's name begins.
static FIRST_NAMES: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/first-names.txt")));
