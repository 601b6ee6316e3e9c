//! Where markup begins and ends. Owns the search through text of which more may come; not what the markup means.
//!
//! A search is resumed where it stopped, so text that comes byte by byte costs no more than text that comes at once. A tag
//! that is broken ends where the next `<` begins: what is wrong in one record does not reach the next.

use memchr::{memchr, memchr2, memmem};

/// A tag that is longer is broken, in bytes.
const TAG_BYTES_MAX: usize = 1024 * 1024;
/// A DOCTYPE that is longer is broken, in bytes. Its end is looked for anew each time more has come.
const DOCTYPE_BYTES_MAX: usize = 64 * 1024;

/// What a piece of markup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<name …>`
    Start,
    /// `<name …/>`
    Empty,
    /// `</name>`
    End,
    /// A comment, a processing instruction, a CDATA section, a DOCTYPE.
    Other,
    /// A tag without end.
    Broken,
}

/// A piece of markup in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Markup {
    pub(super) kind: Kind,
    /// Where its `<` is.
    pub(super) start: usize,
    /// Past its end.
    pub(super) end: usize,
}

impl Markup {
    pub(super) fn text(self, text: &str) -> &str {
        &text[self.start..self.end]
    }

    /// The name of a tag, with its prefix.
    pub(super) fn name(self, text: &str) -> &str {
        let text = self.text(text).trim_start_matches('<').trim_start_matches('/');
        let end = text.bytes().position(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'<'));
        &text[..end.unwrap_or(text.len())]
    }
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Markup whose end has not been found.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Only its `<` is known.
    Unknown,
    /// A start tag, and the quote it is in.
    Start(Option<u8>),
    End,
    /// Ends with these bytes.
    Until(&'static [u8]),
    Doctype,
}

/// A search for markup, resumed as text comes.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Where the search goes on.
    looked: usize,
    open: Option<(usize, Form)>,
}

/// What a look at open markup came to.
enum Look {
    Found(Kind, usize),
    /// It was no markup.
    Stray,
    More,
}

impl Scanner {
    /// The next markup; `None` until more text has come.
    pub(super) fn next(&mut self, text: &str) -> Option<Markup> {
        let bytes = text.as_bytes();
        loop {
            let (start, form) = match self.open {
                Some(open) => open,
                None => {
                    let Some(at) = memchr(b'<', &bytes[self.looked..]) else {
                        self.looked = bytes.len();
                        return None;
                    };
                    let start = self.looked + at;
                    self.looked = start + 1;
                    (start, Form::Unknown)
                }
            };
            self.open = Some((start, form));
            let form = match form {
                Form::Unknown => match self.classify(&bytes[start..], start) {
                    Ok(form) => form,
                    Err(Look::Stray) => {
                        self.open = None;
                        continue;
                    }
                    Err(_) => return None,
                },
                known => known,
            };
            match self.find_end(bytes, start, form) {
                Look::Found(kind, end) => {
                    self.open = None;
                    self.looked = end;
                    return Some(Markup { kind, start, end });
                }
                Look::Stray | Look::More => return None,
            }
        }
    }

    fn classify(&mut self, markup: &[u8], start: usize) -> Result<Form, Look> {
        let (form, opening) = match markup.get(1) {
            None => return Err(Look::More),
            Some(b'/') => (Form::End, 2),
            Some(b'?') => (Form::Until(b"?>"), 2),
            Some(b'!') => {
                let openings: [(&[u8], Form); 3] = [
                    (b"<!--", Form::Until(b"-->")),
                    (b"<![CDATA[", Form::Until(b"]]>")),
                    (b"<!DOCTYPE", Form::Doctype),
                ];
                let begins = |text: &[u8], with: &[u8]| {
                    text.len() >= with.len() && text[..with.len()].eq_ignore_ascii_case(with)
                };
                match openings.iter().find(|(opening, _)| begins(markup, opening)) {
                    Some((opening, form)) => (*form, opening.len()),
                    None if openings.iter().any(|(opening, _)| begins(opening, markup)) => return Err(Look::More),
                    None => return Err(Look::Stray),
                }
            }
            Some(byte) if is_name_start(*byte) => (Form::Start(None), 1),
            Some(_) => return Err(Look::Stray),
        };
        self.looked = start + opening;
        self.open = Some((start, form));
        Ok(form)
    }

    fn find_end(&mut self, bytes: &[u8], start: usize, form: Form) -> Look {
        match form {
            Form::Unknown => Look::More,
            Form::Start(quote) => self.find_tag_end(bytes, start, quote),
            Form::End => self.find_end_tag_end(bytes, start),
            Form::Until(ending) => match memmem::find(&bytes[self.looked..], ending) {
                Some(at) => Look::Found(Kind::Other, self.looked + at + ending.len()),
                None => {
                    // The ending may have begun.
                    self.looked = self.looked.max((bytes.len() + 1).saturating_sub(ending.len()));
                    Look::More
                }
            },
            Form::Doctype => match doctype_end(&bytes[start..bytes.len().min(start + DOCTYPE_BYTES_MAX)]) {
                Some(length) => Look::Found(Kind::Other, start + length),
                None if bytes.len() - start >= DOCTYPE_BYTES_MAX => Look::Found(Kind::Broken, start + DOCTYPE_OPENING),
                None => Look::More,
            },
        }
    }

    fn find_end_tag_end(&mut self, bytes: &[u8], start: usize) -> Look {
        let most = bytes.len().min(start + TAG_BYTES_MAX);
        match memchr2(b'>', b'<', &bytes[self.looked..most]) {
            Some(at) if bytes[self.looked + at] == b'>' => Look::Found(Kind::End, self.looked + at + 1),
            Some(at) => Look::Found(Kind::Broken, self.looked + at),
            None if most == start + TAG_BYTES_MAX => Look::Found(Kind::Broken, start + 1),
            None => {
                self.looked = most;
                Look::More
            }
        }
    }

    fn find_tag_end(&mut self, bytes: &[u8], start: usize, mut quote: Option<u8>) -> Look {
        let most = bytes.len().min(start + TAG_BYTES_MAX);
        for (at, &byte) in bytes.iter().enumerate().take(most).skip(self.looked) {
            match byte {
                b'<' => return Look::Found(Kind::Broken, at),
                b'>' if quote.is_none() => {
                    let kind = if bytes[at - 1] == b'/' { Kind::Empty } else { Kind::Start };
                    return Look::Found(kind, at + 1);
                }
                b'"' | b'\'' => {
                    quote = match quote {
                        None => Some(byte),
                        Some(open) if open == byte => None,
                        other => other,
                    };
                }
                _ => {}
            }
        }
        if most == start + TAG_BYTES_MAX {
            return Look::Found(Kind::Broken, start + 1);
        }
        self.looked = bytes.len();
        self.open = Some((start, Form::Start(quote)));
        Look::More
    }

    /// Where the text after the last markup ends, as far as it has come.
    pub(super) fn text_end(&self) -> usize {
        self.open.map_or(self.looked, |(start, _)| start)
    }

    /// Up to where nothing is needed any more to go on with the search.
    pub(super) fn settled(&self, text: &str) -> usize {
        match self.open {
            // A search that may be in the midst of an ending may be in the midst of a character.
            Some((_, Form::Until(_))) | None => text.floor_char_boundary(self.looked),
            Some((start, _)) => start,
        }
    }

    /// The first `bytes` of the text, all settled, are gone.
    pub(super) fn shift(&mut self, bytes: usize) {
        self.looked -= bytes;
        if let Some((start, _)) = &mut self.open {
            *start = start.saturating_sub(bytes);
        }
    }

    /// What the text breaks off in.
    pub(super) fn within(&self) -> &'static str {
        match self.open {
            None => "text",
            Some((_, Form::Until(b"-->"))) => "a comment",
            Some((_, Form::Until(b"]]>"))) => "a CDATA section",
            Some((_, Form::Until(_))) => "a processing instruction",
            Some((_, Form::Doctype)) => "a DOCTYPE",
            Some(_) => "a tag",
        }
    }
}

pub(super) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || byte >= 0x80
}

const DOCTYPE_OPENING: usize = "<!DOCTYPE".len();

/// Past the end of a DOCTYPE: its subset is in brackets, and in it are quotes and comments.
fn doctype_end(doctype: &[u8]) -> Option<usize> {
    let (mut at, mut subset) = (DOCTYPE_OPENING, false);
    loop {
        match *doctype.get(at)? {
            quote @ (b'"' | b'\'') => at += 1 + memchr(quote, &doctype[at + 1..])?,
            b'<' if doctype[at..].starts_with(b"<!--") => at += 4 + memmem::find(&doctype[at + 4..], b"-->")? + 2,
            b'[' => subset = true,
            b']' => subset = false,
            b'>' if !subset => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(Kind, &str)> {
        let mut scanner = Scanner::default();
        std::iter::from_fn(|| scanner.next(text)).map(|m| (m.kind, m.text(text))).collect()
    }

    #[test]
    fn every_kind_of_markup_is_found_with_its_end() {
        use Kind::*;
        let text = "a<b c='>' d=\"'/>\"/>x<!-- <e> --><![CDATA[</f>]]]]><g\n>1 < 2 <3</g ><?h <?><!DOCTYPE i [<!ENTITY j '>]'><!-- ' ] > -->]>";
        let found = all(text);
        let expected = [
            (Empty, "<b c='>' d=\"'/>\"/>"),
            (Other, "<!-- <e> -->"),
            (Other, "<![CDATA[</f>]]]]>"),
            (Start, "<g\n>"),
            (End, "</g >"),
            (Other, "<?h <?>"),
            (Other, "<!DOCTYPE i [<!ENTITY j '>]'><!-- ' ] > -->]>"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_broken_tag_ends_where_the_next_begins() {
        use Kind::*;
        assert_eq!(all("<a b='x<c>y</c<d/>"), [(Broken, "<a b='x"), (Start, "<c>"), (Broken, "</c"), (Empty, "<d/>")]);
        let endless = format!("<a {}<b/>", "x".repeat(TAG_BYTES_MAX));
        assert_eq!(all(&endless), [(Broken, "<"), (Empty, "<b/>")]);
        let endless = format!("<!DOCTYPE a [{}<b/>", "x".repeat(DOCTYPE_BYTES_MAX));
        assert_eq!(all(&endless), [(Broken, "<!DOCTYPE"), (Empty, "<b/>")]);
    }

    #[test]
    fn text_that_comes_byte_by_byte_has_the_same_markup() {
        let text = "a<b c='>'/><!-- - -> --><![CDATA[ ]> ]] >]]>< x<!x></b><?p ?><!DOCTYPE a [<!ELEMENT b 'x'>]><é/>";
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        for (at, c) in text.char_indices() {
            let so_far = &text[..at + c.len_utf8()];
            found.extend(std::iter::from_fn(|| scanner.next(so_far)).map(|m| (m.kind, m.text(text))));
        }
        assert_eq!(found, all(text));
        assert_eq!(found.len(), 7);
    }

    #[test]
    fn names_have_a_local_part() {
        let text = "<oai:record a='b'></oai:record >";
        let mut scanner = Scanner::default();
        let names: Vec<_> = std::iter::from_fn(|| scanner.next(text)).map(|m| m.name(text)).collect();
        assert_eq!(names, ["oai:record", "oai:record"]);
        assert_eq!((local("oai:record"), local("record")), ("record", "record"));
    }
}
