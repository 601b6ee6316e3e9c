//! The headings of a long text. Owns that it is read part by part, so that what is held does not grow with it.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::TITLE_CHARS_MAX;
use crate::prose::{append, boundary, level_of, options};

/// How much is parsed at once.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
/// More headings than these are not looked at: they are no headings.
const HEADINGS_MAX: usize = 200_000;

/// A heading that stands by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) level: u8,
    pub(super) title: String,
    pub(super) line: u32,
}

/// The headings of a text, in order.
pub(super) fn read(text: &str) -> Vec<Heading> {
    read_by(text, PART_BYTES_MAX)
}

fn read_by(text: &str, part_bytes_max: usize) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let (mut from, mut line, mut counted) = (0, 0u32, 0);
    while from < text.len() && headings.len() < HEADINGS_MAX {
        let end = from + boundary(&text[from..], part_bytes_max);
        let part = Part::of(&text[from..end]);
        // The last block may go on behind the part: it is read again with what follows.
        let again = if end == text.len() { end } else { from + part.last_block };
        let next = if again > from { again } else { end };
        for (at, level, title) in part.headings {
            if from + at >= next {
                break;
            }
            line += lines_between(text, counted, from + at);
            counted = from + at;
            headings.push(Heading { level, title, line });
        }
        // A block that is longer than a part has no headings in it.
        if again == from && end < text.len() && part.is_code {
            break;
        }
        from = next;
    }
    headings
}

fn lines_between(text: &str, from: usize, to: usize) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', &text.as_bytes()[from..to]).count()).unwrap_or(u32::MAX)
}

/// What is found in a part of a text.
struct Part {
    headings: Vec<(usize, u8, String)>,
    /// Where its last block begins.
    last_block: usize,
    /// Whether that block is code.
    is_code: bool,
}

impl Part {
    fn of(text: &str) -> Self {
        let mut part = Self { headings: Vec::new(), last_block: 0, is_code: false };
        let (mut depth, mut open, mut silent) = (0u32, None, 0u32);
        for (event, span) in Parser::new_ext(text, options()).into_offset_iter() {
            match event {
                Event::Start(tag) => {
                    if depth == 0 {
                        part.last_block = span.start;
                        part.is_code = matches!(tag, Tag::CodeBlock(_));
                        if let Tag::Heading { level, .. } = tag {
                            open = Some((span.start, level_of(level), String::new()));
                        }
                    }
                    depth += 1;
                    silent += u32::from(matches!(tag, Tag::Image { .. }));
                }
                Event::End(tag) => {
                    depth = depth.saturating_sub(1);
                    silent = silent.saturating_sub(u32::from(tag == TagEnd::Image));
                    if depth == 0
                        && let Some((at, level, title)) = open.take()
                        && title.contains(char::is_alphanumeric)
                    {
                        part.headings.push((at, level, title.trim().to_owned()));
                    }
                }
                Event::Text(text) | Event::Code(text) if silent == 0 => {
                    if let Some((.., title)) = &mut open
                        && title.len() < TITLE_CHARS_MAX * 4
                    {
                        append(title, &text);
                    }
                }
                Event::SoftBreak | Event::HardBreak => {
                    if let Some((.., title)) = &mut open {
                        append(title, " ");
                    }
                }
                _ => {}
            }
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, part: usize) -> Vec<(u8, String, u32)> {
        read_by(text, part).into_iter().map(|h| (h.level, h.title, h.line)).collect()
    }

    #[test]
    fn a_hash_in_code_or_in_a_list_is_no_heading() {
        let text = "# One\n\n```sh\n# not\n```\n\n    # not\n\n- # not\n\n> # not\n\nTwo\n===\n\n## `three` ##\n";
        assert_eq!(told(text, 4096), [(1, "One".into(), 0), (1, "Two".into(), 12), (2, "three".into(), 15)]);
    }

    #[test]
    fn a_text_in_parts_has_the_same_headings() {
        let mut text = String::new();
        for number in 0..200 {
            text.push_str(&format!("## Part {number}\n\nWords of it.\n\n```\n# code {number}\n```\n\n- item\n\n"));
        }
        let whole = told(&text, usize::MAX);
        assert_eq!(whole.len(), 200);
        for part in [200, 333, 1000, 4096] {
            assert_eq!(told(&text, part), whole, "{part}");
        }
    }
}
