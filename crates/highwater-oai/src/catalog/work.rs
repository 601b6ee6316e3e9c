//! What a record says of a work, in the catalogue's words. Owns the shapes; neither reading nor storing them.

use serde::Serialize;

/// A work, as one record describes it. No text in it is empty, and none stands twice in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Work {
    /// Its title.
    pub title: String,
    /// Further titles: of other languages, alternative ones.
    pub other_titles: Vec<String>,
    /// Who made it, in the record's order.
    pub contributors: Vec<Contributor>,
    /// Who published it.
    pub publisher: Option<String>,
    /// The year it was published in.
    pub year: Option<u16>,
    /// Its languages, as codes where the record has them.
    pub languages: Vec<String>,
    /// What it is: `book`, `chapter` or another word of the repository, in lower case.
    pub types: Vec<String>,
    /// What it is about.
    pub subjects: Vec<String>,
    /// What it is known by.
    pub identifiers: Vec<Identifier>,
    /// Where it is.
    pub links: Vec<Link>,
    /// Under what it may be used.
    pub licences: Vec<Licence>,
    /// What it is about, in sentences.
    pub description: Option<String>,
}

/// Somebody who made a work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contributor {
    /// The name, as the record spells it.
    pub name: String,
    /// `author`, `editor`, `translator`, `contributor`, or another word of the record.
    pub role: String,
}

/// What a work is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identifier {
    /// `isbn`, `doi`, `issn`, `handle`, `oclc`, `url`, a repository's own (`doab`), or `other`; with `-unverified` where its
    /// checksum or shape is wrong.
    #[serde(rename = "type")]
    pub kind: String,
    /// In one spelling: an ISBN has 13 digits and no hyphens, a DOI is in lower case and has no resolver before it.
    pub value: String,
}

/// Where a work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The address.
    pub url: String,
    /// The media type, where the address tells.
    pub format: Option<String>,
    /// The work's licence, where it has one only.
    pub licence: Option<String>,
}

/// Under what a work may be used. It has a name, an address or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Licence {
    /// Such as `CC BY-NC-ND 4.0`.
    pub name: Option<String>,
    /// Its text.
    pub url: Option<String>,
}

impl Licence {
    /// Its name, or else its address.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.name.as_deref().or(self.url.as_deref())
    }
}

/// Adds what is not there yet.
pub(super) fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
