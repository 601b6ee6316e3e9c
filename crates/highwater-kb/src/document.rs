//! A document: what it is called, what it is, and what a base knows of it. Owns its name, and the record that the registry keeps.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::content::ContentId;
use crate::origin::Origin;
use crate::path::{FilePath, is_mark};

/// The most bytes of a document's name: with a suffix and a mark it stays below the 255 of a file's name.
pub const NAME_BYTES_MAX: usize = 120;

/// What a document without a usable stem is called.
const NAMELESS: &str = "document";

/// What a document is called in its base, for good: its page is `summaries/NAME.md`, its text `sources/NAME.md`. It can stand in a
/// file's name anywhere and in a `[[link]]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocName(String);

/// What cannot be a document's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no document's name: expected what `highwater kb list` shows")]
pub struct NoDocName(String);

impl DocName {
    /// What a file of this stem is called: NFKC, without what a file's name or a link cannot bear, at most [`NAME_BYTES_MAX`] bytes.
    #[must_use]
    pub fn of_stem(stem: &str) -> Self {
        let mut name = String::with_capacity(stem.len());
        let mut gap = false;
        for character in stem.nfkc() {
            if character.is_control() || character.is_whitespace() || "/\\:*?\"<>|#^[]%".contains(character) {
                gap = !name.is_empty();
                continue;
            }
            let length = character.len_utf8() + usize::from(gap);
            if name.len() + length > NAME_BYTES_MAX {
                break;
            }
            if std::mem::take(&mut gap) {
                name.push('-');
            }
            name.push(character);
        }
        let kept = name.trim_matches(['.', '-', ' ']);
        Self(if kept.is_empty() { NAMELESS.to_owned() } else { kept.to_owned() })
    }

    /// The same name with a mark that tells it from another document's: `report-3f9a1c`.
    #[must_use]
    pub fn marked(&self, mark: &str) -> Self {
        let mut stem = self.0.clone();
        while stem.len() + mark.len() + 1 > NAME_BYTES_MAX {
            stem.pop();
        }
        Self::of_stem(&format!("{stem}-{mark}"))
    }

    /// The same name; or, where its files would be called as a version that lies beside those of another document, one with a hyphen for
    /// the dot: `report-conflict` for `report.conflict`.
    #[must_use]
    pub fn apart(self) -> Self {
        match self.0.rsplit_once('.') {
            Some((stem, mark)) if is_mark(&mark.to_lowercase()) => Self::of_stem(&format!("{stem}-{mark}")),
            _ => self,
        }
    }

    /// What two names must not share: file systems and Obsidian do not tell case apart everywhere.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DocName> for String {
    fn from(name: DocName) -> Self {
        name.0
    }
}

impl TryFrom<String> for DocName {
    type Error = NoDocName;

    fn try_from(text: String) -> Result<Self, NoDocName> {
        let name = Self::of_stem(&text);
        if name.0 == text { Ok(name) } else { Err(NoDocName(text)) }
    }
}

/// What a base knows of a document: its row in the registry, which manifests carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Document {
    /// The order in which documents were added, from 1; never given twice.
    pub sequence: u64,
    /// Where it came from.
    pub origin: Origin,
    /// The document as it was given.
    pub raw: FilePath,
    /// What its bytes are called inside.
    pub content: ContentId,
    /// The SHA-256 of its bytes, in hexadecimal, for people.
    pub sha256: String,
    /// How large it is.
    pub bytes: u64,
    /// What people call it.
    pub title: String,
    /// Its text as Markdown.
    pub full_text: FilePath,
    /// Its images, which its text shows; and, of one that was taken over, its pages as the older kind keeps them.
    pub images: Vec<FilePath>,
    /// How many pages it has, where it has pages.
    pub pages: Option<u32>,
    /// Which converter made its text, with its version; `adopted` where the text was there already.
    pub converter: String,
    /// Which compiler made its pages, with its version or model.
    pub compiler: String,
    /// The object that keeps what was compiled from it: [`crate::compile::Compiled`] as JSON.
    pub compiled: ContentId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_file_name_and_in_a_link() {
        let named = |stem: &str| DocName::of_stem(stem).as_str().to_owned();
        assert_eq!(named("Annual Report 2024"), "Annual-Report-2024");
        assert_eq!(named("ﬁnal [draft] #2|x"), "final-draft-2-x");
        assert_eq!(named("../../etc/passwd"), "etc-passwd");
        assert_eq!(named("a\nb\0c"), "a-b-c");
        assert_eq!(named("東京 の 天気"), "東京-の-天気");
        for nothing in ["", "...", " - ", "\u{7}"] {
            assert_eq!(named(nothing), "document", "{nothing:?}");
        }
        let long = named(&"é".repeat(300));
        assert_eq!(long.len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_name_that_is_given_is_none_of_a_version_that_lies_beside_another_file() {
        let given = |stem: &str| DocName::of_stem(stem).apart().as_str().to_owned();
        assert_eq!(given("report.conflict"), "report-conflict");
        assert_eq!(given("a.b.conflict-12"), "a.b-conflict-12");
        assert_eq!(given("A.Conflict"), "A-Conflict", "a disk may not tell case apart");
        for same in ["conflict", "a.conflicts", "a.conflict-x", "a-conflict", "a.conflict.b"] {
            assert_eq!(given(same), DocName::of_stem(same).as_str());
        }
        for stem in ["report.conflict", "x.conflict.conflict", "a..conflict-2", "é.CONFLICT-3"] {
            let file = FilePath::new(format!("wiki/sources/{}.md", given(stem).to_lowercase())).unwrap();
            assert_eq!(file.lies_beside(), None, "{stem}");
            assert_eq!(DocName::of_stem(&given(stem)).as_str(), given(stem));
        }
    }

    #[test]
    fn a_name_is_its_own_name() {
        for stem in ["a.-", "x - y", "..a..", "é é", "a%b", "-".repeat(200).as_str(), "a ".repeat(200).as_str()] {
            let name = DocName::of_stem(stem);
            assert_eq!(DocName::of_stem(name.as_str()), name, "{stem:?}");
            assert_eq!(DocName::try_from(name.as_str().to_owned()), Ok(name.clone()));
            assert_eq!(DocName::of_stem(name.marked("3f9a1c").as_str()), name.marked("3f9a1c"));
        }
        assert!(DocName::try_from("a/b".to_owned()).is_err());
    }
}
