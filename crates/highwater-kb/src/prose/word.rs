//! The words of a sentence, and which of them are one word: `Ranges` and `range` are. Owns that canonical form, and how often each
//! word comes.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::Language;
use super::language::{GENERIC, GENERIC_ELSEWHERE, Lexicon, is_cjk, is_ideograph, is_katakana, lexicon};

/// A run of ideographs is taken for one word up to this.
const RUN_CHARS_MAX: usize = 12;
/// A word that is longer is none.
const WORD_CHARS_MAX: usize = 48;
/// Chinese characters that stand between words.
const BETWEEN: &str = "的了是在和有与及或对为于不也就都而其之以等将被把从到向这那我们你他她它个中上下来去可会能要";
/// What an English plural ends in that is none.
static NO_PLURAL: Lexicon = LazyLock::new(|| lexicon(include_str!("words/no-plural.txt")));
/// Plurals in `-ches` and `-ses` whose singular keeps its `e`.
static KEEP_E: Lexicon = LazyLock::new(|| lexicon(include_str!("words/plural-keeps-e.txt")));

/// A word in its canonical form, in the order of its first appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordId(pub u32);

/// What stands between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glue {
    /// Nothing: it is the first of its sentence.
    Begin,
    /// A space.
    Space,
    /// A hyphen.
    Hyphen,
    /// The full stop of an initial or of a title.
    Dot,
    /// Anything else: a phrase ends there.
    Break,
}

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `tide`.
    Lower,
    /// `Tide`.
    Capital,
    /// `WHO`.
    Acronym,
    /// `PostgreSQL`.
    Mixed,
    /// `4.2`.
    Number,
    /// `base.lock`, `max_len`, or anything in code.
    Code,
    /// A run of ideographs or katakana.
    Run,
}

/// A word where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Where it begins in its block, in bytes.
    pub begin: u32,
    /// Where it ends.
    pub end: u32,
    /// Which word it is.
    pub word: WordId,
    /// What stands before it.
    pub glue: Glue,
    /// How it is written.
    pub shape: Shape,
}

/// A word of a document.
#[derive(Debug, Clone)]
pub struct Word {
    /// In its canonical form.
    pub text: String,
    /// Whether a phrase ends before it.
    pub stop: bool,
    /// Whether it names nothing alone.
    pub generic: bool,
    /// How often it comes.
    pub count: u32,
}

/// The words of a document.
#[derive(Debug, Clone, Default)]
pub struct Words {
    words: Vec<Word>,
    ids: HashMap<String, WordId>,
}

impl Words {
    /// What a word is.
    #[must_use]
    pub fn word(&self, id: WordId) -> &Word {
        &self.words[id.0 as usize]
    }

    /// How many different words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Those words of a text that the document has.
    #[must_use]
    pub fn known(&self, text: &str, language: &Language) -> Vec<WordId> {
        let words = text.unicode_words().map(|word| canonical(&lower(word), language));
        words.filter_map(|word| self.ids.get(&word).copied()).collect()
    }

    fn intern(&mut self, surface: &str, language: &Language) -> WordId {
        let lower = lower(surface);
        let canonical = canonical(&lower, language);
        if let Some(&id) = self.ids.get(&canonical) {
            self.words[id.0 as usize].count += 1;
            return id;
        }
        let id = WordId(u32::try_from(self.words.len()).unwrap_or(u32::MAX));
        let letters = canonical.chars().filter(|c| c.is_alphabetic()).count();
        let short = letters < 3 && !canonical.chars().any(is_ideograph);
        let english = language.code == "en";
        let stop = short || language.is_stop(&lower) || language.is_stop(&canonical) || acts(&canonical, english);
        let generics: &Lexicon = if english { &GENERIC } else { &GENERIC_ELSEWHERE };
        let generic = generics.contains(&canonical) || generics.contains(&lower) || language.is_kept(&lower);
        self.words.push(Word { text: canonical.clone(), stop, generic, count: 1 });
        self.ids.insert(canonical, id);
        id
    }

    /// The words of a sentence, appended to `tokens`.
    pub(super) fn read(
        &mut self,
        text: &str,
        (begin, end): (usize, usize),
        code: &[(u32, u32)],
        language: &Language,
        tokens: &mut Vec<Token>,
    ) {
        let first = tokens.len();
        let (mut last_end, mut broken) = (begin, false);
        let mut run: Option<(usize, usize)> = None;
        let sentence = &text[begin..end];
        for (at, piece) in sentence.unicode_word_indices() {
            let (at, piece_end) = (begin + at, begin + at + piece.len());
            if piece.chars().all(is_cjk) {
                let part = piece
                    .chars()
                    .all(|c| (is_ideograph(c) || is_katakana(c)) && !(language.code == "zh" && BETWEEN.contains(c)));
                match &mut run {
                    Some((from, to)) if part && *to == at && text[*from..*to].chars().count() < RUN_CHARS_MAX => {
                        *to = piece_end
                    }
                    _ => {
                        self.end_run(text, run.take(), language, tokens, first);
                        run = part.then_some((at, piece_end));
                    }
                }
                (last_end, broken) = (piece_end, true);
                continue;
            }
            self.end_run(text, run.take(), language, tokens, first);
            let gap = &text[last_end..at];
            let at = at + elided(piece, language);
            let piece = &text[at..piece_end];
            let coded = code.iter().any(|(from, to)| (*from as usize) < piece_end && at < *to as usize);
            let stem = piece.strip_suffix("'s").or_else(|| piece.strip_suffix("’s"));
            let shape = if coded { Shape::Code } else { shape(stem.unwrap_or(piece)) };
            let glue = match () {
                () if tokens.len() == first => Glue::Begin,
                () if broken => Glue::Break,
                () => {
                    glue(gap, tokens.last().map(|token| (&text[token.begin as usize..token.end as usize], token.shape)))
                }
            };
            let word = self.intern(stem.unwrap_or(piece), language);
            let end = at + stem.unwrap_or(piece).len();
            tokens.push(Token { begin: small(at), end: small(end), word, glue, shape });
            (last_end, broken) = (piece_end, stem.is_some());
        }
        self.end_run(text, run, language, tokens, first);
    }

    fn end_run(
        &mut self,
        text: &str,
        run: Option<(usize, usize)>,
        language: &Language,
        tokens: &mut Vec<Token>,
        first: usize,
    ) {
        let Some((from, to)) = run else { return };
        let glue = if tokens.len() == first { Glue::Begin } else { Glue::Break };
        let run = &text[from..to];
        let count = run.chars().count();
        // Chinese writes no space between words: pairs stand for them.
        if language.code == "zh" && count > 2 {
            let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
            for pair in starts.windows(3) {
                let (begin, end) = (from + pair[0], from + pair[2]);
                let word = self.intern(&text[begin..end], language);
                let glue = if tokens.len() == first { Glue::Begin } else { Glue::Break };
                tokens.push(Token { begin: small(begin), end: small(end), word, glue, shape: Shape::Run });
            }
        } else if count >= 2 {
            let word = self.intern(run, language);
            tokens.push(Token { begin: small(from), end: small(to), word, glue, shape: Shape::Run });
        }
    }
}

fn lower(surface: &str) -> String {
    surface.nfkc().flat_map(char::to_lowercase).collect()
}

fn small(at: usize) -> u32 {
    u32::try_from(at).expect("invariant: a block is short")
}

/// Bytes of an article that is written together with its noun.
fn elided(piece: &str, language: &Language) -> usize {
    if !matches!(language.code, "fr" | "it") {
        return 0;
    }
    match piece.char_indices().find(|(_, c)| matches!(c, '\'' | '’')) {
        Some((at, mark)) if at <= 4 && at + mark.len_utf8() < piece.len() => at + mark.len_utf8(),
        _ => 0,
    }
}

fn glue(gap: &str, before: Option<(&str, Shape)>) -> Glue {
    match gap {
        " " => Glue::Space,
        "-" | "\u{2010}" | "\u{2011}" => Glue::Hyphen,
        ". " | "." => match before {
            Some((word, Shape::Capital | Shape::Acronym)) if word.chars().count() == 1 || is_honorific(word) => {
                Glue::Dot
            }
            _ => Glue::Break,
        },
        _ => Glue::Break,
    }
}

/// Whether this stands before a person's name.
pub(crate) fn is_honorific(word: &str) -> bool {
    matches!(
        word,
        "Dr" | "Prof"
            | "Mr"
            | "Mrs"
            | "Ms"
            | "Herr"
            | "Frau"
            | "Herrn"
            | "Captain"
            | "Capt"
            | "Sir"
            | "Professor"
            | "Mme"
            | "Sr"
            | "Sra"
            | "Madame"
            | "Monsieur"
    )
}

fn shape(word: &str) -> Shape {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = word.chars().filter(|c| c.is_uppercase()).count();
    let first = word.chars().next().is_some_and(char::is_uppercase);
    match () {
        () if letters == 0 => Shape::Number,
        () if word.chars().count() > WORD_CHARS_MAX => Shape::Code,
        () if word.contains(['_', '.', '/', '@', ':', '\\']) && !is_dotted(word) => Shape::Code,
        () if word.chars().any(|c| c.is_numeric()) => {
            if first && capitals < 4 {
                Shape::Mixed
            } else {
                Shape::Code
            }
        }
        () if capitals == letters && letters > 1 => Shape::Acronym,
        () if capitals == 0 => Shape::Lower,
        () if first && capitals == 1 => Shape::Capital,
        () => Shape::Mixed,
    }
}

/// `U.S`, `e.g`.
fn is_dotted(word: &str) -> bool {
    word.split('.').all(|part| part.chars().count() == 1)
}

/// English words that end like adverbs and participles: a phrase ends before them.
fn acts(word: &str, english: bool) -> bool {
    const LY: &[&str] = &[
        "supply",
        "family",
        "assembly",
        "anomaly",
        "reply",
        "jelly",
        "belly",
        "italy",
        "july",
        "fly",
        "ally",
        "butterfly",
        "monopoly",
    ];
    english && word.len() > 4 && word.ends_with("ly") && !LY.contains(&word)
}

/// The form that a word and its plural share.
fn canonical(lower: &str, language: &Language) -> String {
    if language.code == "en" { singular(lower) } else { lower.to_owned() }
}

/// The form that an English word in lower case shares with its plural.
pub(crate) fn singular(lower: &str) -> String {
    if !lower.is_ascii() || lower.len() < 4 || NO_PLURAL.contains(lower) {
        return lower.to_owned();
    }
    let Some(stem) = lower.strip_suffix('s') else { return lower.to_owned() };
    if KEEP_E.contains(lower) {
        return stem.to_owned();
    }
    match () {
        () if stem.ends_with(['s', 'u', 'i']) || lower.ends_with("ics") => lower.to_owned(),
        () if stem.ends_with("ie") && stem.len() > 3 => format!("{}y", &stem[..stem.len() - 2]),
        () if ["sse", "she", "che", "xe", "zze", "sse"].iter().any(|end| stem.ends_with(end)) => {
            stem[..stem.len() - 1].to_owned()
        }
        () => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_plural_are_one() {
        let english = Language::of(["the tides of the sea rise and they fall with the moon each day"].into_iter());
        for (plural, singular) in [
            ("tides", "tide"),
            ("ranges", "range"),
            ("stations", "station"),
            ("berths", "berth"),
            ("boxes", "box"),
            ("buoys", "buoy"),
            ("authorities", "authority"),
            ("passes", "pass"),
            ("caches", "cache"),
            ("series", "series"),
            ("status", "status"),
            ("physics", "physics"),
            ("analysis", "analysis"),
            ("databases", "database"),
            ("bus", "bus"),
            ("vessels", "vessel"),
        ] {
            assert_eq!(canonical(plural, &english), singular, "{plural}");
            assert_eq!(canonical(singular, &english), singular);
        }
    }

    #[test]
    fn what_stands_between_words_is_known() {
        let english = Language::of(["the tides of the sea rise and they fall with the moon each day"].into_iter());
        let text = "Prof. J. Smith's sea-level gauge, base.lock at 4.2 m; WHO";
        let (mut words, mut tokens) = (Words::default(), Vec::new());
        words.read(text, (0, text.len()), &[], &english, &mut tokens);
        let told: Vec<_> = tokens.iter().map(|t| (&text[t.begin as usize..t.end as usize], t.glue, t.shape)).collect();
        insta::assert_debug_snapshot!(told);
    }
}
