//! Works as people and programs see them. Owns the text for people; lines of JSON and CSV are [`super::export`]'s.

use std::fmt::Write as _;

use serde::Serialize;

use super::text::harmless;
use super::work::{Contributor, Work};
use crate::protocol::Header;

/// Width of the labels before the facts.
const LABEL_WIDTH: usize = 12;

/// What is found under what a person called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A work.
    Work(Box<WorkView>),
    /// A record that was deleted.
    Deleted(Header),
    /// A record that could not be read.
    Review {
        /// Its header.
        header: Header,
        /// Why it could not be read.
        why: String,
    },
}

/// A work, and the record that describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkView {
    /// The record's OAI id.
    pub id: String,
    /// When the record was made or changed.
    pub datestamp: String,
    /// The sets it is in.
    pub sets: Vec<String>,
    /// What it describes.
    #[serde(flatten)]
    pub work: Work,
}

impl WorkView {
    /// A work and its record's header.
    #[must_use]
    pub fn new(header: Header, work: Work) -> Self {
        let Header { identifier, datestamp, sets, .. } = header;
        Self { id: identifier, datestamp: datestamp.to_string(), sets, work }
    }
}

/// A work for people: its title, then a line for each thing that is known of it. What came from elsewhere has its control
/// characters replaced.
#[must_use]
pub fn text(view: &WorkView) -> String {
    let WorkView { id, datestamp, sets, work } = view;
    let mut text = format!("{}\n", harmless(&work.title));
    for title in &work.other_titles {
        line(&mut text, "", title);
    }
    text.push('\n');
    for (role, names) in by_role(&work.contributors) {
        line(&mut text, role, &names.join("; "));
    }
    let year = work.year.map(|year| year.to_string());
    fact(&mut text, "year", year.as_slice());
    fact(&mut text, "publisher", work.publisher.as_slice());
    fact(&mut text, "type", &work.types);
    fact(&mut text, "language", &work.languages);
    lines(&mut text, "subject", work.subjects.iter().cloned());
    for identifier in work.identifiers.iter().filter(|identifier| identifier.kind != "url") {
        line(&mut text, &identifier.kind, &identifier.value);
    }
    lines(
        &mut text,
        "link",
        work.links.iter().map(|link| match &link.format {
            Some(format) => format!("{} ({format})", link.url),
            None => link.url.clone(),
        }),
    );
    lines(
        &mut text,
        "licence",
        work.licences.iter().filter_map(|licence| match (&licence.name, &licence.url) {
            (Some(name), Some(url)) => Some(format!("{name} ({url})")),
            _ => licence.label().map(str::to_owned),
        }),
    );
    line(&mut text, "record", id);
    line(&mut text, "datestamp", datestamp);
    fact(&mut text, "set", sets);
    text
}

/// The roles in the order in which they first occur, each with its names.
fn by_role(contributors: &[Contributor]) -> Vec<(&str, Vec<&str>)> {
    let mut roles: Vec<(&str, Vec<&str>)> = Vec::new();
    for Contributor { name, role } in contributors {
        match roles.iter_mut().find(|(known, _)| known == role) {
            Some((_, names)) => names.push(name),
            None => roles.push((role, vec![name])),
        }
    }
    roles
}

/// One line of several values; none where there is no value.
fn fact(text: &mut String, label: &str, values: &[String]) {
    if !values.is_empty() {
        line(text, label, &values.join(", "));
    }
}

/// A line for each value, the label before the first.
fn lines(text: &mut String, label: &str, values: impl Iterator<Item = String>) {
    for (i, value) in values.enumerate() {
        line(text, if i == 0 { label } else { "" }, &value);
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    writeln!(text, "  {:<LABEL_WIDTH$} {}", harmless(label), harmless(value))
        .expect("invariant: a string takes what is written");
}
