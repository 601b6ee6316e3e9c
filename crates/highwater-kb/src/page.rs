//! A page of the wiki: its kind, its name, and how a link names it. Owns the names; what pages say is in the rooms below.

pub mod front;
pub mod link;
pub mod plain;
pub mod render;
pub mod rendered;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::document::DocName;
use crate::path::FilePath;

/// The most bytes of a slug.
pub const SLUG_BYTES_MAX: usize = 80;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageKind {
    /// The text of a document.
    Source,
    /// What a document is about.
    Summary,
    /// What documents say of an idea.
    Concept,
    /// What documents say of a person, a place, an organisation, a product.
    Entity,
    /// An answer that somebody kept.
    Exploration,
    /// What a check found.
    Report,
}

impl PageKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Source, Self::Summary, Self::Concept, Self::Entity, Self::Exploration, Self::Report];

    /// The directory of its pages, below `wiki/`.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Summary => "summaries",
            Self::Concept => "concepts",
            Self::Entity => "entities",
            Self::Exploration => "explorations",
            Self::Report => "reports",
        }
    }

    /// What its pages call themselves in their front matter.
    #[must_use]
    pub fn type_word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Summary => "summary",
            Self::Concept => "concept",
            Self::Entity => "entity",
            Self::Exploration => "exploration",
            Self::Report => "report",
        }
    }
}

/// What a page is called: `concepts/tidal-range`, as a link names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PageName {
    kind: PageKind,
    stem: String,
}

/// What names no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no page: expected a directory of the wiki and a name, such as `concepts/tides`")]
pub struct NoPageName(String);

impl PageName {
    /// The page of a thing that people write so: a concept, an entity, an exploration, a report.
    #[must_use]
    pub fn of_title(kind: PageKind, title: &str) -> Self {
        Self { kind, stem: slug(title) }
    }

    /// The page of a document: its text, or what it is about.
    #[must_use]
    pub fn of_document(kind: PageKind, document: &DocName) -> Self {
        Self { kind, stem: document.as_str().to_owned() }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> PageKind {
        self.kind
    }

    /// Its name without its directory.
    #[must_use]
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> FilePath {
        FilePath::new(format!("wiki/{self}.md")).expect("invariant: a stem is one name of a file")
    }

    /// A link to it that reads so: `[[concepts/tides|Tides]]`.
    #[must_use]
    pub fn link(&self, alias: &str) -> String {
        let alias: String = alias.chars().map(|c| if c.is_control() || "[]|".contains(c) { ' ' } else { c }).collect();
        format!("[[{self}|{}]]", alias.trim())
    }
}

impl fmt::Display for PageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.directory(), self.stem)
    }
}

impl FromStr for PageName {
    type Err = NoPageName;

    fn from_str(text: &str) -> Result<Self, NoPageName> {
        let fault = || NoPageName(text.to_owned());
        let (directory, stem) = text.split_once('/').ok_or_else(fault)?;
        let kind = PageKind::ALL.into_iter().find(|kind| kind.directory() == directory).ok_or_else(fault)?;
        // A stem is a document's name or a slug, and each slug is a document's name.
        let stem = DocName::try_from(stem.to_owned()).map_err(|_| fault())?;
        Ok(Self { kind, stem: stem.into() })
    }
}

impl From<PageName> for String {
    fn from(name: PageName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for PageName {
    type Error = NoPageName;

    fn try_from(text: String) -> Result<Self, NoPageName> {
        text.parse()
    }
}

/// A title as the name of a file: NFKC, lower case, letters and digits of any script, joined by hyphens.
#[must_use]
pub fn slug(title: &str) -> String {
    let mut slug = String::with_capacity(title.len());
    let mut gap = false;
    for character in title.nfkc().flat_map(char::to_lowercase) {
        // Apostrophes join: "Darcy's law" is `darcys-law`.
        if matches!(character, '\'' | '\u{2019}') {
            continue;
        }
        if !character.is_alphanumeric() && !unicode_normalization::char::is_combining_mark(character) {
            gap = !slug.is_empty();
            continue;
        }
        if slug.len() + character.len_utf8() + usize::from(gap) > SLUG_BYTES_MAX {
            break;
        }
        if std::mem::take(&mut gap) {
            slug.push('-');
        }
        slug.push(character);
    }
    // Lower case may not be in its composed form: what is kept is its own name.
    let slug = DocName::of_stem(&slug);
    slug.as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_and_of_any_script() {
        assert_eq!(slug("Tidal range"), "tidal-range");
        assert_eq!(slug("Darcy’s law (1856)"), "darcys-law-1856");
        assert_eq!(slug("  C++ / Rust  "), "c-rust");
        assert_eq!(slug("東京タワー"), "東京タワー");
        assert_eq!(slug("Ünïcode ﬁ"), "ünïcode-fi");
        assert_eq!(slug("!!"), "document");
        assert!(slug(&"long ".repeat(100)).len() <= SLUG_BYTES_MAX);
        for title in ["İstanbul", "ǅ x", "e\u{301}", "ﷺ", "ß"] {
            assert_eq!(slug(&slug(title)), slug(title), "{title:?}");
        }
    }

    #[test]
    fn a_page_is_named_as_its_link_names_it() {
        let page = PageName::of_title(PageKind::Concept, "Tidal range");
        assert_eq!(page.to_string(), "concepts/tidal-range");
        assert_eq!(page.path().as_str(), "wiki/concepts/tidal-range.md");
        assert_eq!(page.link("Tidal [range]|x"), "[[concepts/tidal-range|Tidal  range  x]]");
        assert_eq!("concepts/tidal-range".parse(), Ok(page));
        for other in ["", "concepts", "concepts/", "concepts/a/b", "concepts/..", "wiki/a", "/a", "concepts/a#b", "x/a"]
        {
            assert!(other.parse::<PageName>().is_err(), "{other:?}");
        }
    }
}
