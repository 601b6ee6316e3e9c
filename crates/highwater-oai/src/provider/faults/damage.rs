//! Faults of how an answer is written: the bytes are not what the protocol, XML or UTF-8 allow.

use super::fault::Fault;
use crate::protocol::NAMESPACE;
use crate::provider::xml::PROLOG;

/// The namespace of the protocol's version before.
const OLD_NAMESPACE: &str = "http://www.openarchives.org/OAI/1.1/";
/// Entities, one of them a file of the reader's.
const DTD: &str = "<!DOCTYPE OAI-PMH [<!ENTITY word \"expanded\"><!ENTITY words \"&word;&word;\">\
    <!ENTITY file SYSTEM \"file:///etc/hostname\">]>";
const ENTITIES: &[u8] = b"&words;&file;";
/// None of them may be in XML, but the last.
const CONTROL_CHARS: &[u8] = b"\x01\x08\x0b\x1f\t";
/// A sequence that breaks off, a byte that never occurs, and a surrogate.
const NO_UTF8: &[u8] = b"\xc3\x28\xff\xed\xa0\x80";

impl Fault {
    /// Changes the document; says whether it did.
    pub(in crate::provider) fn damage(&self, document: &mut Vec<u8>) -> bool {
        match self {
            Self::LeadingNewline => document.insert(0, b'\n'),
            Self::SecondProlog => drop(document.splice(..0, PROLOG.bytes().chain(*b"\n"))),
            Self::ControlChars => return into_text(document, CONTROL_CHARS),
            Self::BadUtf8 => return into_text(document, NO_UTF8),
            Self::DtdEntity => {
                into_text(document, ENTITIES);
                let place = find(document, b"<OAI-PMH").unwrap_or(0);
                document.splice(place..place, DTD.bytes());
            }
            Self::WrongNamespace => return replace(document, NAMESPACE, OLD_NAMESPACE),
            Self::NoNamespace => return replace(document, &format!(" xmlns=\"{NAMESPACE}\""), ""),
            Self::FinerDatestamps => return make_finer(document),
            Self::Truncate(percent) => document.truncate(share(document.len(), *percent)),
            _ => return false,
        }
        true
    }
}

/// A part of so many bytes.
pub(super) fn share(length: usize, percent: u8) -> usize {
    length * usize::from(percent) / 100
}

pub(super) fn find(document: &[u8], what: &[u8]) -> Option<usize> {
    document.windows(what.len()).position(|window| window == what)
}

/// Puts bytes before the first text inside metadata, else inside what the repository calls itself.
fn into_text(document: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let Some(start) = find(document, b"<metadata>").or_else(|| find(document, b"<repositoryName>")) else {
        return false;
    };
    let begins_text = |pair: &[u8]| pair[0] == b'>' && pair[1] != b'<' && !pair[1].is_ascii_whitespace();
    let Some(tag_end) = document[start..].windows(2).position(begins_text) else { return false };
    let place = start + tag_end + 1;
    document.splice(place..place, bytes.iter().copied());
    true
}

fn replace(document: &mut Vec<u8>, what: &str, by: &str) -> bool {
    let text = String::from_utf8_lossy(document);
    let replaced = text.replace(what, by);
    let changed = replaced != *text;
    *document = replaced.into_bytes();
    changed
}

/// A day gets a time, a second a fraction.
fn make_finer(document: &mut Vec<u8>) -> bool {
    const END: &str = "</datestamp>";
    replace(document, &format!("Z{END}"), &format!(".125Z{END}")) || replace(document, END, &format!("T12:34:56Z{END}"))
}
