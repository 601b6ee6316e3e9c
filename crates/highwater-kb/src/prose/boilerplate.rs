//! What of a text is there for its form: contents, licences, navigation, page numbers, what each page repeats. Owns how it is known.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::blocks::{Block, BlockKind, Blocks};
use super::language::{Lexicon, lexicon};

/// A block that comes as often is a header or a footer.
const REPEATS_MIN: u32 = 3;
/// A longer block is no header.
const REPEATED_CHARS_MAX: usize = 160;
/// Of a hundred bytes of a block, so many in links are navigation.
const LINKED_PERCENT_MIN: usize = 70;

/// Headings over what nobody reads for what it says, in lower case.
static HEADINGS: Lexicon = LazyLock::new(|| lexicon(include_str!("words/form-headings.txt")));

/// What only a licence says, in lower case.
static LICENCES: Lexicon = LazyLock::new(|| lexicon(include_str!("words/licences.txt")));

/// Which blocks say nothing.
pub(super) fn silent(blocks: &Blocks) -> Vec<bool> {
    let mut repeats: HashMap<String, u32> = HashMap::new();
    let repeated = |block: &Block| {
        let short = block.kind != BlockKind::Item && block.text.chars().nth(REPEATED_CHARS_MAX).is_none();
        short.then(|| block.text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>())
    };
    for key in blocks.blocks.iter().filter_map(repeated) {
        *repeats.entry(key).or_default() += 1;
    }
    let under = below(blocks);
    blocks
        .blocks
        .iter()
        .map(|block| {
            block.heading.is_some_and(|heading| under[heading as usize])
                || repeated(block).is_some_and(|key| repeats.get(&key).is_some_and(|count| *count >= REPEATS_MIN))
                || is_form(block)
        })
        .collect()
}

/// Which headings stand over what is only form, or below such a heading.
fn below(blocks: &Blocks) -> Vec<bool> {
    let mut over: Option<u8> = None;
    let mut under = Vec::with_capacity(blocks.headings.len());
    for heading in &blocks.headings {
        if over.is_some_and(|level| heading.level <= level) {
            over = None;
        }
        if over.is_none() && is_form_heading(&heading.title) {
            over = Some(heading.level);
        }
        under.push(over.is_some());
    }
    // A title alone cannot silence a whole document.
    if under.iter().all(|silent| *silent) { vec![false; under.len()] } else { under }
}

/// Whether a heading stands over what is only form.
pub(crate) fn is_form_heading(title: &str) -> bool {
    let numberless = title.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
    let title = numberless.trim_end_matches([':', ' ', '.']).to_lowercase();
    HEADINGS.contains(title.as_str())
}

fn is_form(block: &Block) -> bool {
    let text = block.text.as_str();
    if block.kind == BlockKind::Heading {
        return false;
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if letters < 2 {
        return true;
    }
    if text.len() < 4096 {
        let lower = text.to_lowercase();
        if LICENCES.iter().any(|said| lower.contains(said.as_str())) {
            return true;
        }
    }
    block.linked_bytes as usize * 100 >= text.len() * LINKED_PERCENT_MIN
        || text.contains(".....")
        || text.contains(". . . .")
        || is_page_number(text)
}

/// `Page 3 of 7`, `- 12 -`.
fn is_page_number(text: &str) -> bool {
    text.chars().count() <= 24
        && text.chars().any(|c| c.is_ascii_digit())
        && text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).all(|word| {
            word.chars().all(|c| c.is_ascii_digit())
                || matches!(word.to_lowercase().as_str(), "page" | "of" | "seite" | "von" | "p")
        })
}
