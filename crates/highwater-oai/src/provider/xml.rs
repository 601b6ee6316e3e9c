//! Answers as XML. Owns the writing and the escaping; what is answered is `answer`'s.

use std::borrow::Cow;

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::answer::{Answer, Element, List};
use crate::protocol::{
    Arguments, Datestamp, Granularity, Header, Identify, MetadataFormat, NAMESPACE, ProtocolError, Record, SetInfo,
    Verb,
};

/// What every document begins with; the protocol wants UTF-8.
pub(super) const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
const SCHEMA: &str = "http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// What metadata says that takes no namespace from around it.
const NO_NAMESPACE: &str = " xmlns=\"\"";
/// How the provider compresses, besides not at all.
const COMPRESSION: &str = "gzip";

/// What an answer answers.
pub(super) struct Question<'a> {
    /// Where it was asked.
    pub(super) base_url: &'a str,
    /// When.
    pub(super) at: Timestamp,
    /// With what; none where the arguments themselves were wrong.
    pub(super) arguments: Arguments,
}

/// The whole document.
pub(super) fn document(question: &Question<'_>, answer: &Answer) -> String {
    let mut out = Writer(String::from(PROLOG));
    out.raw("\n<OAI-PMH xmlns=\"").raw(NAMESPACE).raw("\" xmlns:xsi=\"").raw(SCHEMA_INSTANCE);
    out.raw("\" xsi:schemaLocation=\"").raw(NAMESPACE).raw(" ").raw(SCHEMA).raw("\">\n");
    out.element("responseDate", &Datestamp::new(question.at, Granularity::Second).to_string()).raw("\n<request");
    for (name, value) in &question.arguments {
        out.attribute(name, value);
    }
    out.raw(">").text(question.base_url).raw("</request>\n");
    match answer {
        Answer::Errors(errors) => out.errors(errors),
        Answer::Identify(identify) => out.within(Verb::Identify, |out| out.identify(identify)),
        Answer::Formats(formats) => out.within(Verb::ListMetadataFormats, |out| out.formats(formats)),
        Answer::Sets(sets) => out.within(Verb::ListSets, |out| out.sets(sets)),
        Answer::Record(record) => out.within(Verb::GetRecord, |out| out.record(record)),
        Answer::List(list) => out.within(list.verb, |out| out.list(list)),
    }
    out.raw("</OAI-PMH>\n");
    out.0
}

/// One record as a document of its own, for whoever takes records outside of a list.
#[must_use]
pub fn record_document(record: &Record) -> String {
    let mut out = Writer(String::from(PROLOG));
    out.raw("\n<record xmlns=\"").raw(NAMESPACE).raw("\">\n").inside(record);
    out.0
}

struct Writer(String);

impl Writer {
    fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // As itself, a reader would make a line feed of it.
                '\r' => self.0.push_str("&#13;"),
                c if is_legal(c) => self.0.push(c),
                _ => self.0.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.raw(" ").raw(name).raw("=\"");
        // As themselves, a reader would make spaces of them.
        let mut rest = value;
        while let Some(place) = rest.find(['"', '\t', '\n']) {
            self.text(&rest[..place]);
            self.raw(match rest.as_bytes()[place] {
                b'"' => "&quot;",
                b'\t' => "&#9;",
                _ => "&#10;",
            });
            rest = &rest[place + 1..];
        }
        self.text(rest).raw("\"");
    }

    fn element(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw("<").raw(name).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    fn within(&mut self, verb: Verb, inside: impl FnOnce(&mut Self)) {
        let name = verb.as_str();
        self.raw("<").raw(name).raw(">\n");
        inside(self);
        self.raw("</").raw(name).raw(">\n");
    }

    fn errors(&mut self, errors: &[ProtocolError]) {
        for error in errors {
            self.raw("<error");
            self.attribute("code", error.code.as_str());
            self.raw(">").text(&error.message).raw("</error>\n");
        }
    }

    fn identify(&mut self, identify: &Identify) {
        self.element("repositoryName", &identify.repository_name).raw("\n");
        self.element("baseURL", &identify.base_url).raw("\n");
        self.element("protocolVersion", "2.0").raw("\n");
        for email in &identify.admin_emails {
            self.element("adminEmail", email).raw("\n");
        }
        self.element("earliestDatestamp", &identify.earliest.to_string()).raw("\n");
        self.element("deletedRecord", identify.deleted_record.as_str()).raw("\n");
        self.element("granularity", identify.granularity.as_str()).raw("\n");
        self.element("compression", COMPRESSION).raw("\n");
    }

    fn formats(&mut self, formats: &[MetadataFormat]) {
        for MetadataFormat { prefix, schema, namespace } in formats {
            self.raw("<metadataFormat>").element("metadataPrefix", prefix).element("schema", schema);
            self.element("metadataNamespace", namespace).raw("</metadataFormat>\n");
        }
    }

    fn sets(&mut self, sets: &[SetInfo]) {
        for SetInfo { spec, name } in sets {
            self.raw("<set>").element("setSpec", spec).element("setName", name).raw("</set>\n");
        }
    }

    fn list(&mut self, list: &List) {
        for record in &list.records {
            if list.verb == Verb::ListIdentifiers {
                self.header(&record.header);
            } else {
                self.record(record);
            }
        }
        if let Some(element) = &list.element {
            self.resumption_token(element);
        }
    }

    fn record(&mut self, record: &Record) {
        self.raw("<record>\n").inside(record);
    }

    /// What is in a record, and its end.
    fn inside(&mut self, Record { header, metadata }: &Record) {
        self.header(header);
        if let Some(metadata) = metadata {
            self.raw("<metadata>\n").raw(&alone(&without_illegal(metadata))).raw("\n</metadata>\n");
        }
        self.raw("</record>\n");
    }

    fn header(&mut self, header: &Header) {
        self.raw(if header.deleted { "<header status=\"deleted\">" } else { "<header>" });
        self.element("identifier", &header.identifier).element("datestamp", &header.datestamp.to_string());
        for set in &header.sets {
            self.element("setSpec", set);
        }
        self.raw("</header>\n");
    }

    fn resumption_token(&mut self, element: &Element) {
        self.raw("<resumptionToken");
        if let Some(expires) = element.expires {
            self.attribute("expirationDate", &Datestamp::new(expires, Granularity::Second).to_string());
        }
        if let Some(size) = element.complete_list_size {
            self.attribute("completeListSize", &size.to_string());
        }
        if let Some(cursor) = element.cursor {
            self.attribute("cursor", &cursor.to_string());
        }
        match &element.value {
            Some(value) => self.raw(">").text(value).raw("</resumptionToken>\n"),
            None => self.raw("/>\n"),
        };
    }
}

/// Metadata that means the same within a record as alone: where it has elements of no namespace, they are not of the record's.
fn alone(metadata: &str) -> Cow<'_, str> {
    match without_default(metadata) {
        Some(name_end) => Cow::Owned([&metadata[..name_end], NO_NAMESPACE, &metadata[name_end..]].concat()),
        None => Cow::Borrowed(metadata),
    }
}

/// Where the name of the root ends, if elements have no prefix and the root says nothing of what that means.
fn without_default(metadata: &str) -> Option<usize> {
    let mut reader = Reader::from_str(metadata);
    let (begin, root) = loop {
        let begin = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(root) | Event::Empty(root) => break (begin, root),
            Event::Eof => return None,
            _ => {}
        }
    };
    let mut attributes = root.attributes();
    attributes.with_checks(false);
    let says = attributes.filter_map(Result::ok).any(|attribute| attribute.key.0 == "xmlns");
    (!says && has_unprefixed(&metadata[begin..])).then(|| begin + 1 + root.name().0.len())
}

/// Whether any start tag has a name without a prefix. One within a comment or a CDATA section counts too, which does no harm.
fn has_unprefixed(markup: &str) -> bool {
    markup.split('<').skip(1).filter(|tag| !tag.starts_with(['/', '!', '?'])).any(|tag| {
        let end = tag.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(tag.len());
        !tag[..end].contains(':')
    })
}

/// Whether XML 1.0 may have it at all, escaped or not.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Metadata is markup already; only what no XML may have is replaced.
fn without_illegal(metadata: &str) -> Cow<'_, str> {
    if metadata.chars().all(is_legal) {
        return Cow::Borrowed(metadata);
    }
    Cow::Owned(metadata.replace(|c| !is_legal(c), "\u{FFFD}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn text_and_attributes_are_read_back_as_they_were_and_control_characters_are_replaced() {
        let nasty = "<a href=\"x\">&amp; ]]> '\t\n\r\u{1}\u{B}\u{FFFE}ä𝄞";
        let mut out = Writer(String::from("<x"));
        out.attribute("y", nasty);
        out.raw(">").element("z", nasty).raw("</x>");
        let document = roxmltree::Document::parse(&out.0).unwrap();
        let expected = "<a href=\"x\">&amp; ]]> '\t\n\r\u{FFFD}\u{FFFD}\u{FFFD}ä𝄞";
        assert_eq!(document.root_element().attribute("y"), Some(expected));
        assert_eq!(document.root_element().first_child().unwrap().text(), Some(expected));
    }

    #[test]
    fn metadata_keeps_its_markup_and_loses_what_no_xml_may_have() {
        assert_eq!(without_illegal("<a>\t&lt;</a>"), "<a>\t&lt;</a>");
        assert_eq!(without_illegal("<a>\u{8}b</a>"), "<a>\u{FFFD}b</a>");
    }

    #[test]
    fn metadata_without_a_namespace_gets_none_from_the_record_around_it() {
        let names = |metadata: &str| {
            let record = Record {
                header: Header {
                    identifier: "oai:a:1".to_owned(),
                    datestamp: Datestamp::new(Timestamp::UNIX_EPOCH, Granularity::Second),
                    sets: Vec::new(),
                    deleted: false,
                },
                metadata: Some(metadata.to_owned()),
            };
            let text = record_document(&record);
            let document = roxmltree::Document::parse(&text).unwrap();
            let within = document.descendants().find(|node| node.has_tag_name((NAMESPACE, "metadata"))).unwrap();
            let elements = within.descendants().filter(|node| node.is_element() && *node != within);
            let name = |node: roxmltree::Node<'_, '_>| {
                format!("{}:{}", node.tag_name().namespace().unwrap_or_default(), node.tag_name().name())
            };
            elements.map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("<a/>"), ":a");
        assert_eq!(names("<a b='xmlns=' xmlns:c='urn:c'><b/><c:b/></a>"), ":a :b urn:c:b");
        assert_eq!(names("<?p <q ?><!-- <q> -->\n<a\n>t</a>"), ":a");
        assert_eq!(names("<p:a xmlns:p='urn:p'><b/></p:a>"), "urn:p:a :b");
        assert_eq!(names("<a xmlns='urn:d'><b/></a>"), "urn:d:a urn:d:b");
        assert_eq!(names("<p:a xmlns:p='urn:p' xmlns='urn:d'><b/></p:a>"), "urn:p:a urn:d:b");
    }

    #[test]
    fn metadata_that_takes_nothing_from_around_it_is_served_as_it_is() {
        for metadata in [
            "<a xmlns='urn:d'><b/></a>",
            "<p:a xmlns:p='urn:p' q=' > '><p:b>t</p:b><!-- c --><p:c/></p:a>",
            "no element at all",
            "<a",
            "",
        ] {
            assert_eq!(alone(metadata), metadata);
        }
    }
}
