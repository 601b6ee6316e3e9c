//! One `<record>` or `<header>` whose whole text is there. Owns what makes it readable; what is wrong with it costs only it.

use quick_xml::events::{BytesStart, Event};

use super::Entry;
use super::element::{Element, Ill, value};
use super::markup::local;
use super::mend::mend;
use super::scope::Scope;
use crate::protocol::{Datestamp, Header, Record};

/// Reads the element.
pub(super) fn read(text: &str, scope: &mut Scope) -> Entry {
    let mended = mend(text);
    let mark = scope.mark();
    let mut draft = Draft::default();
    let read = draft.read(&mended, scope);
    scope.forget_since(mark);
    match read.and_then(|()| draft.finish()) {
        Ok(record) => Entry::Record(record),
        Err(why) => Entry::Unreadable { header: draft.header_alone(), identifier: draft.identifier, why },
    }
}

/// The identifier and the header of a record of which only the beginning is kept.
pub(super) fn identified_in(beginning: &str) -> (Option<String>, Option<Box<Header>>) {
    let mended = mend(beginning);
    let mut draft = Draft::default();
    // It breaks off, so it is an error; what was read before counts.
    let _ = draft.read(&mended, &mut Scope::default());
    let header = draft.header_alone();
    (draft.identifier, header)
}

/// What has been read of a record.
#[derive(Default)]
struct Draft {
    identifier: Option<String>,
    datestamp: Option<String>,
    sets: Vec<String>,
    deleted: bool,
    header_ended: bool,
    metadata: Option<String>,
}

impl Draft {
    fn read(&mut self, text: &str, scope: &mut Scope) -> Result<(), Ill> {
        let (mut element, tag) = Element::open(text)?;
        if local(tag.name().0) == "header" {
            return self.header(&mut element, &tag);
        }
        scope.declare(&tag);
        while let Some(child) = element.child()? {
            match local(child.name().0) {
                "header" => self.header(&mut element, &child)?,
                "metadata" if self.metadata.is_none() && !self.deleted => {
                    scope.declare(&child);
                    self.metadata = metadata(&mut element, scope)?;
                }
                _ => element.skip()?,
            }
        }
        Ok(())
    }

    fn header(&mut self, element: &mut Element<'_>, tag: &BytesStart<'_>) -> Result<(), Ill> {
        for attribute in tag.attributes().filter_map(Result::ok).filter(|a| a.key.0 == "status") {
            self.deleted = value(&attribute)?.trim().eq_ignore_ascii_case("deleted");
        }
        while let Some(child) = element.child()? {
            match local(child.name().0) {
                "identifier" if self.identifier.is_none() => {
                    self.identifier = Some(element.content()?).filter(|id| !id.is_empty());
                }
                "datestamp" => self.datestamp = Some(element.content()?),
                "setSpec" => self.sets.push(element.content()?),
                _ => element.skip()?,
            }
        }
        self.header_ended = true;
        Ok(())
    }

    /// The header, where it came to its end and only what follows it cannot be read.
    fn header_alone(&mut self) -> Option<Box<Header>> {
        self.header_ended.then(|| self.finish().ok()).flatten().map(|record| Box::new(record.header))
    }

    fn finish(&mut self) -> Result<Record, Ill> {
        let identifier = self.identifier.clone().ok_or("it has no identifier")?;
        let datestamp = self.datestamp.take().ok_or("it has no datestamp")?;
        let datestamp = Datestamp::parse(&datestamp).map_err(|error| format!("its datestamp: {error}"))?;
        let header = Header { identifier, datestamp, sets: std::mem::take(&mut self.sets), deleted: self.deleted };
        Ok(Record { metadata: self.metadata.take().filter(|_| !header.deleted), header })
    }
}

/// The element inside `<metadata>`, which has just been opened, to the end of `</metadata>`.
fn metadata(element: &mut Element<'_>, scope: &Scope) -> Result<Option<String>, Ill> {
    let mut captured = None;
    let mut text_alone = false;
    loop {
        let begin = element.position();
        match element.event()? {
            Event::Start(root) if captured.is_none() => {
                let mut unprefixed = !root.name().0.contains(':');
                element.walk(|event| {
                    if let Event::Start(tag) = event {
                        unprefixed |= !tag.name().0.contains(':');
                    }
                })?;
                let text = &element.text()[begin..element.position()];
                captured = Some(scope.declared_on(&root, text, unprefixed));
            }
            Event::Start(_) => element.skip()?,
            Event::Text(text) => text_alone |= !text.trim_ascii().is_empty(),
            Event::CData(_) | Event::GeneralRef(_) => text_alone = true,
            Event::End(_) if captured.is_none() && text_alone => {
                return Err("its metadata is text instead of an element".to_owned());
            }
            Event::End(_) => return Ok(captured),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    const HEADER: &str = "<header><identifier>oai:a:1</identifier><datestamp>2021-02-12</datestamp></header>";

    fn record(metadata: &str) -> Entry {
        read(&format!("<record>{HEADER}<metadata>{metadata}</metadata></record>"), &mut Scope::default())
    }

    fn metadata_of(entry: Entry) -> Option<String> {
        match entry {
            Entry::Record(record) => record.metadata,
            Entry::Unreadable { why, .. } => panic!("{why}"),
        }
    }

    fn why(entry: Entry) -> String {
        match entry {
            Entry::Record(record) => panic!("{record:?}"),
            Entry::Unreadable { identifier, header, why } => {
                assert_eq!(header.map(|header| header.identifier).as_deref(), Some("oai:a:1"), "{why}");
                assert_eq!(identifier.as_deref(), Some("oai:a:1"), "{why}");
                why
            }
        }
    }

    #[test]
    fn the_metadata_is_its_element_as_it_was_sent() {
        let dc = "<dc a='1'>\n <t><![CDATA[<&>]]></t><e/><!-- c --><?p i?>&#228;ä\t</dc>";
        assert_eq!(metadata_of(record(&format!("\n <!-- before --> {dc}\n"))).unwrap(), dc);
        assert_eq!(metadata_of(record("<dc/>")).unwrap(), "<dc/>");
        assert_eq!(metadata_of(record("<?xml version='1.0'?><dc/>")).unwrap(), "<dc/>", "a prolog of its own");
        assert_eq!(metadata_of(record(" \n ")), None);
    }

    #[test]
    fn namespaces_from_further_out_are_declared_where_they_are_used() {
        let mut scope = Scope::default();
        let outer = "<OAI-PMH xmlns='http://oai' xmlns:xsi='http://x?a=\"1\"&amp;b' xmlns:dc='http://old' xmlns:unused='http://u'/>";
        scope.declare(&Element::open(outer).unwrap().1);
        let mark = scope.mark();
        let mut read = |metadata: &str| {
            let text = format!("<record xmlns:dc='http://dc'>{HEADER}<metadata>{metadata}</metadata></record>");
            metadata_of(read(&text, &mut scope)).unwrap()
        };
        assert_eq!(
            read("<dc:dc><dc:t xsi:type='x'/></dc:dc>"),
            r#"<dc:dc xmlns:xsi="http://x?a=&quot;1&quot;&amp;b" xmlns:dc="http://dc"><dc:t xsi:type='x'/></dc:dc>"#
        );
        assert_eq!(read("<dc:dc xmlns:dc='http://own'/>"), "<dc:dc xmlns:dc='http://own'/>");
        assert_eq!(read("<a/>"), "<a xmlns=\"http://oai\"/>");
        assert_eq!(read("<a xmlns='http://own'><b/></a>"), "<a xmlns='http://own'><b/></a>");
        assert_eq!(
            read("<p:a xmlns:p='http://p'><b/></p:a>"),
            "<p:a xmlns=\"http://oai\" xmlns:p='http://p'><b/></p:a>"
        );
        assert_eq!(scope.mark(), mark, "what the record declared is forgotten");
    }

    #[test]
    fn references_are_mended_and_the_record_is_read() {
        assert_eq!(metadata_of(record("<t>&lol; R&D &#0;&#9;</t>")).unwrap(), "<t>&amp;lol; R&amp;D \u{FFFD}&#9;</t>");
    }

    #[test]
    fn a_header_is_read_whatever_its_namespace_and_its_text_is_resolved() {
        let text = "<x:record xmlns:x='urn:wrong'><x:header status=' Deleted '>\
            <x:identifier>\n oai:a:R&amp;D&#x2F;<![CDATA[<1>]]> </x:identifier><x:datestamp>2021-02-12T08:44:14.5Z</x:datestamp>\
            <x:setSpec>a</x:setSpec><x:setSpec>b</x:setSpec><x:more><x:more/></x:more></x:header></x:record>";
        let Entry::Record(record) = read(text, &mut Scope::default()) else { panic!("it is readable") };
        assert_eq!(record.header.identifier, "oai:a:R&D/<1>");
        assert_eq!(record.header.datestamp.to_string(), "2021-02-12T08:44:14Z");
        assert_eq!((record.header.sets.len(), record.header.deleted, record.metadata), (2, true, None));
    }

    #[test]
    fn what_is_ill_formed_is_told_with_the_identifier() {
        let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
        let cases = [
            ("<a><b></a></b>", "ill-formed document: expected `</b>`, but `</a>` was found"),
            ("<a b='1' b='2'/>", "in `<a>`: position 8: duplicated attribute, previous declaration at position 2"),
            ("<a b=1/>", "in `<a>`: position 4: attribute value must be enclosed in `\"` or `'`"),
            ("<a><-b/></a>", "`-b` is no name"),
            ("<a b$='1'/>", "`b$` is no name"),
            ("<a><!-- -- --></a>", "ill-formed document: forbidden string `--` was found in a comment"),
            ("<a><?xml version='1.0'?></a>", "an XML prolog is in the middle"),
            ("<a><!DOCTYPE b></a>", "a DOCTYPE is in the middle"),
            ("&lt;dc/&gt;", "its metadata is text instead of an element"),
            ("<![CDATA[<dc/>]]>", "its metadata is text instead of an element"),
            (&deep, "elements are nested deeper than 200"),
        ];
        for (metadata, expected) in cases {
            assert_eq!(why(record(metadata)), expected);
        }
    }

    #[test]
    fn a_header_that_lacks_what_it_needs_is_told() {
        let header = |inside: &str| match read(&format!("<header>{inside}</header>"), &mut Scope::default()) {
            Entry::Record(record) => panic!("{record:?}"),
            Entry::Unreadable { why, .. } => why,
        };
        assert_eq!(header("<datestamp>2021-02-12</datestamp>"), "it has no identifier");
        assert_eq!(header("<identifier> </identifier>"), "it has no identifier");
        assert_eq!(header("<identifier>a</identifier>"), "it has no datestamp");
        assert!(
            header("<identifier>a</identifier><datestamp>soon</datestamp>")
                .starts_with("its datestamp: found \"soon\"")
        );
    }

    #[test]
    fn the_identifier_of_a_record_that_breaks_off_is_known() {
        let (identifier, header) = identified_in(&format!("<record>{HEADER}<metadata><a>xxx"));
        assert_eq!((identifier.as_deref(), header.is_some()), (Some("oai:a:1"), true));
        assert_eq!(identified_in("<record><header><identifier>oai:a"), (None, None));
        let (identifier, header) = identified_in(&HEADER.replace("</header>", ""));
        assert_eq!((identifier.as_deref(), header), (Some("oai:a:1"), None), "more of it may have followed");
    }
}
