//! Names that say nearly the same. Owns the measure: two names are alike where only case, accents, hyphens, the order of their words,
//! plurals, or one letter of one longer word tell them apart. It depends on nothing but the two names.
//!
//! One letter more, less, other, or two that changed places: such words have a form in common once each has lost one letter. So no
//! name is compared with all others.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use strsim::osa_distance;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::{Finding, Kind, Look, ROWS};
use crate::error::KbError;
use crate::page::{PageKind, PageName};
use crate::prose::singular;

/// The fewest letters of a name of one word in which one letter may be a slip.
const SLIP_LETTERS_MIN: usize = 6;
/// The same of a word among others.
const SLIP_AMONG_LETTERS_MIN: usize = 5;
/// The most letters of a word that is looked at for a slip.
const SLIP_LETTERS_MAX: usize = 40;

/// What a name says: its words in small letters without accents, each in the form that it shares with its plural.
fn words(name: &str) -> Vec<String> {
    let plain: String = name.nfkd().filter(|character| !is_combining_mark(*character)).nfkc().collect();
    let lower = plain.to_lowercase();
    let words = lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(singular).collect()
}

/// What two names share that a person would take for one: neither case, accents, hyphens, spaces nor plurals count.
pub(super) fn loose(name: &str) -> String {
    words(name).concat()
}

/// A concept, with what its name says.
struct Concept {
    name: PageName,
    documents: u64,
    words: Vec<String>,
}

pub(super) fn look(look: &mut Look<'_>) -> Result<(), KbError> {
    let mut concepts = Vec::new();
    let mut after = Vec::new();
    loop {
        let listed = look.snapshot.listed_after(PageKind::Concept, &after, ROWS)?;
        let Some(last) = listed.last() else { break };
        after = last.key.clone();
        // A page that a person deleted is out of the question.
        let standing = listed.into_iter().filter(|page| !look.deleted.contains(page.name.path().as_str()));
        concepts.extend(standing.map(|page| {
            let words = words(page.name.stem());
            Concept { name: page.name, documents: page.documents, words }
        }));
    }
    for (one, other, why) in pairs(&concepts) {
        let (one, other) = (&concepts[one], &concepts[other]);
        // The one that fewer documents share is told of.
        let (more, less) = if one.documents >= other.documents { (one, other) } else { (other, one) };
        let finding = Finding {
            kind: Kind::NearDuplicate,
            file: less.name.path().to_string(),
            line: None,
            what: format!(
                "its name says nearly the same as {} ({why}); {} here, {} there",
                more.name,
                counted(less.documents),
                counted(more.documents)
            ),
            mends: "where both are one thing, delete this page, which then stays away, and link the other".to_owned(),
            fix: false,
        };
        look.tell(finding);
    }
    Ok(())
}

fn counted(documents: u64) -> String {
    if documents == 1 { "1 document".to_owned() } else { format!("{documents} documents") }
}

/// Concepts that are alike, by their places in the list, and why; each with the first that it is like.
fn pairs(concepts: &[Concept]) -> Vec<(usize, usize, &'static str)> {
    let mut pairs: BTreeMap<usize, (usize, &'static str)> = BTreeMap::new();
    let mut tell = |one: usize, other: usize, why: &'static str| {
        pairs.entry(one.max(other)).or_insert((one.min(other), why));
    };
    let sorted = |concept: &Concept| {
        let mut words = concept.words.clone();
        words.sort();
        words.join(" ")
    };
    for (why, key) in [
        (
            "only case, accents, hyphens or a plural differ",
            &(|concept: &Concept| concept.words.concat()) as &dyn Fn(&Concept) -> String,
        ),
        ("only the order of its words or a plural differs", &sorted),
    ] {
        let mut keyed: Vec<(u64, usize)> =
            concepts.iter().enumerate().map(|(n, concept)| (hashed(&key(concept)), n)).collect();
        keyed.sort_unstable();
        for group in keyed.chunk_by(|one, other| one.0 == other.0) {
            let (_, first) = group[0];
            let alike = group[1..].iter().filter(|(_, n)| key(&concepts[*n]) == key(&concepts[first]));
            alike.for_each(|(_, n)| tell(first, *n, why));
        }
    }
    let mut slips: Vec<(u64, usize)> = Vec::new();
    for (n, concept) in concepts.iter().enumerate() {
        let mut words = concept.words.clone();
        words.sort();
        words.dedup();
        for (at, word) in words.iter().enumerate().filter(|(_, word)| may_slip(word, words.len())) {
            let others: Vec<&str> =
                words.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| word.as_str()).collect();
            let others = others.join(" ");
            slips.push((hashed(&(&others, word)), n));
            for (cut, letter) in word.char_indices() {
                let less = format!("{}{}", &word[..cut], &word[cut + letter.len_utf8()..]);
                slips.push((hashed(&(&others, less)), n));
            }
        }
    }
    slips.sort_unstable();
    slips.dedup();
    for group in slips.chunk_by(|one, other| one.0 == other.0) {
        for (place, (_, one)) in group.iter().enumerate() {
            let slipped = group[place + 1..].iter().find(|(_, other)| is_slip(&concepts[*one], &concepts[*other]));
            if let Some((_, other)) = slipped {
                tell(*one, *other, "only one letter differs");
            }
        }
    }
    pairs.into_iter().map(|(other, (one, why))| (one, other, why)).collect()
}

fn may_slip(word: &str, among: usize) -> bool {
    let letters_min = if among > 1 { SLIP_AMONG_LETTERS_MIN } else { SLIP_LETTERS_MIN };
    (letters_min..=SLIP_LETTERS_MAX).contains(&word.chars().count()) && !word.contains(|c: char| c.is_numeric())
}

/// Whether one word of these names is a slip of the other's, and all others are the same.
fn is_slip(one: &Concept, other: &Concept) -> bool {
    let only = |of: &Concept, not: &Concept| -> Vec<String> {
        of.words.iter().filter(|word| !not.words.contains(word)).cloned().collect()
    };
    match (only(one, other).as_slice(), only(other, one).as_slice()) {
        ([word], [slip]) => {
            may_slip(word, one.words.len()) && may_slip(slip, other.words.len()) && osa_distance(word, slip) == 1
        }
        _ => false,
    }
}

/// The same in every run: no keys of the process's own.
fn hashed(of: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<String> {
        let concept = |name: &&str| Concept {
            name: PageName::of_title(PageKind::Concept, name),
            documents: 1,
            words: words(name),
        };
        let concepts: Vec<Concept> = names.iter().map(concept).collect();
        let told = |(one, other, why): (usize, usize, &str)| {
            let last = why.split(' ').next_back().unwrap_or_default().to_owned();
            format!("{} ~ {} {last}", names[one], names[other])
        };
        pairs(&concepts).into_iter().map(told).collect()
    }

    #[test]
    fn names_that_a_person_takes_for_one_are_alike() {
        for (one, other) in [
            ("Tidal Range", "tidal-range"),
            ("tidal-range", "tidal-ranges"),
            ("data-base", "database"),
            ("data_bases", "Database"),
            ("caf\u{e9}s", "cafe"),
            ("range-of-tide", "tide-of-range"),
            ("tidal-range", "tidel-range"),
            ("harbour-gauge", "harbor-gauge"),
            ("receiver", "reciever"),
            ("\u{ff34}ides", "tide"),
        ] {
            assert_eq!(found(&[one, other]).len(), 1, "{one} {other}");
            assert_eq!(found(&[other, one]).len(), 1, "{other} {one}");
        }
    }

    #[test]
    fn names_that_differ_in_what_they_say_are_not() {
        let names = [
            "report-2023",
            "report-2024",
            "type-a",
            "type-b",
            "tide",
            "tiger",
            "north-sea",
            "south-sea",
            "storm",
            "storm-surge",
            "東京",
            "東大",
            "gauge-station-11",
            "gauge-station-12",
            "compression",
            "depression",
        ];
        assert_eq!(found(&names), Vec::<String>::new());
    }

    #[test]
    fn each_is_told_once_with_the_first_that_it_is_like() {
        let found = found(&["tidal-range", "tidal-ranges", "tidalrange", "range-tidal", "tidal-rnage"]);
        assert_eq!(
            found,
            [
                "tidal-range ~ tidal-ranges differ",
                "tidal-range ~ tidalrange differ",
                "tidal-range ~ range-tidal differs",
                "tidal-range ~ tidal-rnage differs",
            ]
        );
    }

    #[test]
    fn what_is_loose_joins_words_as_people_write_them() {
        for alike in ["Tidal Range", "tidal_ranges", "TIDAL-RANGE", "tidal  range"] {
            assert_eq!(loose(alike), "tidalrange");
        }
        assert_eq!(loose("…"), "");
    }
}
