//! A text that has been read: its blocks, its sentences, its words, its language. Owns which sentence can stand alone, and how a place
//! in the document is told to a person.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::blocks::{Block, BlockKind, Blocks};
use super::word::{Shape, Token, Words};
use super::{Language, Lexicon, TEXT_BYTES_MAX, boilerplate, boundary, is_cjk, lexicon, safe, sentence};

/// Words that point back.
static BACK: Lexicon = LazyLock::new(|| lexicon(include_str!("words/pointing-back.txt")));
/// What a document may call itself.
static WHAT: Lexicon = LazyLock::new(|| lexicon(include_str!("words/what-documents-are.txt")));
/// A sentence of fewer words says too little.
const WORDS_MIN: usize = 4;
/// A sentence of more words says too much.
const WORDS_MAX: usize = 55;
/// And so many characters are the most.
const CHARS_MAX: usize = 420;
/// How much of a heading tells a place.
const PLACE_CHARS_MAX: usize = 60;

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// In which of [`Blocks::blocks`].
    pub block: u32,
    /// From which byte of it to which.
    pub span: (u32, u32),
    /// Which of [`Reading::tokens`].
    pub tokens: Range<u32>,
    /// Whether it can be read without what stands around it.
    pub whole: bool,
    /// Whether it leans on the sentence before it: `This …`, `However, …`.
    pub leans: bool,
    /// Its words; of a script without spaces, half of its characters.
    pub words: u32,
}

/// A text that has been read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Its blocks.
    pub blocks: Blocks,
    /// Which of its blocks are there for the form.
    pub silent: Vec<bool>,
    /// Its language.
    pub language: Arc<Language>,
    /// Its words.
    pub words: Words,
    /// Where each word stands.
    pub tokens: Vec<Token>,
    /// Its sentences, headings included; those of silent blocks are left out.
    pub sentences: Vec<Sentence>,
    pages: Vec<u32>,
}

impl Reading {
    /// Reads a text; `page_lines` are the lines on which its pages begin.
    #[must_use]
    pub fn of(markdown: &str, page_lines: &[u32]) -> Self {
        Self::read(markdown, page_lines, None)
    }

    /// Reads a part of a text whose language is known.
    #[must_use]
    pub fn in_language(markdown: &str, page_lines: &[u32], language: &Arc<Language>) -> Self {
        Self::read(markdown, page_lines, Some(language))
    }

    fn read(markdown: &str, page_lines: &[u32], language: Option<&Arc<Language>>) -> Self {
        let mut blocks = Blocks::read(markdown);
        let spoken = |blocks: &Blocks| blocks.blocks.iter().any(|block| block.kind != BlockKind::Heading);
        // A plain text that is indented throughout is no code, though Markdown says so.
        if blocks.code_bytes > 0 && !spoken(&blocks) && blocks.tables.is_empty() && !markdown.contains("```") {
            blocks = Blocks::read(
                &markdown[..boundary(markdown, TEXT_BYTES_MAX)]
                    .lines()
                    .map(str::trim_start)
                    .collect::<Vec<_>>()
                    .join("\n"),
            );
        }
        let mut silent = boilerplate::silent(&blocks);
        // A text that is nothing but form is read as it is.
        let said = |silent: &[bool]| {
            blocks.blocks.iter().zip(silent).any(|(block, silent)| !silent && block.kind != BlockKind::Heading)
        };
        if !said(&silent) {
            silent = vec![false; silent.len()];
        }
        let read = blocks.blocks.iter().zip(&silent).filter(|(_, silent)| !**silent);
        let language =
            language.map_or_else(|| Arc::new(Language::of(read.map(|(block, _)| block.text.as_str()))), Arc::clone);
        let (mut words, mut tokens, mut sentences) = (Words::default(), Vec::new(), Vec::new());
        let name = blocks.headings.first().and_then(|heading| heading.title.split(' ').next()).unwrap_or_default();
        for (number, block) in blocks.blocks.iter().enumerate() {
            if silent[number] {
                continue;
            }
            // What follows a heading begins there, however it is written.
            let above = number.checked_sub(1).map(|above| blocks.blocks[above].kind);
            let opens = block.kind == BlockKind::Paragraph && above.is_none_or(|kind| kind == BlockKind::Heading);
            let spans = if block.kind == BlockKind::Heading {
                vec![(0, block.text.len())]
            } else {
                sentence::sentences(&block.text)
            };
            for (begin, end) in spans {
                let first = tokens.len();
                words.read(&block.text, (begin, end), &block.code, &language, &mut tokens);
                let read = &tokens[first..];
                let text = &block.text[begin..end];
                sentences.push(Sentence {
                    block: small(number),
                    span: (small(begin), small(end)),
                    tokens: small(first)..small(tokens.len()),
                    whole: is_whole(block, text, read, if opens && begin == 0 { first_word(text) } else { name }),
                    leans: leans(text),
                    words: small(count_words(text)),
                });
            }
        }
        Self { blocks, silent, language, words, tokens, sentences, pages: crate::tree::in_order(page_lines) }
    }

    /// What a sentence says.
    #[must_use]
    pub fn text(&self, sentence: &Sentence) -> &str {
        let block = self.block(sentence);
        &block.text[sentence.span.0 as usize..sentence.span.1 as usize]
    }

    /// The block of a sentence.
    #[must_use]
    pub fn block(&self, sentence: &Sentence) -> &Block {
        &self.blocks.blocks[sentence.block as usize]
    }

    /// The words of a sentence.
    #[must_use]
    pub fn tokens_of(&self, sentence: &Sentence) -> &[Token] {
        &self.tokens[sentence.tokens.start as usize..sentence.tokens.end as usize]
    }

    /// What is written where a token stands.
    #[must_use]
    pub fn surface(&self, sentence: &Sentence, from: &Token, to: &Token) -> &str {
        &self.block(sentence).text[from.begin as usize..to.end as usize]
    }

    /// How many words the text has, headings included.
    #[must_use]
    pub fn word_count(&self) -> u64 {
        self.sentences.iter().map(|sentence| u64::from(sentence.words)).sum()
    }

    /// Which page a line is on, from 1.
    #[must_use]
    pub fn page_of(&self, line: u32) -> Option<u32> {
        crate::tree::page_of(&self.pages, line)
    }

    /// Where a block stands, for a person: `Berths, p. 3`; nothing where there is neither.
    #[must_use]
    pub fn place(&self, block: &Block, title: &str) -> Option<String> {
        let heading = block.heading.map(|heading| self.blocks.headings[heading as usize].title.as_str());
        let heading = heading.filter(|heading| *heading != title && !heading.is_empty());
        let heading = heading.map(|heading| safe::cut(sentence::numberless(&safe::plain(heading)), PLACE_CHARS_MAX));
        let page = self.page_of(block.line).map(|page| format!("p. {page}"));
        match (heading, page) {
            (Some(heading), Some(page)) => Some(format!("{heading}, {page}")),
            (heading, page) => heading.or(page),
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// How many words a text has; of a script without spaces, half of its characters.
pub(crate) fn count_words(text: &str) -> usize {
    let ideographs = text.chars().filter(|c| is_cjk(*c)).count();
    let spaced = text.split(' ').filter(|word| word.contains(|c: char| c.is_alphanumeric() && !is_cjk(c))).count();
    spaced + ideographs.div_ceil(2)
}

/// `name` is the first word of the title, which may be written small wherever it stands.
fn is_whole(block: &Block, text: &str, tokens: &[Token], name: &str) -> bool {
    if block.kind == BlockKind::Heading || block.kind == BlockKind::Note {
        return false;
    }
    let (words, characters) = (count_words(text), text.chars().count());
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let odd = tokens.iter().filter(|token| matches!(token.shape, Shape::Code | Shape::Number)).count();
    let named = !name.is_empty() && first_word(text) == name;
    let begins = named || text.chars().find(|c| c.is_alphanumeric()).is_some_and(|c| !c.is_lowercase());
    let starts_well = text.starts_with(|c: char| c.is_alphanumeric() || "\"“„«'‘(「『".contains(c));
    let ends = text.ends_with(['.', '!', '。', '！', '…', '।'])
        || text.ends_with([')', '"', '”', '“', '»', '」']) && text.contains(['.', '。', '!']);
    (WORDS_MIN..=WORDS_MAX).contains(&words)
        && characters <= CHARS_MAX
        && letters * 100 >= characters * 55
        && odd * 3 <= tokens.len().max(1)
        && (begins || block.code.first().is_some_and(|code| code.0 == 0))
        && starts_well
        && ends
        && !text.contains("://")
        && balanced(text)
}

/// Whether each bracket is closed: a list that was cut off is not.
fn balanced(text: &str) -> bool {
    let mut depth = 0i32;
    for character in text.chars() {
        depth += match character {
            '(' | '（' => 1,
            ')' | '）' => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Whether a sentence begins with a word that points back.
fn leans(text: &str) -> bool {
    // Words after which the sentence may still be about something that it names.
    const NOT_ALWAYS: &[&str] = &[
        "the", "in", "for", "as", "if", "each", "there", "first", "we", "both", "although", "because", "another", "who",
    ];
    let word: String = text.chars().take_while(|c| c.is_alphabetic() || *c == '\'').collect::<String>().to_lowercase();
    if NOT_ALWAYS.contains(&word.as_str()) {
        return [
            "the latter",
            "the former",
            "the same",
            "the following",
            "the above",
            "in this",
            "in that",
            "in addition",
            "in contrast",
            "for this",
            "for example",
            "for instance",
            "as a result",
            "apart from that",
        ]
        .iter()
        .any(|begin| text.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin)));
    }
    BACK.contains(&word) && !describes_itself(text)
        || ["また", "しかし", "これ", "この", "それ", "その", "他是", "它", "这", "因此", "但"]
            .iter()
            .any(|begin| text.starts_with(begin))
            && !describes_itself(text)
}

/// Whether a sentence says what the document is.
pub(crate) fn describes_itself(text: &str) -> bool {
    const THIS: &[&str] = &["this", "these", "dieses", "diese", "dieser", "ce", "cette", "este", "esta", "本", "この"];
    let head: String = text.chars().take(48).collect::<String>().to_lowercase();
    if head.chars().any(is_cjk) {
        return THIS.iter().any(|this| head.starts_with(this)) && WHAT.iter().any(|what| head.contains(what.as_str()));
    }
    let mut words = head.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.next().is_some_and(|first| THIS.contains(&first)) && words.take(2).any(|word| WHAT.contains(word))
}

fn small(value: usize) -> u32 {
    u32::try_from(value).expect("invariant: a text that is read is short")
}
