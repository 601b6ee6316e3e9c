//! What a model writes as Markdown, written anew. Owns which of it a page takes: paragraphs, lists, tables, code, emphasis, and links to
//! pages of the base. Everything else is the words that it reads as: an address, an image, HTML, a heading, a tag, a query that a
//! plugin would run. Nothing is taken over as it stands, so nothing has to be thought of to be kept out.

use std::fmt::Write as _;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Parser, Tag, TagEnd};

use crate::page::PageName;
use crate::page::link::MARKDOWN;
use crate::page::render::link_to;
use crate::prose::{markdown, markdown_inside, plain};

/// How deep lists stand in lists.
const LIST_DEPTH_MAX: usize = 3;
/// The most columns of a table.
const COLUMNS_MAX: usize = 12;
/// The most rows of a table.
const ROWS_MAX: usize = 60;
/// The most digits of the number of a source.
const CITED_DIGITS_MAX: usize = 3;

/// Where what a model writes may lead.
pub trait Leads {
    /// The page that a link names, if it may.
    fn page(&self, target: &str) -> Option<PageName>;

    /// What stands for `[n]`; `None` leaves it as words.
    fn cited(&self, number: u32) -> Option<String> {
        let _ = number;
        None
    }
}

/// The same in Markdown of ours, of at most about so many characters: what is more is left out, block by block.
#[must_use]
pub fn own(text: &str, leads: &impl Leads, chars_max: usize) -> String {
    let mut writer = Writer { leads, chars_max, ..Writer::new(leads) };
    for event in Parser::new_ext(text, MARKDOWN) {
        if writer.is_full {
            break;
        }
        writer.take(event);
    }
    writer.end_block();
    writer.out.truncate(writer.out.trim_end().len());
    writer.out
}

/// What is open within a block.
enum Frame {
    Emphasis,
    Strong,
    /// Whether it is a link to a page, and the words it reads as.
    Link(Option<PageName>, String),
}

struct Writer<'l, L> {
    leads: &'l L,
    out: String,
    chars_max: usize,
    is_full: bool,
    /// What the block says so far.
    inline: String,
    /// Words that are not in it yet.
    pending: String,
    /// What is open, with what the block said before it.
    frames: Vec<(Frame, String)>,
    /// For each list: the number of its next item, where it has numbers, and how wide its mark is.
    lists: Vec<(Option<u64>, usize)>,
    /// The mark of an item of which nothing is written yet.
    mark: Option<String>,
    heading: bool,
    code: Option<String>,
    table: Option<Vec<Vec<String>>>,
}

impl<'l, L: Leads> Writer<'l, L> {
    fn new(leads: &'l L) -> Self {
        Self {
            leads,
            out: String::new(),
            chars_max: usize::MAX,
            is_full: false,
            inline: String::new(),
            pending: String::new(),
            frames: Vec::new(),
            lists: Vec::new(),
            mark: None,
            heading: false,
            code: None,
            table: None,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.words(&text),
            Event::Code(code) => self.inline_code(&code),
            Event::Html(html) | Event::InlineHtml(html) => self.words(&html),
            Event::InlineMath(math) | Event::DisplayMath(math) => self.words(&math),
            Event::SoftBreak | Event::HardBreak => self.words(" "),
            Event::Rule => self.end_block(),
            Event::FootnoteReference(_) | Event::TaskListMarker(_) => {}
        }
    }

    fn words(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(text);
            return;
        }
        self.pending.push_str(text);
        for (frame, _) in &mut self.frames {
            if let Frame::Link(_, words) = frame {
                words.push_str(text);
            }
        }
    }

    fn begin(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock | Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => self.end_block(),
            Tag::Heading { .. } => {
                self.end_block();
                self.heading = true;
            }
            Tag::List(first) => {
                self.end_block();
                if self.lists.is_empty() && !self.out.is_empty() {
                    self.out.push('\n');
                }
                self.lists.push((first.map(|_| 1), 0));
            }
            Tag::Item => {
                self.end_block();
                if let Some((number, width)) = self.lists.last_mut() {
                    let mark = match number {
                        Some(number) => {
                            let mark = format!("{number}. ");
                            *number += 1;
                            mark
                        }
                        None => "- ".to_owned(),
                    };
                    *width = mark.len();
                    self.mark = Some(mark);
                }
            }
            Tag::CodeBlock(kind) => {
                self.end_block();
                // Its language may be one that a plugin runs.
                let _: CodeBlockKind<'_> = kind;
                if self.lists.is_empty() {
                    self.code = Some(String::new());
                }
            }
            Tag::Table(_) => {
                self.end_block();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            Tag::Emphasis => self.open(Frame::Emphasis),
            Tag::Strong => self.open(Frame::Strong),
            Tag::Link { link_type, dest_url, .. } => {
                let page = match link_type {
                    LinkType::Autolink | LinkType::Email => None,
                    // Two of these in a link are a formula to who reads it: it is its words.
                    _ => self.leads.page(&dest_url).filter(|_| !dest_url.contains('$')),
                };
                self.open(Frame::Link(page, String::new()));
            }
            // An image is what it is called; what else there may be is its words.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link => self.close(),
            TagEnd::List(_) => {
                self.end_block();
                self.lists.pop();
            }
            TagEnd::Item => {
                self.end_block();
                self.mark = None;
            }
            TagEnd::CodeBlock => {
                if let Some(code) = self.code.take() {
                    self.fenced(&code);
                }
            }
            TagEnd::TableCell => {
                let cell = self.said();
                if let Some(row) = self.table.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => {}
            TagEnd::Table => {
                if let Some(rows) = self.table.take() {
                    self.rows(&rows);
                }
            }
            TagEnd::Image => {}
            _ => self.end_block(),
        }
    }

    fn open(&mut self, frame: Frame) {
        self.settle();
        self.frames.push((frame, std::mem::take(&mut self.inline)));
    }

    fn close(&mut self) {
        self.settle();
        let Some((frame, before)) = self.frames.pop() else { return };
        let said = std::mem::replace(&mut self.inline, before);
        let inner = said.trim();
        let shown = match frame {
            _ if inner.is_empty() => String::new(),
            // A heading is strong as a whole.
            Frame::Emphasis | Frame::Strong if self.heading => inner.to_owned(),
            Frame::Emphasis => format!("*{inner}*"),
            Frame::Strong => format!("**{inner}**"),
            Frame::Link(Some(page), words) => {
                let link = link_to(&page, &words);
                if self.table.is_some() { link.replace('|', "\\|") } else { link }
            }
            Frame::Link(None, _) => inner.to_owned(),
        };
        if said.starts_with(' ') && !self.inline.ends_with(' ') {
            self.inline.push(' ');
        }
        self.lead(&shown);
        if said.ends_with(' ') {
            self.inline.push(' ');
        }
    }

    fn inline_code(&mut self, code: &str) {
        if self.code.is_some() {
            return self.words(code);
        }
        let code: String = code.chars().filter(|character| !character.is_control()).collect();
        // With these some plugins take it for a query.
        let runs = code.starts_with(['=', '$']);
        if runs || code.contains('`') || code.trim().is_empty() || self.table.is_some() {
            return self.words(&code);
        }
        self.settle();
        for (frame, _) in &mut self.frames {
            if let Frame::Link(_, words) = frame {
                words.push_str(&code);
            }
        }
        let _ = write!(self.inline, "`{}`", code.trim());
    }

    /// Brings words into the block.
    fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let (mut rest, mut words) = (pending.as_str(), String::new());
        while let Some(at) = rest.find('[') {
            words.push_str(&rest[..at]);
            rest = &rest[at..];
            let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
            let number = rest[1..=digits].parse().ok().filter(|_| (1..=CITED_DIGITS_MAX).contains(&digits));
            let cited = match number {
                Some(number) if rest[1 + digits..].starts_with(']') => self.leads.cited(number),
                _ => None,
            };
            match cited {
                Some(cited) => {
                    let before = std::mem::take(&mut words);
                    // What is left out leaves no gap.
                    self.put(if cited.is_empty() { before.trim_end() } else { &before });
                    self.lead(&cited);
                    rest = &rest[digits + 2..];
                }
                None => {
                    words.push('[');
                    rest = &rest[1..];
                }
            }
        }
        words.push_str(rest);
        self.put(&words);
    }

    /// Says what may begin with a link, which shows what it leads to where a `!` stands before it.
    fn lead(&mut self, shown: &str) {
        if shown.starts_with("[[") && self.inline.ends_with('!') {
            self.inline.push(' ');
        }
        self.inline.push_str(shown);
    }

    fn put(&mut self, words: &str) {
        // Whether the block begins here, marks that are open already aside.
        let begins = self.inline.is_empty() && self.frames.iter().all(|(_, before)| before.is_empty());
        let shown = if begins { markdown(words) } else { markdown_inside(words) };
        if words.starts_with(char::is_whitespace) && !begins && !self.inline.ends_with(' ') {
            self.inline.push(' ');
        }
        self.inline.push_str(&shown);
        if words.ends_with(char::is_whitespace) && !shown.is_empty() {
            self.inline.push(' ');
        }
    }

    /// What the block says, which ends here.
    fn said(&mut self) -> String {
        self.settle();
        while !self.frames.is_empty() {
            self.close();
        }
        std::mem::take(&mut self.inline).trim().to_owned()
    }

    fn end_block(&mut self) {
        let heading = std::mem::take(&mut self.heading);
        let said = self.said();
        if said.is_empty() {
            return;
        }
        let said = if heading && self.lists.is_empty() { format!("**{said}**") } else { said };
        if self.lists.is_empty() {
            return self.write(&format!("{said}\n"), true);
        }
        let deep = self.lists.len().min(LIST_DEPTH_MAX);
        let indent = |lists: &[(Option<u64>, usize)]| " ".repeat(lists.iter().map(|(_, width)| width).sum());
        let line = match self.mark.take() {
            Some(mark) => format!("{}{mark}{said}\n", indent(&self.lists[..deep - 1])),
            None => format!("{}{said}\n", indent(&self.lists[..deep])),
        };
        self.write(&line, false);
    }

    fn fenced(&mut self, code: &str) {
        let code: String = code.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if code.trim().is_empty() {
            return;
        }
        let longest = code.split(|character| character != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        self.write(&format!("{fence}\n{}\n{fence}\n", code.trim_matches('\n')), true);
    }

    fn rows(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0).min(COLUMNS_MAX);
        if columns == 0 {
            return;
        }
        let line = |row: &[String]| {
            let cells = (0..columns).map(|at| row.get(at).map_or("", String::as_str));
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        if !self.lists.is_empty() {
            for row in rows.iter().take(ROWS_MAX) {
                self.pending.push_str(&plain(&row.join(" ")));
                self.end_block();
            }
            return;
        }
        let mut table = String::new();
        for (at, row) in rows.iter().take(ROWS_MAX + 1).enumerate() {
            table.push_str(&line(row));
            if at == 0 {
                let _ = writeln!(table, "|{}", " --- |".repeat(columns));
            }
        }
        self.write(&table, true);
    }

    /// Adds a block, or an item, unless it would be too much.
    fn write(&mut self, block: &str, apart: bool) {
        if self.out.chars().count() + block.chars().count() > self.chars_max {
            self.is_full = true;
            if !self.out.is_empty() {
                return;
            }
            // Something is said in any case.
            self.out = markdown(&crate::prose::cut(&plain(block), self.chars_max));
            return;
        }
        if apart && !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(block);
    }
}

#[cfg(test)]
mod tests;
