//! Listings of programs in what Word writes: paragraphs that are code throughout. Owns which they are, and that each is one block with its
//! lines as they are, where what writes Markdown would mark every word of it.

use std::fmt::Write as _;

use undoc::model::{Block, Document, Paragraph, RevisionType, TextRun};

/// What paragraphs of code are called by programs that write them.
const STYLES: &[&str] = &[
    "code",
    "code block",
    "codeblock",
    "html preformatted",
    "listing",
    "preformatted text",
    "source code",
    "sourcecode",
    "verbatim",
];
/// Words in the names of fonts whose letters are all as wide: `Courier New`, `DejaVu Sans Mono`.
const FONTS: &[&str] =
    &["code", "consolas", "console", "courier", "inconsolata", "menlo", "monaco", "mono", "typewriter"];
/// What stands in a listing's place until the rest is written; it has nothing that is escaped.
const MARK: &str = "highwaterlisting";
/// The shortest fence.
const FENCE_MIN: usize = 3;

/// The listings of a document.
pub(super) struct Listings {
    texts: Vec<String>,
    mark: String,
}

impl Listings {
    /// Takes them out, and leaves a mark in the place of each.
    pub(super) fn of(document: &mut Document) -> Self {
        let mut mark = MARK.to_owned();
        let words = document.plain_text();
        while words.contains(&mark) {
            mark.push('x');
        }
        let mut listings = Self { texts: Vec::new(), mark };
        let by_font = !is_typewritten(document);
        for section in &mut document.sections {
            let mut content = Vec::with_capacity(section.content.len());
            let mut open = Open::default();
            for block in section.content.drain(..) {
                match block {
                    Block::Paragraph(paragraph) if is_listing(&paragraph, by_font) => open.lines.push(text(&paragraph)),
                    Block::Paragraph(paragraph) if paragraph.is_empty() && !open.lines.is_empty() => {
                        open.lines.push(String::new());
                        open.blank += 1;
                        continue;
                    }
                    block => {
                        listings.close(&mut open, &mut content);
                        content.push(block);
                        continue;
                    }
                }
                open.blank = 0;
            }
            listings.close(&mut open, &mut content);
            section.content = content;
        }
        listings
    }

    fn close(&mut self, open: &mut Open, content: &mut Vec<Block>) {
        let Open { mut lines, blank } = std::mem::take(open);
        lines.truncate(lines.len() - blank);
        if lines.is_empty() {
            return;
        }
        content.push(Block::Paragraph(Paragraph::with_text(format!("{}{}", self.mark, self.texts.len()))));
        self.texts.push(lines.join("\n"));
    }

    /// Puts them back into what was written.
    pub(super) fn put_back(&self, written: &str) -> String {
        if self.texts.is_empty() {
            return written.to_owned();
        }
        let mut whole = String::with_capacity(written.len());
        for line in written.lines() {
            let listing =
                line.trim().strip_prefix(&self.mark).and_then(|number| self.texts.get(number.parse::<usize>().ok()?));
            match listing {
                Some(listing) => {
                    let fence = "`".repeat(FENCE_MIN.max(longest_ticks(listing) + 1));
                    let _ = writeln!(whole, "{fence}\n{listing}\n{fence}");
                }
                None => {
                    whole.push_str(line);
                    whole.push('\n');
                }
            }
        }
        whole
    }
}

/// A listing that may go on.
#[derive(Default)]
struct Open {
    lines: Vec<String>,
    /// How many of the last lines are those of empty paragraphs.
    blank: usize,
}

/// Whether a paragraph is code throughout, by its style or, where that tells anything, by its font.
fn is_listing(paragraph: &Paragraph, by_font: bool) -> bool {
    let plain = !paragraph.is_heading() && !paragraph.is_list_item() && paragraph.images.is_empty();
    let mut said = paragraph.runs.iter().filter(|run| !run.text.trim().is_empty()).peekable();
    let style = paragraph.style_name.as_deref().or(paragraph.style_id.as_deref()).unwrap_or_default();
    plain
        && said.peek().is_some()
        && paragraph.runs.iter().all(|run| run.hyperlink.is_none() && run.note.is_none())
        && (STYLES.iter().any(|named| style.eq_ignore_ascii_case(named)) || by_font && said.all(is_code))
}

/// Whether a run is in a font of typewriters, or in a style for code.
fn is_code(run: &TextRun) -> bool {
    let font = run.style.font.as_deref().unwrap_or_default();
    run.style.code || font.split(' ').any(|word| FONTS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Whether most of a document is in a font of typewriters, which tells nothing then.
fn is_typewritten(document: &Document) -> bool {
    let paragraphs = document.sections.iter().flat_map(|section| &section.content).filter_map(|block| match block {
        Block::Paragraph(paragraph) => Some(paragraph),
        _ => None,
    });
    let (mut code, mut other) = (0, 0);
    for run in paragraphs.flat_map(|paragraph| &paragraph.runs) {
        *(if is_code(run) { &mut code } else { &mut other }) += run.text.len();
    }
    code > other
}

fn text(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for TextRun { text: said, line_break, revision, .. } in &paragraph.runs {
        if *revision == RevisionType::Deleted {
            continue;
        }
        text.push_str(said);
        if *line_break {
            text.push('\n');
        }
    }
    text
}

fn longest_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
