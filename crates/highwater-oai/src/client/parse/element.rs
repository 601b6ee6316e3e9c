//! One element whose whole text is there, read with quick-xml. Owns the walk through it and what of it is ill-formed; not what
//! its children mean. Every name and attribute is looked at, so what passes here passes a strict parser.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::markup::{is_name_start, local};

/// How deep entities stand for entities: those of XML itself stand for a character each.
const ENTITY_DEPTH_MAX: usize = 1;
/// Elements nested deeper are refused: whoever reads on may recurse.
pub(super) const DEPTH_MAX: usize = 200;

/// In words, what is wrong with an element.
pub(super) type Ill = String;

/// An element on the way through it.
pub(super) struct Element<'t> {
    text: &'t str,
    reader: Reader<&'t [u8]>,
}

impl<'t> Element<'t> {
    /// Opens the element that is the whole of `text`.
    pub(super) fn open(text: &'t str) -> Result<(Self, BytesStart<'t>), Ill> {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        let mut element = Self { text, reader };
        match element.event()? {
            Event::Start(tag) => Ok((element, tag)),
            _ => Err("expected a start tag".to_owned()),
        }
    }

    /// The next event; a start tag has passed its checks.
    pub(super) fn event(&mut self) -> Result<Event<'t>, Ill> {
        let event = self.reader.read_event().map_err(|error| error.to_string())?;
        match &event {
            Event::Start(tag) => check(tag)?,
            Event::Eof => return Err("it has no end".to_owned()),
            _ => {}
        }
        Ok(event)
    }

    /// Where the next event begins.
    pub(super) fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).expect("invariant: the text is in memory")
    }

    /// The text that the element is opened on.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The next child, past text and comments; `None` at the end.
    pub(super) fn child(&mut self) -> Result<Option<BytesStart<'t>>, Ill> {
        loop {
            match self.event()? {
                Event::Start(tag) => return Ok(Some(tag)),
                Event::End(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// To the end of the element just opened.
    pub(super) fn skip(&mut self) -> Result<(), Ill> {
        self.walk(|_| {})
    }

    /// To the end of the element just opened, showing what is in it.
    pub(super) fn walk(&mut self, mut see: impl FnMut(&Event<'t>)) -> Result<(), Ill> {
        let mut depth = 1usize;
        while depth > 0 {
            let event = self.event()?;
            match &event {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Decl(_) => return Err("an XML prolog is in the middle".to_owned()),
                Event::DocType(_) => return Err("a DOCTYPE is in the middle".to_owned()),
                _ => {}
            }
            if depth > DEPTH_MAX {
                return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
            }
            see(&event);
        }
        Ok(())
    }

    /// The text of the element just opened, to its end, without white space around it.
    pub(super) fn content(&mut self) -> Result<String, Ill> {
        let mut content = String::new();
        self.walk(|event| match event {
            Event::Text(text) => content.push_str(&text.xml10_content()),
            Event::CData(text) => content.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => content.extend(resolve(reference)),
            _ => {}
        })?;
        let trimmed = content.trim_ascii();
        Ok(if trimmed.len() == content.len() { content } else { trimmed.to_owned() })
    }
}

/// An element of text alone: its attributes and its content.
pub(super) struct Leaf {
    attributes: Vec<(String, String)>,
    pub(super) content: String,
}

impl Leaf {
    pub(super) fn read(text: &str) -> Result<Self, Ill> {
        let (mut element, tag) = Element::open(text)?;
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            attributes.push((local(attribute.key.0).to_owned(), value(&attribute)?));
        }
        Ok(Self { attributes, content: element.content()? })
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// An attribute's value, its references resolved.
pub(super) fn value(attribute: &quick_xml::events::attributes::Attribute<'_>) -> Result<String, Ill> {
    // Named: which entities are predefined otherwise depends on what else is linked with the reader.
    let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, ENTITY_DEPTH_MAX, resolve_xml_entity);
    Ok(value.map_err(|error| error.to_string())?.into_owned())
}

/// What a reference stands for; it was mended, so it is predefined.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    match reference.as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => reference.resolve_char_ref().ok().flatten(),
    }
}

fn check(tag: &BytesStart<'_>) -> Result<(), Ill> {
    check_name(tag.name().0)?;
    if tag.attributes_raw().is_empty() {
        return Ok(());
    }
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| format!("in `<{}>`: {error}", tag.name().0))?;
        check_name(attribute.key.0)?;
        if attribute.value.contains('<') {
            return Err(format!("in `<{}>`: `<` in the value of `{}`", tag.name().0, attribute.key.0));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Ill> {
    let mut bytes = name.bytes();
    let fits = bytes.next().is_some_and(is_name_start)
        && bytes.all(|b| is_name_start(b) || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if fits { Ok(()) } else { Err(format!("`{name}` is no name")) }
}
