//! The language of a text, and which of its words say nothing alone. Owns the lists.

use std::collections::HashSet;
use std::sync::LazyLock;

use whatlang::{Detector, Lang};

/// How much of a text is looked at.
const SAMPLE_BYTES_MAX: usize = 16 * 1024;
/// Fewer letters than these say nothing about a language.
const SAMPLE_LETTERS_MIN: usize = 40;

/// Fewer letters than these are asked for their words as well: a name with accents makes a short text another language.
const SURE_LETTERS_MIN: usize = 2_000;

/// The languages that are told apart.
const KNOWN: [(Lang, &str, &str); 24] = [
    (Lang::Eng, "en", "English"),
    (Lang::Deu, "de", "German"),
    (Lang::Fra, "fr", "French"),
    (Lang::Spa, "es", "Spanish"),
    (Lang::Ita, "it", "Italian"),
    (Lang::Por, "pt", "Portuguese"),
    (Lang::Nld, "nl", "Dutch"),
    (Lang::Swe, "sv", "Swedish"),
    (Lang::Dan, "da", "Danish"),
    (Lang::Nob, "no", "Norwegian"),
    (Lang::Fin, "fi", "Finnish"),
    (Lang::Pol, "pl", "Polish"),
    (Lang::Ces, "cs", "Czech"),
    (Lang::Hun, "hu", "Hungarian"),
    (Lang::Ron, "ro", "Romanian"),
    (Lang::Tur, "tr", "Turkish"),
    (Lang::Rus, "ru", "Russian"),
    (Lang::Ukr, "uk", "Ukrainian"),
    (Lang::Ell, "el", "Greek"),
    (Lang::Jpn, "ja", "Japanese"),
    (Lang::Cmn, "zh", "Chinese"),
    (Lang::Kor, "ko", "Korean"),
    (Lang::Ara, "ar", "Arabic"),
    (Lang::Hin, "hi", "Hindi"),
];

/// Words of one sort, from a file beside this one.
pub(crate) type Lexicon = LazyLock<HashSet<String>>;

/// The words of such a file: commas stand between them, and where its lines end does not matter.
pub(crate) fn lexicon(text: &'static str) -> HashSet<String> {
    text.split(',').map(|words| words.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// English words that a phrase may contain, which a list of stop words takes for empty.
static KEPT: Lexicon = LazyLock::new(|| lexicon(include_str!("words/kept.txt")));

/// English words that are mostly verbs, adverbs or adjectives: a phrase ends before them.
static ACTING: Lexicon = LazyLock::new(|| lexicon(include_str!("words/acting.txt")));

/// English nouns that name nothing alone.
pub(crate) static GENERIC: Lexicon = LazyLock::new(|| lexicon(include_str!("words/generic.txt")));

/// Words of other languages that name nothing alone.
pub(crate) static GENERIC_ELSEWHERE: Lexicon = LazyLock::new(|| lexicon(include_str!("words/generic-elsewhere.txt")));

/// A language, with the words that hold a phrase apart.
#[derive(Debug, Clone)]
pub struct Language {
    /// ISO 639-1.
    pub code: &'static str,
    /// In English.
    pub name: &'static str,
    stops: HashSet<&'static str>,
    kept: HashSet<&'static str>,
}

impl Language {
    /// The language of a text; English where that cannot be told.
    #[must_use]
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut sample = String::new();
        for text in texts {
            sample.push_str(&text[..text.floor_char_boundary(text.len().min(SAMPLE_BYTES_MAX - sample.len()))]);
            sample.push(' ');
            if sample.len() >= SAMPLE_BYTES_MAX {
                break;
            }
        }
        let letters = sample.chars().filter(|c| c.is_alphabetic()).count();
        let told =
            letters >= SAMPLE_LETTERS_MIN || sample.chars().filter(|c| is_cjk(*c)).count() * 4 >= SAMPLE_LETTERS_MIN;
        let known = KNOWN.iter().map(|(lang, ..)| *lang).collect();
        let found = if told { Detector::with_allowlist(known).detect(&sample) } else { None };
        let found = found.map(|found| match found.is_reliable() && letters >= SURE_LETTERS_MIN {
            true => found.lang(),
            false => by_words(&sample, found.lang()),
        });
        let (_, code, name) = KNOWN.iter().find(|(lang, ..)| Some(*lang) == found).unwrap_or(&KNOWN[0]);
        Self::named(code, name)
    }

    fn named(code: &'static str, name: &'static str) -> Self {
        let mut stops: HashSet<&str> = stop_words::lookup(code).unwrap_or_default().iter().copied().collect();
        let mut kept = HashSet::new();
        if code == "en" {
            stops.extend(ACTING.iter().map(String::as_str));
            kept.extend(KEPT.iter().map(String::as_str));
        }
        Self { code, name, stops, kept }
    }

    /// Whether a phrase ends before this word, which is in lower case.
    #[must_use]
    pub fn is_stop(&self, word: &str) -> bool {
        self.stops.contains(word) && !self.kept.contains(word)
    }

    /// Whether this word names nothing alone, and may be part of a phrase.
    #[must_use]
    pub fn is_kept(&self, word: &str) -> bool {
        self.kept.contains(word)
    }

    /// Whether it writes each noun with a capital.
    #[must_use]
    pub fn capitalises_nouns(&self) -> bool {
        self.code == "de"
    }

    /// Whether it is written without spaces.
    #[must_use]
    pub fn has_no_spaces(&self) -> bool {
        matches!(self.code, "ja" | "zh")
    }
}

/// The words that hold phrases apart, in each language.
static STOPS: LazyLock<Vec<(Lang, HashSet<&str>)>> = LazyLock::new(|| {
    let stops = |code| stop_words::lookup(code).unwrap_or_default().iter().copied().collect();
    KNOWN.iter().map(|(lang, code, _)| (*lang, stops(code))).collect()
});

/// The language with most of these words; where none has more than the one that the letters tell, that one.
fn by_words(sample: &str, letters: Lang) -> Lang {
    let lower = sample.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let counts = STOPS.iter().map(|(lang, stops)| (*lang, words.iter().filter(|word| stops.contains(*word)).count()));
    counts.max_by_key(|(lang, count)| (*count, *lang == letters)).map_or(letters, |(lang, _)| lang)
}

/// Whether this is an ideograph or of a Japanese syllabary.
pub(crate) fn is_cjk(character: char) -> bool {
    is_ideograph(character) || matches!(character, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}')
}

/// Whether this is an ideograph.
pub(crate) fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3005}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

/// Whether this is katakana, with the mark that lengthens a vowel.
pub(crate) fn is_katakana(character: char) -> bool {
    matches!(character, '\u{30a1}'..='\u{30fa}' | '\u{30fc}')
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn a_name_with_an_accent_makes_no_short_text_another_language() {
        let told = |text: &str| Language::of([text].into_iter()).code;
        let menu = "The pâté of the Café Orléans is made by Hélène Lefèvre, and it is served with bread.";
        assert_eq!(told(menu), "en");
        assert_eq!(
            told("Le marémètre mesure la hauteur de la mer, et il est lu chaque matin par le gardien du port."),
            "fr"
        );
        assert_eq!(told("Der Pegel steht am Hafen und wird jeden Morgen vom Hafenmeister abgelesen."), "de");
        assert_eq!(told("Mätaren står vid hamnen och den läses varje morgon av den som har vakt."), "sv");
    }
}
