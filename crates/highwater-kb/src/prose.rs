//! The words of a document: what of its Markdown is meant to be read, as blocks, sentences and words. Owns how a text is taken apart;
//! what is made of the parts is the section tree's and the compilers'.
//!
//! Everything here is counted in whole numbers and in the order of the text, so that the same text is the same parts everywhere.

mod blocks;
mod boilerplate;
mod clean;
mod language;
mod reading;
mod safe;
mod sentence;
mod weight;
mod word;

pub use blocks::{Block, BlockKind, Blocks, Heading, Table};
pub use language::Language;
pub use reading::{Reading, Sentence};
pub use safe::{cut, markdown, markdown_inside, plain};
pub use weight::weights;
pub use word::{Glue, Shape, Token, Word, WordId, Words};

pub(crate) use blocks::{level_of, options};
pub(crate) use boilerplate::is_form_heading;
pub(crate) use clean::{append, boundary};
pub(crate) use language::{Lexicon, is_cjk, lexicon};
pub(crate) use reading::{count_words, describes_itself};
pub(crate) use sentence::numberless;
pub(crate) use weight::{counts, is_at, weigh, words_of};
pub(crate) use word::{is_honorific, singular};

/// How much of a text is read for what it says: some 2,000 pages.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
