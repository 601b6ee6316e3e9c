//! The elements of a record's metadata: the children of its one element, each with the text that is in it. Owns what
//! well-formed means here, and which vocabulary an element is of.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Metadata that is longer is not read; the longest of a large repository have 100 KB.
pub const METADATA_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A record with more elements is not read.
pub const ELEMENTS_MAX: usize = 5_000;
/// How deep entities stand for entities: those of XML itself stand for a character each.
const ENTITY_DEPTH_MAX: usize = 1;
/// Metadata that is nested deeper is not read.
pub const DEPTH_MAX: usize = 32;

/// Why a record's metadata cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The record has none, and is not deleted.
    #[error("it has no metadata")]
    Nothing,
    /// It is longer than [`METADATA_BYTES_MAX`].
    #[error("its metadata has {bytes} bytes, expected {METADATA_BYTES_MAX} at most")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It has more than [`ELEMENTS_MAX`] elements.
    #[error("its metadata has more than {ELEMENTS_MAX} elements")]
    TooMany,
    /// It is nested deeper than [`DEPTH_MAX`].
    #[error("its metadata is nested deeper than {DEPTH_MAX} elements")]
    TooDeep,
    /// It is no XML.
    #[error("its metadata is not well-formed at byte {at}: {what}")]
    NotWellFormed {
        /// Where it ceases to be.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// It is XML that says nothing of a title.
    #[error("it has no title")]
    NoTitle,
}

/// Whose word an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// Dublin Core, elements or terms.
    DublinCore,
    /// `DataCite`, in DOAB's dialect or its own namespace.
    DataCite,
    /// `OpenAIRE`.
    OpenAire,
    /// OAPEN's own, which DOAB uses.
    Oapen,
    /// Of a publisher, in DOAB's dialect.
    Publisher,
    /// None that is known.
    Other,
}

impl Vocabulary {
    /// DOAB binds its prefixes to addresses that are those of something else, so there the prefix counts; elsewhere the
    /// address, and where there is none, the usual prefix.
    fn of(prefix: Option<&str>, address: Option<&str>) -> Self {
        match prefix {
            Some("datacite") => return Self::DataCite,
            Some("oaire") => return Self::OpenAire,
            Some("oapen") => return Self::Oapen,
            Some("publisher") => return Self::Publisher,
            Some("grantor") => return Self::Other,
            _ => {}
        }
        let Some(address) = address else {
            return if matches!(prefix, None | Some("dc" | "dcterms")) { Self::DublinCore } else { Self::Other };
        };
        let address = address.trim_start_matches("https://").trim_start_matches("http://");
        if address.starts_with("purl.org/dc/") || address.starts_with("www.openarchives.org/OAI/2.0/oai_dc") {
            Self::DublinCore
        } else if address.starts_with("datacite.org/schema/") || address.starts_with("schema.datacite.org/") {
            Self::DataCite
        } else if address.starts_with("namespace.openaire.eu/") {
            Self::OpenAire
        } else {
            Self::Other
        }
    }
}

/// A child of the metadata's element.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) vocabulary: Vocabulary,
    pub(super) name: String,
    /// Its attribute `type`, under any of the names that it has.
    pub(super) kind: Option<String>,
    /// Its attribute `uri`.
    pub(super) uri: Option<String>,
    /// All text in it, as it stands there.
    pub(super) text: String,
}

/// Calls `each` for every child of the one element of `metadata`.
pub(super) fn children(metadata: &str, each: impl FnMut(&Element)) -> Result<(), Unreadable> {
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(Unreadable::TooLarge { bytes: metadata.len() });
    }
    if !metadata.bytes().all(begins_allowed)
        && let Some((at, c)) = metadata.char_indices().find(|(_, c)| !is_allowed(*c))
    {
        let what = format!("U+{:04X} is no character of XML", u32::from(c));
        return Err(Unreadable::NotWellFormed { at: at as u64, what });
    }
    let mut walk = Walk { each, depth: 0, roots: 0, elements: 0, element: None };
    let mut reader = NsReader::from_str(metadata);
    reader.config_mut().check_comments = true;
    loop {
        let event = reader.read_event();
        let at = reader.buffer_position();
        let failed = |what: String| Unreadable::NotWellFormed { at, what };
        let event = event.map_err(|error| failed(error.to_string()))?;
        match event {
            Event::Start(start) => {
                let name = reader.resolver().resolve_element(start.name()).0;
                walk.start(&start, &name).map_err(|stop| stop.at(at))?;
            }
            Event::Empty(start) => {
                let name = reader.resolver().resolve_element(start.name()).0;
                walk.start(&start, &name).map_err(|stop| stop.at(at))?;
                walk.end();
            }
            Event::End(_) => walk.end(),
            Event::Text(text) => walk.text(&text.xml_content(XmlVersion::Implicit1_0)).map_err(failed)?,
            Event::CData(text) => walk.text(&text.xml_content(XmlVersion::Implicit1_0)).map_err(failed)?,
            Event::GeneralRef(name) => {
                let name = name.into_inner();
                walk.text(&resolved(&name).ok_or_else(|| failed(format!("`&{name};` stands for nothing")))?)
                    .map_err(failed)?;
            }
            Event::DocType(_) => return Err(failed("a document type is declared".to_owned())),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if walk.depth > 0 => return Err(failed("it ends within an element".to_owned())),
            Event::Eof if walk.roots != 1 => return Err(failed(format!("{} elements, expected one", walk.roots))),
            Event::Eof => return Ok(()),
        }
    }
}

/// A walk through the metadata.
struct Walk<F> {
    each: F,
    depth: usize,
    roots: usize,
    elements: usize,
    /// The child that is open.
    element: Option<Element>,
}

/// What ends a walk.
enum Halt {
    Unreadable(Unreadable),
    NotWellFormed(String),
}

impl Halt {
    fn at(self, at: u64) -> Unreadable {
        match self {
            Self::Unreadable(why) => why,
            Self::NotWellFormed(what) => Unreadable::NotWellFormed { at, what },
        }
    }
}

impl<F: FnMut(&Element)> Walk<F> {
    fn start(&mut self, start: &BytesStart<'_>, name: &ResolveResult<'_>) -> Result<(), Halt> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Halt::Unreadable(Unreadable::TooMany));
        }
        if self.depth == DEPTH_MAX {
            return Err(Halt::Unreadable(Unreadable::TooDeep));
        }
        // Read even where nobody asks for them: they may be what is not well-formed.
        let (mut kind, mut uri) = (None, None);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| Halt::NotWellFormed(error.to_string()))?;
            let value = attribute
                .normalized_value_with(XmlVersion::Implicit1_0, ENTITY_DEPTH_MAX, resolve_xml_entity)
                .map_err(|error| Halt::NotWellFormed(error.to_string()))?;
            match attribute.key.local_name().as_ref() {
                "type" | "contributorType" | "identifierType" | "alternateIdentifierType" | "dateType" => {
                    kind = Some(value.into_owned());
                }
                "uri" | "rightsURI" => uri = Some(value.into_owned()),
                _ => {}
            }
        }
        match self.depth {
            0 => self.roots += 1,
            1 => self.element = Some(open(start, name, kind, uri)),
            _ => {}
        }
        self.depth += 1;
        Ok(())
    }

    fn end(&mut self) {
        self.depth -= 1;
        if self.depth == 1
            && let Some(element) = self.element.take()
        {
            (self.each)(&element);
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match &mut self.element {
            Some(element) => element.text.push_str(text),
            None if self.depth == 0 && !text.trim().is_empty() => return Err("text outside of an element".to_owned()),
            None => {}
        }
        Ok(())
    }
}

fn open(start: &BytesStart<'_>, name: &ResolveResult<'_>, kind: Option<String>, uri: Option<String>) -> Element {
    let (local, prefix) = start.name().decompose();
    let address = match name {
        ResolveResult::Bound(Namespace(address)) => Some(*address),
        ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
    };
    let vocabulary = Vocabulary::of(prefix.as_ref().map(|prefix| prefix.as_ref()), address);
    Element { vocabulary, name: local.as_ref().to_owned(), kind, uri, text: String::new() }
}

/// What an entity or a character reference stands for. Entities of a document type are never known.
fn resolved(name: &str) -> Option<String> {
    let Some(number) = name.strip_prefix('#') else {
        return resolve_xml_entity(name).map(str::to_owned);
    };
    let code = match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|c| is_allowed(*c)).map(String::from)
}

/// Whether a character with this byte is allowed for certain, so that most text need not be looked at by the character: the
/// only ones beyond the control characters that are not allowed, U+FFFE and U+FFFF, begin with 0xEF.
fn begins_allowed(byte: u8) -> bool {
    (byte >= b' ' && byte != 0xEF) || matches!(byte, b'\t' | b'\n' | b'\r')
}

/// What is live is served as it came, so it must be XML to the last character.
///
/// # Source
/// <https://www.w3.org/TR/xml/#NT-Char>
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_taken_for_allowed_is_of_no_character_that_is_not() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let mut bytes = [0; 4];
            let taken = c.encode_utf8(&mut bytes).bytes().all(begins_allowed);
            assert!(!taken || is_allowed(c), "U+{:04X}", u32::from(c));
        }
        assert!("aä漢😀\u{7f}\t".bytes().all(begins_allowed));
    }
}
