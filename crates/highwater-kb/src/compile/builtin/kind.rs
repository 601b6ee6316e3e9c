//! What kind of document this is, in one word. Owns the signs.

use super::super::Source;
use crate::prose::{BlockKind, Reading};

/// From so many pages on, or words, a document with chapters is a book.
const BOOK_PAGES_MIN: usize = 120;
/// See [`BOOK_PAGES_MIN`].
const BOOK_WORDS_MIN: u64 = 60_000;
/// A page of slides has fewer words.
const SLIDE_WORDS_MAX: u64 = 90;

/// Words of a title, and the kind that they say.
const TITLED: &[(&str, &[&str])] = &[
    ("contract", &["agreement", "contract", "lease", "vertrag", "contrat", "contrato", "契約書"]),
    ("notes", &["minutes", "meeting", "notes", "protokoll", "sitzungsprotokoll", "besprechung", "議事録"]),
    ("protocol", &["protocol", "procedure", "sop", "arbeitsanweisung", "手順書"]),
    (
        "manual",
        &[
            "manual",
            "guide",
            "handbook",
            "handbuch",
            "anleitung",
            "leitfaden",
            "tutorial",
            "howto",
            "マニュアル",
            "手引き",
            "案内",
        ],
    ),
    ("report", &["report", "bericht", "rapport", "informe", "review", "報告", "報告書"]),
    ("specification", &["specification", "standard", "rfc", "spezifikation", "仕様書"]),
];

/// Headings, and the kind whose parts they are: two of them say so.
const HEADED: &[(&str, &[&str])] = &[
    (
        "recipe",
        &[
            "ingredients",
            "method",
            "directions",
            "zutaten",
            "zubereitung",
            "preparation",
            "ingrédients",
            "préparation",
            "材料",
            "作り方",
            "serves",
        ],
    ),
    (
        "paper",
        &[
            "abstract",
            "references",
            "methods",
            "results",
            "discussion",
            "conclusion",
            "conclusions",
            "related work",
            "bibliography",
        ],
    ),
    (
        "notes",
        &[
            "attendees",
            "present",
            "agenda",
            "action items",
            "actions",
            "decisions",
            "next meeting",
            "teilnehmer",
            "beschlüsse",
        ],
    ),
    (
        "readme",
        &[
            "installation",
            "install",
            "usage",
            "getting started",
            "building",
            "build",
            "license",
            "licence",
            "contributing",
            "quick start",
            "options",
        ],
    ),
    (
        "protocol",
        &["materials", "procedure", "reagents", "equipment", "safety", "steps", "materialien", "durchführung"],
    ),
];

/// What kind of document this is.
pub(super) fn of(source: &Source<'_>, reading: &Reading, title: &str) -> &'static str {
    let words = reading.word_count();
    let whole = reading.sentences.iter().filter(|sentence| sentence.whole).count() as u64;
    let rows: u64 = reading.blocks.tables.iter().map(|table| table.row_count).sum();
    if rows > 0 && whole < 4 && rows * 4 > words / 8 {
        return "table";
    }
    let pages = source.converted.page_lines.len();
    if pages >= 3 && words / pages as u64 <= SLIDE_WORDS_MAX && items(reading) * 2 >= blocks(reading) {
        return "slides";
    }
    if pages >= BOOK_PAGES_MIN || words >= BOOK_WORDS_MIN {
        return "book";
    }
    let name = source.name.as_str().to_lowercase();
    if name.starts_with("readme") {
        return "readme";
    }
    let lower = title.to_lowercase();
    let titled = |signs: &[&str]| {
        lower.split(|c: char| !c.is_alphanumeric()).any(|word| signs.contains(&word))
            || signs.iter().any(|sign| !sign.is_ascii() && lower.contains(sign))
            || lower
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| signs.iter().any(|sign| sign.len() > 6 && word.ends_with(sign)))
    };
    if let Some((kind, _)) = TITLED.iter().find(|(_, signs)| titled(signs)) {
        return kind;
    }
    let headed = |signs: &[&str]| {
        let headings = reading.blocks.headings.iter().map(|heading| heading.title.to_lowercase());
        headings.filter(|heading| signs.contains(&heading.trim_matches(|c: char| !c.is_alphabetic()))).count()
    };
    if let Some((kind, _)) = HEADED.iter().find(|(_, signs)| headed(signs) >= 2) {
        return kind;
    }
    if items(reading) * 3 >= blocks(reading) * 2 && words < 2_000 { "notes" } else { "article" }
}

fn items(reading: &Reading) -> usize {
    reading.blocks.blocks.iter().filter(|block| block.kind == BlockKind::Item).count()
}

fn blocks(reading: &Reading) -> usize {
    reading.blocks.blocks.iter().filter(|block| block.kind != BlockKind::Heading).count().max(1)
}

/// `a manual`, `an article`.
pub(super) fn with_article(kind: &str) -> String {
    match kind {
        "slides" => "Slides".to_owned(),
        "notes" => "Notes".to_owned(),
        kind if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("An {kind}"),
        kind => format!("A {kind}"),
    }
}
