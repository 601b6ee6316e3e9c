//! The blocks of a Markdown text: headings, paragraphs, items, tables, with the line of each. Owns what Markdown means; code, images
//! and HTML are no words.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use super::TEXT_BYTES_MAX;
use super::clean::{append, boundary, pieces};
use super::language::is_cjk;

/// A paragraph is taken apart where it is longer.
pub(super) const BLOCK_BYTES_MAX: usize = 16 * 1024;
/// The rows of a table that are looked at; all are counted.
const ROWS_READ_MAX: usize = 10_000;
/// The columns of a table that are looked at.
const COLUMNS_READ_MAX: usize = 64;
/// The characters of a cell that are kept.
const CELL_CHARS_MAX: usize = 80;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// A heading.
    Heading,
    /// A paragraph.
    Paragraph,
    /// An item of a list.
    Item,
    /// What somebody else said.
    Quote,
    /// A footnote.
    Note,
}

/// Some words that stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its words, on one line, without Markdown.
    pub text: String,
    /// Where in `text` there was code: begin and end, in bytes.
    pub code: Vec<(u32, u32)>,
    /// How many bytes of `text` were links.
    pub linked_bytes: u32,
    /// On which line it begins, from 0.
    pub line: u32,
    /// Under which of [`Blocks::headings`] it stands.
    pub heading: Option<u32>,
}

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// From 1.
    pub level: u8,
    /// What it says.
    pub title: String,
    /// On which line, from 0.
    pub line: u32,
    /// Whether it stands by itself, neither in a list nor in a quotation.
    pub top: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What its columns are called.
    pub columns: Vec<String>,
    /// Its first rows, at most [`ROWS_READ_MAX`].
    pub rows: Vec<Vec<String>>,
    /// How many rows it has, without its head.
    pub row_count: u64,
    /// On which line it begins, from 0.
    pub line: u32,
    /// Under which of [`Blocks::headings`] it stands.
    pub heading: Option<u32>,
}

/// What a text consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocks {
    /// The title that its front matter gives.
    pub front_title: Option<String>,
    /// Its headings.
    pub headings: Vec<Heading>,
    /// Its words.
    pub blocks: Vec<Block>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// How many bytes of it are code blocks.
    pub code_bytes: u64,
    /// Whether there is more text than was read.
    pub more: bool,
}

/// The Markdown that documents are written in.
pub(crate) fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
}

/// The level of a heading, from 1.
pub(crate) fn level_of(level: HeadingLevel) -> u8 {
    level as u8
}

impl Blocks {
    /// Reads a text, at most [`TEXT_BYTES_MAX`] of it.
    #[must_use]
    pub fn read(markdown: &str) -> Self {
        let end = boundary(markdown, TEXT_BYTES_MAX);
        let mut reader = Reader::new(&markdown[..end]);
        reader.blocks.more = end < markdown.len();
        for (event, span) in Parser::new_ext(&markdown[..end], options()).into_offset_iter() {
            reader.event(event, span.start);
        }
        reader.flush();
        reader.blocks
    }
}

struct Reader {
    blocks: Blocks,
    line_starts: Vec<usize>,
    open: Option<Block>,
    heading: Option<(u8, u32)>,
    items: u32,
    quotes: u32,
    notes: u32,
    silent: u32,
    links: u32,
    front: Option<String>,
    table: Option<Table>,
    head: bool,
    cells: Vec<String>,
    row_kept: bool,
    cell: Option<String>,
}

impl Reader {
    fn new(text: &str) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            blocks: Blocks::default(),
            line_starts,
            open: None,
            heading: None,
            items: 0,
            quotes: 0,
            notes: 0,
            silent: 0,
            links: 0,
            front: None,
            table: None,
            head: false,
            cells: Vec::new(),
            row_kept: false,
            cell: None,
        }
    }

    fn line(&self, at: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= at) - 1).unwrap_or(u32::MAX)
    }

    fn under(&self) -> Option<u32> {
        u32::try_from(self.blocks.headings.len()).ok().and_then(|count| count.checked_sub(1))
    }

    fn event(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.front.is_some() => {
                self.front.as_mut().expect("invariant: asked just now").push_str(&text);
            }
            Event::Text(text) => self.text(&text, at, false),
            Event::Code(text) => self.text(&text, at, true),
            Event::SoftBreak => self.space(true),
            Event::HardBreak => self.space(false),
            Event::Rule => self.flush(),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: usize) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some((level_of(level), self.line(at)));
            }
            Tag::Paragraph => self.flush(),
            Tag::List(_) => self.flush(),
            Tag::Item => {
                self.flush();
                self.items += 1;
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.quotes += 1;
            }
            Tag::FootnoteDefinition(_) => {
                self.flush();
                self.notes += 1;
            }
            Tag::CodeBlock(_) | Tag::HtmlBlock => {
                self.flush();
                self.silent += 1;
            }
            Tag::Image { .. } => self.silent += 1,
            Tag::Link { .. } => self.links += 1,
            Tag::MetadataBlock(MetadataBlockKind::YamlStyle) => self.front = Some(String::new()),
            Tag::Table(_) => {
                self.flush();
                let (line, heading) = (self.line(at), self.under());
                self.table = Some(Table { columns: Vec::new(), rows: Vec::new(), row_count: 0, line, heading });
            }
            Tag::TableHead => (self.head, self.row_kept) = (true, true),
            Tag::TableRow => {
                self.row_kept = self.table.as_ref().is_some_and(|table| table.rows.len() < ROWS_READ_MAX);
            }
            Tag::TableCell => {
                self.cell = (self.row_kept && self.cells.len() < COLUMNS_READ_MAX).then(String::new);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::Paragraph => self.flush(),
            TagEnd::Item => {
                self.flush();
                self.items = self.items.saturating_sub(1);
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::FootnoteDefinition => {
                self.flush();
                self.notes = self.notes.saturating_sub(1);
            }
            TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::Image => self.silent = self.silent.saturating_sub(1),
            TagEnd::Link => self.links = self.links.saturating_sub(1),
            TagEnd::MetadataBlock(_) => {
                let front = self.front.take().unwrap_or_default();
                self.blocks.front_title = front_title(&front);
            }
            TagEnd::TableCell => {
                if let Some(cell) = self.cell.take() {
                    self.cells.push(cell.trim().chars().take(CELL_CHARS_MAX).collect());
                }
            }
            TagEnd::TableHead => {
                self.head = false;
                let cells = std::mem::take(&mut self.cells);
                if let Some(table) = &mut self.table {
                    table.columns = cells;
                }
            }
            TagEnd::TableRow => {
                let cells = std::mem::take(&mut self.cells);
                if let Some(table) = &mut self.table {
                    table.row_count += 1;
                    if self.row_kept {
                        table.rows.push(cells);
                    }
                }
            }
            TagEnd::Table => self.blocks.tables.extend(self.table.take()),
            _ => {}
        }
    }

    fn end_heading(&mut self) {
        let block = self.open.take();
        let Some((level, line)) = self.heading.take() else { return };
        let title = block.map(|block| block.text.trim().to_owned()).unwrap_or_default();
        if title.is_empty() {
            return;
        }
        let top = self.items == 0 && self.quotes == 0 && self.notes == 0;
        self.blocks.headings.push(Heading { level, title: title.clone(), line, top });
        let heading = self.under();
        let (code, kind) = (Vec::new(), BlockKind::Heading);
        self.blocks.blocks.push(Block { kind, text: title, code, linked_bytes: 0, line, heading });
    }

    fn text(&mut self, text: &str, at: usize, code: bool) {
        if self.silent > 0 {
            self.blocks.code_bytes += text.len() as u64;
            return;
        }
        if self.table.is_some() {
            if let Some(cell) = &mut self.cell
                && cell.len() < CELL_CHARS_MAX * 4
            {
                append(cell, text);
            }
            return;
        }
        if self.open.is_none() {
            let line = self.line(at);
            self.open_block(line);
        }
        let (linked, line) = (self.links > 0, self.line(at));
        for piece in pieces(text) {
            let block = self.open.as_mut().expect("invariant: opened above");
            if block.text.len() + piece.len() > BLOCK_BYTES_MAX && !block.text.is_empty() && self.heading.is_none() {
                self.flush();
                self.open_block(line);
            }
            let block = self.open.as_mut().expect("invariant: opened above");
            let begin = block.text.len();
            append(&mut block.text, piece);
            let end = block.text.len();
            if linked {
                block.linked_bytes += u32::try_from(end - begin).unwrap_or(0);
            }
            if code {
                block.code.push((u32::try_from(begin).unwrap_or(0), u32::try_from(end).unwrap_or(0)));
            }
        }
    }

    fn open_block(&mut self, line: u32) {
        let kind = match () {
            () if self.notes > 0 => BlockKind::Note,
            () if self.items > 0 => BlockKind::Item,
            () if self.quotes > 0 => BlockKind::Quote,
            () => BlockKind::Paragraph,
        };
        let heading = self.under();
        self.open = Some(Block { kind, text: String::new(), code: Vec::new(), linked_bytes: 0, line, heading });
    }

    fn space(&mut self, soft: bool) {
        let text = match (&mut self.cell, &mut self.open) {
            (Some(cell), _) => cell,
            (None, Some(block)) => &mut block.text,
            (None, None) => return,
        };
        // A line's end between two ideographs is no space.
        let joined = soft && text.chars().next_back().is_some_and(is_cjk);
        if !(joined || text.is_empty() || text.ends_with(' ')) {
            text.push(' ');
        }
    }

    fn flush(&mut self) {
        if self.heading.is_some() {
            return;
        }
        if let Some(mut block) = self.open.take() {
            block.text.truncate(block.text.trim_end().len());
            if !block.text.is_empty() {
                self.blocks.blocks.push(block);
            }
        }
    }
}

/// `title: …` of a front matter, read as its line says it.
fn front_title(front: &str) -> Option<String> {
    let line = front.lines().find_map(|line| line.strip_prefix("title:"))?;
    let title = line.trim().trim_matches(['"', '\'']).trim();
    let mut kept = String::new();
    append(&mut kept, title);
    (!kept.is_empty() && !kept.starts_with(['|', '>', '[', '{'])).then_some(kept)
}
