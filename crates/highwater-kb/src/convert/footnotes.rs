//! Footnotes of a page of the web, which are links to a part of it and back. Owns how they are known, and that they become notes of
//! Markdown: a converter of pages sees only links.
//!
//! Before a page is converted, each reference, and the beginning of each note, becomes a word that no page has; in what comes of
//! it those words become `[^1]` and `[^1]: `.

use std::collections::HashMap;

/// Most footnotes of a page.
const NOTES_MAX: usize = 10_000;
/// What a reference reads is short: `1`, `[12]`, `*`.
const REFERENCE_CHARS_MAX: usize = 8;
/// The words begin with this, and with more of it where a page says it itself.
const WORD: &str = "hwnote";
/// What may hold a note.
const HOLDERS: [&str; 7] = ["li", "aside", "p", "div", "dd", "section", "td"];

/// The footnotes of a page.
#[derive(Debug, Default)]
pub(super) struct Footnotes {
    word: String,
    /// What each reference read, by the note's number.
    read: Vec<String>,
}

/// A link of a page: where it is, and what it says.
struct Anchor<'p> {
    begin: usize,
    end: usize,
    attributes: Vec<(String, &'p str)>,
    inner: &'p str,
}

impl Anchor<'_> {
    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }

    /// What of this page it leads to.
    fn target(&self) -> Option<&str> {
        self.get("href").strip_prefix('#').filter(|target| !target.is_empty())
    }

    fn reads(&self) -> String {
        let mut text = String::new();
        let mut tag = false;
        for c in self.inner.chars() {
            match c {
                '<' => tag = true,
                '>' => tag = false,
                c if !tag && !c.is_whitespace() => text.push(c),
                _ => {}
            }
        }
        text
    }

    fn is_reference(&self, reads: &str) -> bool {
        let said = format!("{} {} {}", self.get("role"), self.get("epub:type"), self.get("class")).to_ascii_lowercase();
        let target = self.target().unwrap_or_default().to_ascii_lowercase();
        let named = ["fn", "ftn", "_ftn", "footnote", "note", "cite_note"].iter().any(|start| {
            target
                .strip_prefix(start)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || "-_.:".contains(c)))
        });
        let marked = ["noteref", "footnote", "fnref"].iter().any(|word| said.contains(word)) && !said.contains("back");
        (marked || named) && (1..=REFERENCE_CHARS_MAX).contains(&reads.chars().count())
    }

    fn is_way_back(&self, reads: &str) -> bool {
        let said = format!("{} {}", self.get("role"), self.get("class")).to_ascii_lowercase();
        said.contains("backlink") || said.contains("footnote-back") || reads.starts_with('\u{21a9}')
    }
}

impl Footnotes {
    /// Marks the footnotes of a page; the page comes back, and what is needed to make notes of the marks.
    pub(super) fn mark(page: &str) -> (String, Self) {
        let anchors = anchors(page);
        let mut word = WORD.to_owned();
        while page.contains(&word) {
            word.push('x');
        }
        let mut notes: HashMap<&str, usize> = HashMap::new();
        let mut ways_back: HashMap<&str, ()> = HashMap::new();
        let mut read: Vec<String> = Vec::new();
        let mut edits: Vec<(usize, usize, String)> = Vec::new();
        let holders = holders(page);
        for anchor in &anchors {
            let Some(target) = anchor.target() else { continue };
            let reads = anchor.reads();
            if !anchor.is_reference(&reads) || !holders.contains_key(target) || read.len() >= NOTES_MAX {
                continue;
            }
            let at = *notes.entry(target).or_insert_with(|| {
                read.push(reads);
                read.len() - 1
            });
            for own in [anchor.get("id"), anchor.get("name")] {
                ways_back.insert(own, ());
            }
            // The reference may name itself by what is around it, too.
            edits.push((anchor.begin, anchor.end, format!("{word}ref{}q", at + 1)));
        }
        if read.is_empty() {
            return (page.to_owned(), Self::default());
        }
        for (target, at) in &notes {
            let place = holders[target];
            edits.push((place, place, format!("{word}def{}q ", at + 1)));
        }
        for anchor in &anchors {
            let Some(target) = anchor.target() else { continue };
            let back = ways_back.contains_key(target) || anchor.is_way_back(&anchor.reads());
            if back && !edits.iter().any(|(begin, ..)| *begin == anchor.begin) {
                edits.push((anchor.begin, anchor.end, String::new()));
            }
        }
        edits.sort_by_key(|(begin, end, _)| (*begin, *end));
        let mut marked = String::with_capacity(page.len());
        let mut at = 0;
        for (begin, end, with) in edits {
            if begin < at {
                continue;
            }
            marked.push_str(&page[at..begin]);
            marked.push_str(&with);
            at = end;
        }
        marked.push_str(&page[at..]);
        (marked, Self { word, read })
    }

    /// Makes notes of the marks. A note that got lost on the way leaves its references as they read.
    /// Notes are numbered on from `last`, for a text of several pages.
    pub(super) fn noted(&self, markdown: &str, last: &mut usize) -> String {
        if self.read.is_empty() {
            return markdown.to_owned();
        }
        let before = *last;
        *last += self.read.len();
        let mut text = String::with_capacity(markdown.len());
        let mut found = vec![false; self.read.len()];
        let mut within = false;
        for line in markdown.lines() {
            let bare =
                line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit() || "-*+.".contains(c)).trim_start();
            let note = bare.strip_prefix(&format!("{}def", self.word)).and_then(|rest| rest.split_once('q'));
            let number = note.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
            match number {
                Some((number, rest)) if (1..=found.len()).contains(&number) && !found[number - 1] => {
                    found[number - 1] = true;
                    // A note right below another would be its last line.
                    if !text.is_empty() && !text.ends_with("\n\n") {
                        text.push('\n');
                    }
                    text.push_str(&format!("[^{}]: {}", before + number, rest.trim_start()));
                    within = true;
                }
                _ => {
                    within &= line.is_empty() || line.starts_with(' ');
                    if within && !line.is_empty() {
                        text.push_str("  ");
                    }
                    text.push_str(line);
                }
            }
            text.push('\n');
        }
        for (at, reads) in self.read.iter().enumerate() {
            let number = at + 1;
            let with = if found[at] { format!("[^{}]", before + number) } else { super::settle::escaped(reads) };
            text = text.replace(&format!("{}ref{number}q", self.word), &with);
            text = text
                .replace(&format!("{}def{number}q ", self.word), "")
                .replace(&format!("{}def{number}q", self.word), "");
        }
        text
    }
}

/// Every link of a page, in its order.
fn anchors(page: &str) -> Vec<Anchor<'_>> {
    let mut anchors = Vec::new();
    let mut at = 0;
    while let Some((begin, inside, name, attributes)) = next_tag(page, at) {
        at = inside;
        if !name.eq_ignore_ascii_case("a") {
            continue;
        }
        let Some(length) = find_no_case(&page[inside..], "</a>") else { continue };
        let end = inside + length + "</a>".len();
        anchors.push(Anchor { begin, end, attributes: parsed(attributes), inner: &page[inside..inside + length] });
    }
    anchors
}

/// Where the text of each element begins that can hold a note, by its name: behind the tag of its first paragraph.
fn holders(page: &str) -> HashMap<&str, usize> {
    let mut holders = HashMap::new();
    let mut at = 0;
    while let Some((_, inside, name, attributes)) = next_tag(page, at) {
        at = inside;
        if !HOLDERS.iter().any(|holder| name.eq_ignore_ascii_case(holder)) {
            continue;
        }
        let Some((_, id)) = parsed(attributes).into_iter().find(|(name, _)| name == "id") else { continue };
        let rest = &page[inside..];
        let blank = rest.len() - rest.trim_start().len();
        let place = match next_tag(page, inside) {
            Some((begin, within, first, _)) if begin == inside + blank && first.eq_ignore_ascii_case("p") => within,
            _ => inside,
        };
        holders.entry(id).or_insert(place);
    }
    holders
}

/// The next tag that opens: where it begins, where its text does, its name, its attributes.
fn next_tag(page: &str, from: usize) -> Option<(usize, usize, &str, &str)> {
    let mut at = from;
    loop {
        let begin = at + memchr::memchr(b'<', &page.as_bytes()[at..])?;
        let rest = &page[begin + 1..];
        let name = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        at = begin + 1;
        if name == 0 {
            continue;
        }
        let end = memchr::memchr(b'>', rest.as_bytes())?;
        if end >= name {
            return Some((begin, begin + 1 + end + 1, &rest[..name], &rest[name..end]));
        }
    }
}

/// The attributes of a tag; those without a value say nothing here.
fn parsed(attributes: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut rest = attributes;
    while let Some(equals) = rest.find('=') {
        let name = rest[..equals].trim_end().rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let value = rest[equals + 1..].trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_once(|c: char| c.is_whitespace()).unwrap_or((value, "")),
        };
        found.push((name.to_ascii_lowercase(), value));
        rest = after;
    }
    found
}

fn find_no_case(text: &str, what: &str) -> Option<usize> {
    let first = what.as_bytes()[0];
    let mut at = 0;
    while let Some(found) = memchr::memchr(first, &text.as_bytes()[at..]) {
        let begin = at + found;
        if text.as_bytes()[begin..].get(..what.len()).is_some_and(|part| part.eq_ignore_ascii_case(what.as_bytes())) {
            return Some(begin);
        }
        at = begin + 1;
    }
    None
}
