//! Where the statements of a file begin and end, and which of them begin or end a transaction. The tokens are sqlparser's, which
//! knows strings, comments and dollar quotes of both databases; nothing is parsed, so that no statement is refused for being
//! new. What ends a statement is psql's rule and SQLite's: a semicolon that is neither in parentheses nor in the body of a
//! trigger or of a function.

use highwater_db::session::Dialect;
use sqlparser::dialect::{Dialect as Language, PostgreSqlDialect, SQLiteDialect};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

/// A file, taken apart.
#[derive(Debug)]
pub(super) struct Statements<'t> {
    pub(super) statements: Vec<Statement<'t>>,
    pub(super) comments: Vec<Comment>,
    /// Why it could not be read to its end.
    pub(super) unreadable: Option<Unreadable>,
}

/// One statement.
#[derive(Debug)]
pub(super) struct Statement<'t> {
    /// Its text, without the semicolon.
    pub(super) sql: &'t str,
    /// The line that it begins in.
    pub(super) line: usize,
    /// Its first words, in capitals.
    pub(super) words: Vec<String>,
    /// The stream of psql that it copies from or to.
    pub(super) copies: Option<&'static str>,
}

/// One comment.
#[derive(Debug)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) line: usize,
    /// Whether it begins with `--` and stands before the first statement.
    pub(super) leads: bool,
}

/// A string, a comment or a name that does not end.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) message: String,
}

/// A statement that begins a transaction, or ends one.
pub(super) struct Control {
    pub(super) begins: bool,
}

/// How many of a statement's first words are kept: enough for `CREATE OR REPLACE TEMP TRIGGER`.
const WORDS_KEPT: usize = 4;

impl Statement<'_> {
    /// Whether it begins or ends a transaction. A savepoint does neither.
    pub(super) fn control(&self) -> Option<Control> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => None,
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Some(Control { begins: true }),
            // A chain begins the next.
            ["COMMIT" | "ROLLBACK" | "END" | "ABORT", rest @ ..] => {
                Some(Control { begins: rest.contains(&"CHAIN") && !rest.contains(&"NO") })
            }
            ["PREPARE", "TRANSACTION", ..] => Some(Control { begins: false }),
            _ => None,
        }
    }
}

/// Takes a file apart.
pub(super) fn read(dialect: Dialect, text: &str) -> Statements<'_> {
    let language: &dyn Language = match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    };
    let mut tokens = Vec::new();
    let read = Tokenizer::new(language, text).with_unescape(false).tokenize_with_location_into_buf(&mut tokens);
    let unreadable = read.err().map(|error| Unreadable { message: error.to_string() });
    let mut reader = Reader { text, place: Place::default(), found: Vec::new(), comments: Vec::new(), current: None };
    for token in &tokens {
        reader.take(token);
    }
    reader.end(text.len());
    Statements { statements: reader.found, comments: reader.comments, unreadable }
}

/// Where in the text a token is: the tokens count lines and letters, and a slice wants bytes.
struct Place {
    byte: usize,
    line: u64,
    column: u64,
}

impl Default for Place {
    fn default() -> Self {
        Self { byte: 0, line: 1, column: 1 }
    }
}

impl Place {
    fn advance(&mut self, text: &str, to: Location) -> usize {
        let mut letters = text[self.byte..].chars();
        while (self.line, self.column) < (to.line, to.column) {
            let Some(letter) = letters.next() else { break };
            self.byte += letter.len_utf8();
            (self.line, self.column) = if letter == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.byte
    }
}

/// A statement that is being read.
struct Current {
    begins: usize,
    line: usize,
    words: Vec<String>,
    last_word: String,
    copies: Option<&'static str>,
    parentheses: u32,
    /// Bodies and CASEs that are open.
    depth: u32,
}

impl Current {
    /// Whether it may have a body with statements of its own.
    fn has_body(&self) -> bool {
        let mut words = self
            .words
            .iter()
            .map(String::as_str)
            .filter(|word| !matches!(*word, "OR" | "REPLACE" | "TEMP" | "TEMPORARY"));
        words.next() == Some("CREATE") && matches!(words.next(), Some("FUNCTION" | "PROCEDURE" | "TRIGGER"))
    }

    fn take_word(&mut self, word: String) {
        match word.as_str() {
            "BEGIN" if self.has_body() => self.depth += 1,
            "CASE" if self.depth > 0 => self.depth += 1,
            "END" => self.depth = self.depth.saturating_sub(1),
            "STDIN" if self.last_word == "FROM" && self.words.first().is_some_and(|first| first == "COPY") => {
                self.copies = Some("FROM STDIN");
            }
            "STDOUT" if self.last_word == "TO" && self.words.first().is_some_and(|first| first == "COPY") => {
                self.copies = Some("TO STDOUT");
            }
            _ => {}
        }
        if self.words.len() < WORDS_KEPT {
            self.words.push(word.clone());
        }
        self.last_word = word;
    }
}

struct Reader<'t> {
    text: &'t str,
    place: Place,
    found: Vec<Statement<'t>>,
    comments: Vec<Comment>,
    current: Option<Current>,
}

impl Reader<'_> {
    fn take(&mut self, token: &TokenWithSpan) {
        let line = usize::try_from(token.span.start.line).unwrap_or(usize::MAX);
        match &token.token {
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                let leads = self.found.is_empty() && self.current.is_none();
                self.comments.push(Comment { text: comment.clone(), line, leads });
            }
            Token::Whitespace(Whitespace::MultiLineComment(text)) => {
                self.comments.push(Comment { text: text.clone(), line, leads: false });
            }
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon if self.current.as_ref().is_none_or(|now| now.parentheses == 0 && now.depth == 0) => {
                let at = self.place.advance(self.text, token.span.start);
                self.end(at);
            }
            other => {
                let begins = self.place.advance(self.text, token.span.start);
                let current = self.current.get_or_insert_with(|| Current {
                    begins,
                    line,
                    words: Vec::new(),
                    last_word: String::new(),
                    copies: None,
                    parentheses: 0,
                    depth: 0,
                });
                match other {
                    Token::LParen => current.parentheses += 1,
                    Token::RParen => current.parentheses = current.parentheses.saturating_sub(1),
                    Token::Word(word) if word.quote_style.is_none() => {
                        current.take_word(word.value.to_ascii_uppercase())
                    }
                    // Only a keyword in front is one.
                    _ if current.words.is_empty() => current.words.push(String::new()),
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, at: usize) {
        let Some(Current { begins, line, words, copies, .. }) = self.current.take() else { return };
        self.found.push(Statement { sql: self.text[begins..at].trim_end(), line, words, copies });
    }
}

#[cfg(test)]
mod tests;
