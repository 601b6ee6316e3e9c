//! What a file says: its statements, and the words to highwater in the comments at its head. Owns what is refused before it is
//! run.

use highwater_db::session::Dialect;

use super::files::{BYTE_ORDER_MARK, Step};
use super::statements::{self, Statements, Unreadable};

/// Most rollups that one file requires.
pub const REQUIRES_MAX: usize = 32;
/// What a word to highwater begins with.
const WORD: &str = "highwater:";

/// One file, read.
#[derive(Debug)]
pub(super) struct Script {
    /// The whole text.
    pub(super) sql: String,
    /// Its statements, in order.
    pub(super) statements: Vec<String>,
    /// The rollups that must be complete before.
    pub(super) requires: Vec<String>,
    /// Whether it is one transaction.
    pub(super) in_transaction: bool,
}

/// Why a file is not run. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is no text.
    #[error("it is not UTF-8 from byte {at} on: save it as UTF-8")]
    NotUtf8 {
        /// Where, in bytes.
        at: usize,
    },
    /// It holds a byte that no text has.
    #[error("line {line} has a NUL byte: save it as UTF-8")]
    Nul {
        /// The line.
        line: usize,
    },
    /// It is empty, as after a save that failed.
    #[error("it is empty; a step that does nothing says why in a comment")]
    Empty,
    /// A string, a comment or a quoted name does not end.
    #[error("{message}")]
    Unreadable {
        /// What does not end, and where it begins.
        message: String,
    },
    /// A word to highwater that it does not know.
    #[error("line {line}: `{word}` is unknown, expected `highwater:requires JOB` or `highwater:no-transaction`")]
    UnknownWord {
        /// The line.
        line: usize,
        /// The word.
        word: String,
    },
    /// A word to highwater where it is not heeded.
    #[error("line {line}: `{word}` comes too late, expected it in `--` comments before the first statement")]
    LateWord {
        /// The line.
        line: usize,
        /// The word.
        word: String,
    },
    /// It requires nothing in particular.
    #[error("line {line}: `highwater:requires` names no job, expected `-- highwater:requires JOB`")]
    NoJob {
        /// The line.
        line: usize,
    },
    /// It requires too much.
    #[error("it requires more than {REQUIRES_MAX} jobs")]
    TooMany,
    /// It begins or ends a transaction, and is one.
    #[error(
        "line {line}: {words} would end or begin a transaction, and each file is one: take it out, or begin the file with \
         `-- highwater:no-transaction`"
    )]
    TransactionControl {
        /// The line.
        line: usize,
        /// What begins the statement.
        words: String,
    },
    /// It leaves a transaction open.
    #[error("the transaction that line {line} begins has no end")]
    Unended {
        /// The line.
        line: usize,
    },
    /// It reads or writes a psql's own input or output.
    #[error("line {line}: COPY {words} needs psql: use INSERT, or COPY with a file on the server")]
    Copy {
        /// The line.
        line: usize,
        /// `FROM STDIN` or `TO STDOUT`.
        words: &'static str,
    },
}

impl Script {
    /// Reads a file.
    pub(super) fn read(dialect: Dialect, step: &Step) -> Result<Self, ScriptError> {
        let bytes = step.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&step.bytes);
        let sql = std::str::from_utf8(bytes).map_err(|error| ScriptError::NotUtf8 { at: error.valid_up_to() })?;
        if let Some(at) = sql.find('\0') {
            return Err(ScriptError::Nul { line: sql[..at].matches('\n').count() + 1 });
        }
        if sql.trim().is_empty() {
            return Err(ScriptError::Empty);
        }
        let found = statements::read(dialect, sql);
        let (requires, in_transaction) = words(&found)?;
        if let Some((line, words)) = found.statements.iter().find_map(|one| Some((one.line, one.copies?))) {
            return Err(ScriptError::Copy { line, words });
        }
        if let Some(Unreadable { message }) = found.unreadable {
            return Err(ScriptError::Unreadable { message });
        }
        let mut open = None;
        for one in &found.statements {
            let Some(control) = one.control() else { continue };
            if in_transaction {
                return Err(ScriptError::TransactionControl { line: one.line, words: one.words.join(" ") });
            }
            open = control.begins.then_some(one.line);
        }
        if let Some(line) = open {
            return Err(ScriptError::Unended { line });
        }
        let statements = found.statements.into_iter().map(|one| one.sql.to_owned()).collect();
        Ok(Self { statements, requires, in_transaction, sql: sql.to_owned() })
    }
}

/// The words to highwater: what is required, and whether the file is one transaction.
fn words(found: &Statements<'_>) -> Result<(Vec<String>, bool), ScriptError> {
    let (mut requires, mut in_transaction) = (Vec::<String>::new(), true);
    for comment in &found.comments {
        let Some(text) = comment.text.trim().strip_prefix(WORD) else { continue };
        let mut parts = text.split_whitespace();
        let word = parts.next().unwrap_or_default();
        let (line, named) = (comment.line, || format!("{WORD}{word}"));
        if !comment.leads {
            return Err(ScriptError::LateWord { line, word: named() });
        }
        match (word, parts.next()) {
            ("requires", None) => return Err(ScriptError::NoJob { line }),
            ("requires", Some(first)) => {
                for job in [first].into_iter().chain(parts) {
                    if !requires.iter().any(|known| known == job) {
                        requires.push(job.to_owned());
                    }
                }
            }
            ("no-transaction", None) => in_transaction = false,
            _ => return Err(ScriptError::UnknownWord { line, word: format!("{WORD}{}", text.trim_end()) }),
        }
    }
    if requires.len() > REQUIRES_MAX { Err(ScriptError::TooMany) } else { Ok((requires, in_transaction)) }
}

#[cfg(test)]
mod tests;
