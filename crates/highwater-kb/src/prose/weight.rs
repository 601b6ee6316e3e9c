//! How much each sentence of a text says. Owns the weights: what is said often, early, and by itself, in whole numbers.

use super::blocks::BlockKind;
use super::reading::{Reading, describes_itself};
use super::word::{Shape, Token, WordId};

/// A word that comes more often says no more.
const COUNT_MAX: u32 = 30;
/// What a short sentence is measured as.
const WORDS_SMOOTH: u64 = 8;

/// Words by which a sentence says that it matters.
const CUES: &[&str] = &[
    "must",
    "shall",
    "required",
    "important",
    "never",
    "always",
    "result",
    "results",
    "found",
    "show",
    "shows",
    "conclude",
    "purpose",
    "aim",
    "goal",
    "decided",
    "agreed",
    "recommend",
    "obligations",
    "means",
    "defined",
    "consists",
    "muss",
    "müssen",
    "darf",
    "ergebnis",
    "ziel",
    "wichtig",
    "beschlossen",
    "doit",
    "doivent",
    "résultat",
    "objectif",
    "debe",
    "resultado",
    "objetivo",
];

/// The weight of each of [`Reading::sentences`]; 0 for one that cannot stand alone.
#[must_use]
pub fn weights(reading: &Reading, title: &str) -> Vec<u64> {
    let counts = counts(reading);
    weigh(reading, title, &counts)
}

/// How much each word of a text weighs.
pub(crate) fn counts(reading: &Reading) -> Vec<u32> {
    (0..reading.words.len())
        .map(|at| {
            let word = reading.words.word(WordId(u32::try_from(at).expect("invariant: words are numbered by u32")));
            if word.stop { 0 } else { word.count.min(COUNT_MAX) * if word.generic { 1 } else { 2 } }
        })
        .collect()
}

/// The weight of each sentence where a word weighs as `counts` says.
pub(crate) fn weigh(reading: &Reading, title: &str, counts: &[u32]) -> Vec<u64> {
    let mut met = vec![u32::MAX; counts.len()];
    let titled = words_of(reading, title);
    let mut weights = Vec::with_capacity(reading.sentences.len());
    let mut last_block = u32::MAX;
    let total = reading.sentences.len() as u64;
    for (number, sentence) in reading.sentences.iter().enumerate() {
        let block = reading.block(sentence);
        let opens = std::mem::replace(&mut last_block, sentence.block) != sentence.block;
        if !sentence.whole {
            weights.push(0);
            continue;
        }
        let (mut sum, mut named, mut odd) = (0u64, 0u64, 0u64);
        let mark = u32::try_from(number).unwrap_or(u32::MAX - 1);
        for token in reading.tokens_of(sentence) {
            odd += u64::from(matches!(token.shape, Shape::Code | Shape::Number));
            let word = token.word.0 as usize;
            if std::mem::replace(&mut met[word], mark) == mark {
                continue;
            }
            sum += u64::from(counts[word]);
            named += u64::from(titled.contains(&token.word) && counts[word] > 0);
        }
        let words = u64::from(sentence.words);
        let mut weight = 1 + sum * 1000 / (words + WORDS_SMOOTH);
        let text = reading.text(sentence);
        let times = |weight: u64, percent: u64| weight * percent / 100;
        // What stands early, and first in its paragraph, is what the rest explains.
        let early = number as u64 * 10 < total;
        for (holds, percent) in [
            (opens, 125),
            (early, 115),
            (named > 0, 100 + 15 * named.min(3)),
            (has_cue(text), 125),
            (describes_itself(text), 160),
            (sentence.leans, 35),
            (odd * 5 > words, 60),
            (block.kind == BlockKind::Quote, 60),
            (block.kind == BlockKind::Item, 90),
            (words < 7, 70),
            (words > 35, 75),
            (refers(text), 55),
        ] {
            if holds {
                weight = times(weight, percent);
            }
        }
        weights.push(weight.max(1));
    }
    weights
}

/// The words of a text that stand in `title` too.
pub(crate) fn words_of(reading: &Reading, title: &str) -> Vec<WordId> {
    let mut words: Vec<WordId> = reading
        .words
        .known(title, &reading.language)
        .into_iter()
        .filter(|word| !reading.words.word(*word).stop)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Whether a phrase of these words stands where these tokens do.
pub(crate) fn is_at(tokens: &[Token], words: &[WordId]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.word == *word)
}

fn has_cue(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| CUES.contains(&word.to_lowercase().as_str()))
}

/// Whether a sentence sends its reader elsewhere.
fn refers(text: &str) -> bool {
    ["See ", "see ", "Figure ", "Fig. ", "Table ", "as shown", "above", "below", "siehe ", "Abb. "]
        .iter()
        .any(|word| text.contains(word))
}
