//! The outside of an answer: prolog, root, the verb's element, and where each of their children begins and ends. Owns the text
//! that has come and is not read yet, and what the answer says of itself; what is in a record is not its matter.
//!
//! A child ends with the end tag of its own name, whatever is wrong inside it, so that a record that is ill-formed costs only
//! itself. An answer is at its end with the end tag of its root and not before.

use std::ops::Range;

use jiff::Timestamp;
use quick_xml::events::BytesStart;

use super::element::Leaf;
use super::markup::{Kind, Markup, Scanner, local};
use super::mend::mend;
use super::record;
use super::scope::Scope;
use crate::client::fault::{EXCERPT_BYTES_MAX, Fault, Stranger};
use crate::protocol::{Datestamp, Header, ProtocolError, ResumptionToken, Verb};

/// Longest prolog, in bytes: white space, comments, a DOCTYPE.
const PROLOG_BYTES_MAX: usize = 256 * 1024;
/// So much of a record that is too large is looked at for its identifier, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// So many errors of one answer are kept.
const ERRORS_MAX: usize = 16;

/// Where the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the root.
    Prolog,
    /// It is no OAI-PMH; only its beginning is waited for, to be shown.
    Foreign,
    /// In the root.
    Root,
    /// In the verb's element.
    List,
    /// Past the end of the root.
    After,
}

/// A child on the way to its end.
#[derive(Debug)]
struct Framing {
    /// Where it began, counted from the answer's beginning.
    begun: u64,
    /// How many of its name are open in it, itself included.
    open: u32,
    /// How many of the names of root and verb's element are open in it.
    open_outer: [u32; 2],
    /// It is too large to be kept: the identifier that it had.
    dropped: Option<(Option<String>, Option<Box<Header>>)>,
}

/// A child of the verb's element, to its end.
#[derive(Debug)]
pub(super) enum Child {
    /// Its place in the text.
    Whole(Range<usize>),
    /// It was too large to be kept.
    TooLarge {
        /// What its header said.
        identifier: Option<String>,
        /// All of it, where it came to its end in what was kept.
        header: Option<Box<Header>>,
    },
}

/// What an answer says of itself.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) response_date: Option<Timestamp>,
    pub(super) token: Option<ResumptionToken>,
    pub(super) complete_list_size: Option<u64>,
    pub(super) cursor: Option<u64>,
    pub(super) errors: Vec<ProtocolError>,
    /// The verb's element was there.
    pub(super) answered: bool,
}

/// An answer as far as it has come.
pub(super) struct Page {
    verb: Verb,
    child_bytes_max: u64,
    /// What has come and is not let go.
    pub(super) text: String,
    /// Everything before is read.
    at: usize,
    /// How many bytes were there before the text.
    gone: u64,
    scanner: Scanner,
    place: Place,
    /// The names of root and verb's element, as they are written.
    outer: [String; 2],
    /// The name of the child, as it is written.
    name: String,
    framing: Option<Framing>,
    no_more: bool,
    /// The namespaces in scope between children.
    pub(super) scope: Scope,
    root_scope: usize,
    pub(super) said: Said,
}

impl Page {
    pub(super) fn new(verb: Verb, child_bytes_max: u64) -> Self {
        Self {
            verb,
            child_bytes_max,
            text: String::new(),
            at: 0,
            gone: 0,
            scanner: Scanner::default(),
            place: Place::Prolog,
            outer: Default::default(),
            name: String::new(),
            framing: None,
            no_more: false,
            scope: Scope::default(),
            root_scope: 0,
            said: Said::default(),
        }
    }

    /// Where more text is appended; what was read is let go first.
    pub(super) fn room(&mut self) -> &mut String {
        let before_root = matches!(self.place, Place::Prolog | Place::Foreign);
        if self.at > 0 && !before_root {
            self.text.drain(..self.at);
            self.scanner.shift(self.at);
            self.gone += self.at as u64;
            self.at = 0;
        }
        &mut self.text
    }

    /// No more text will come.
    pub(super) fn close(&mut self) {
        self.no_more = true;
    }

    /// Whether the root has ended.
    pub(super) fn is_done(&self) -> bool {
        self.place == Place::After
    }

    /// The local name of the child that [`Page::next`] gave last.
    pub(super) fn child_name(&self) -> &str {
        local(&self.name)
    }

    /// Where the reading is, counted from the answer's beginning.
    pub(super) fn position(&self) -> u64 {
        self.gone + self.at as u64
    }

    /// The next child of the verb's element; `None` when more text must come, or at the end.
    pub(super) fn next(&mut self) -> Result<Option<Child>, Fault> {
        while !self.is_done() {
            if self.place == Place::Foreign {
                return self.foreign();
            }
            let Some(markup) = self.scanner.next(&self.text) else {
                return self.wait();
            };
            let child = match self.place {
                Place::Prolog => {
                    self.in_prolog(markup);
                    None
                }
                _ if self.framing.is_some() => self.in_child(markup)?,
                _ => self.between_children(markup)?,
            };
            if child.is_some() {
                return Ok(child);
            }
        }
        Ok(None)
    }

    /// There is no more markup in the text as far as it has come.
    fn wait(&mut self) -> Result<Option<Child>, Fault> {
        let settled = self.scanner.settled(&self.text);
        match &self.framing {
            _ if self.place == Place::Prolog => {
                if !is_blank(&self.text[self.at..self.scanner.text_end()]) || self.text.len() > PROLOG_BYTES_MAX {
                    self.place = Place::Foreign;
                    return self.foreign();
                }
                if self.no_more && is_blank(&self.text) {
                    return Err(Fault::NotOai(Stranger::new("")));
                }
            }
            Some(framing) => {
                if self.gone + settled as u64 - framing.begun > self.child_bytes_max {
                    self.drop_up_to(settled);
                }
            }
            None => self.at = settled,
        }
        if self.no_more {
            return Err(Fault::Truncated { at_byte: self.gone + self.text.len() as u64, within: self.within() });
        }
        Ok(None)
    }

    fn within(&self) -> String {
        let element = match self.place {
            Place::Prolog => "the prolog".to_owned(),
            _ if self.framing.is_some() => format!("`<{}>`", self.name),
            Place::List => format!("`<{}>`", self.outer[1]),
            _ => format!("`<{}>`", self.outer[0]),
        };
        match self.scanner.within() {
            "text" => element,
            markup => format!("{markup} in {element}"),
        }
    }

    /// Once enough has come to be shown.
    fn foreign(&self) -> Result<Option<Child>, Fault> {
        if self.no_more || self.text.len() >= EXCERPT_BYTES_MAX {
            return Err(Fault::NotOai(Stranger::new(&self.text)));
        }
        Ok(None)
    }

    fn malformed(&self, what: impl Into<String>) -> Fault {
        Fault::Malformed { at_byte: self.position(), what: what.into() }
    }

    /// White space, prologs, comments and a DOCTYPE may come first, any number of them.
    fn in_prolog(&mut self, markup: Markup) {
        let name = markup.name(&self.text);
        let blank = is_blank(&self.text[self.at..markup.start]) && markup.end <= PROLOG_BYTES_MAX;
        self.place = match markup.kind {
            Kind::Other if blank => Place::Prolog,
            Kind::Start if blank && local(name) == "OAI-PMH" => Place::Root,
            Kind::Empty if blank && local(name) == "OAI-PMH" => Place::After,
            _ => Place::Foreign,
        };
        if self.place == Place::Root {
            self.outer[0] = name.to_owned();
            self.scope.declare(&tag(&mend(markup.text(&self.text))));
            self.root_scope = self.scope.mark();
        }
        self.at = markup.end;
    }

    fn between_children(&mut self, markup: Markup) -> Result<Option<Child>, Fault> {
        self.at = markup.start;
        let name = markup.name(&self.text);
        match markup.kind {
            Kind::Start | Kind::Empty => match Verb::ALL.into_iter().find(|verb| verb.as_str() == local(name)) {
                Some(verb) if self.place == Place::Root => return self.open_list(verb, markup).map(|()| None),
                _ => return self.open_child(markup),
            },
            Kind::End if name == self.outer[0] => self.place = Place::After,
            Kind::End if name == self.outer[1] && self.place == Place::List => {
                self.place = Place::Root;
                self.scope.forget_since(self.root_scope);
            }
            Kind::Broken => return Err(self.malformed("a tag has no end")),
            // The end of something that ended before, or what has no meaning here.
            Kind::End | Kind::Other => {}
        }
        self.at = markup.end;
        Ok(None)
    }

    fn open_list(&mut self, verb: Verb, markup: Markup) -> Result<(), Fault> {
        if verb != self.verb {
            let (asked, answered) = (self.verb.as_str(), verb.as_str());
            return Err(self.malformed(format!("asked for {asked}, it answers {answered}")));
        }
        self.said.answered = true;
        if markup.kind == Kind::Start {
            self.place = Place::List;
            self.outer[1] = markup.name(&self.text).to_owned();
            self.scope.declare(&tag(&mend(markup.text(&self.text))));
        }
        self.at = markup.end;
        Ok(())
    }

    fn open_child(&mut self, markup: Markup) -> Result<Option<Child>, Fault> {
        self.name.clear();
        self.name.push_str(markup.name(&self.text));
        let begun = self.position();
        self.framing = Some(Framing { begun, open: 1, open_outer: [0; 2], dropped: None });
        if markup.kind == Kind::Empty { self.close_child(markup) } else { Ok(None) }
    }

    fn in_child(&mut self, markup: Markup) -> Result<Option<Child>, Fault> {
        let (Kind::Start | Kind::End, Some(framing)) = (markup.kind, &mut self.framing) else { return Ok(None) };
        let name = markup.name(&self.text);
        let outer = self.outer.iter().position(|outer| outer == name);
        match (markup.kind, outer) {
            (Kind::Start, _) if name == self.name => framing.open += 1,
            (Kind::Start, Some(outer)) => framing.open_outer[outer] += 1,
            (Kind::End, _) if name == self.name => {
                framing.open -= 1;
                if framing.open == 0 {
                    return self.close_child(markup);
                }
            }
            (Kind::End, Some(outer)) if framing.open_outer[outer] > 0 => framing.open_outer[outer] -= 1,
            // Whatever came after it is lost in it, the token too.
            (Kind::End, Some(_)) => {
                let what = format!("`<{}>` has no end before `</{name}>`", self.name);
                return Err(Fault::Malformed { at_byte: framing.begun, what });
            }
            _ => {}
        }
        Ok(None)
    }

    fn close_child(&mut self, markup: Markup) -> Result<Option<Child>, Fault> {
        let too_large = |framing: &Framing| self.gone + markup.end as u64 - framing.begun > self.child_bytes_max;
        if self.framing.as_ref().is_some_and(too_large) {
            return self.close_large_child(markup);
        }
        self.framing = None;
        let range = self.at..markup.end;
        let text = &self.text[range.clone()];
        match (self.child_name(), self.place) {
            ("resumptionToken", _) => {
                let leaf = Leaf::read(&mend(text));
                let leaf = leaf.map_err(|ill| self.malformed(format!("its resumptionToken: {ill}")))?;
                self.token(leaf);
            }
            ("error", _) => {
                let leaf = Leaf::read(&mend(text)).map_err(|ill| self.malformed(format!("its error: {ill}")))?;
                if self.said.errors.len() < ERRORS_MAX {
                    let code = leaf.attribute("code").unwrap_or_default().trim().into();
                    self.said.errors.push(ProtocolError { code, message: leaf.content });
                }
            }
            ("responseDate", Place::Root) if self.said.response_date.is_none() => {
                let date = Leaf::read(&mend(text)).ok().and_then(|leaf| Datestamp::parse(&leaf.content).ok());
                self.said.response_date = date.map(Datestamp::at);
            }
            (_, Place::List) => {
                self.at = markup.end;
                return Ok(Some(Child::Whole(range)));
            }
            _ => {}
        }
        self.at = markup.end;
        Ok(None)
    }

    fn close_large_child(&mut self, markup: Markup) -> Result<Option<Child>, Fault> {
        self.drop_up_to(markup.end);
        let (identifier, header) = self.framing.take().and_then(|framing| framing.dropped).unwrap_or_default();
        match (self.child_name(), self.place) {
            ("resumptionToken" | "error", _) => {
                let what = format!("`<{}>` has more than {} bytes", self.name, self.child_bytes_max);
                Err(self.malformed(what))
            }
            (_, Place::List) => Ok(Some(Child::TooLarge { identifier, header })),
            _ => Ok(None),
        }
    }

    /// Lets go of a child that is too large, keeping its identifier.
    fn drop_up_to(&mut self, end: usize) {
        let Some(framing) = &mut self.framing else { return };
        if framing.dropped.is_none() {
            let most = self.child_bytes_max.min(HEADER_BYTES_MAX as u64) as usize;
            let beginning = &self.text[self.at..self.text.floor_char_boundary(self.at + most)];
            framing.dropped = Some(record::identified_in(beginning));
        }
        self.at = end;
    }

    fn token(&mut self, leaf: Leaf) {
        let number = |name| leaf.attribute(name).and_then(|text| text.trim().parse::<u64>().ok());
        let (complete_list_size, cursor) = (number("completeListSize"), number("cursor"));
        self.said.complete_list_size = complete_list_size.or(self.said.complete_list_size);
        self.said.cursor = cursor.or(self.said.cursor);
        if !leaf.content.is_empty() {
            self.said.token = Some(ResumptionToken { value: leaf.content, complete_list_size, cursor });
        }
    }
}

/// A start tag from `<` to `>`, as quick-xml has it.
fn tag(text: &str) -> BytesStart<'_> {
    let content = text.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
    let name_bytes = content.bytes().position(|b| b.is_ascii_whitespace()).unwrap_or(content.len());
    BytesStart::from_content(content, name_bytes)
}

/// White space and byte order marks.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_whitespace() || c == '\u{FEFF}')
}
