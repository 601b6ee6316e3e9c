//! Reading a record's metadata: plain Dublin Core, and DOAB's dialect of it. Owns which element says what of a work.
//!
//! # Source
//! <https://www.openarchives.org/OAI/2.0/oai_dc.xsd>, <https://www.dublincore.org/specifications/dublin-core/dces/>

use super::contributor::{self, AUTHOR, CONTRIBUTOR};
use super::element::{Element, Unreadable, Vocabulary, children};
use super::identifier::{is_url, typed, untyped};
use super::licence;
use super::text::clean;
use super::work::{Contributor, Identifier, Licence, Link, Work, push_new};

/// Reads the metadata of a record: one XML element with namespaces of its own.
///
/// # Errors
/// It is not well-formed, has no title, or is beyond a limit; see [`Unreadable`].
pub fn read(metadata: &str) -> Result<Work, Unreadable> {
    let mut reading = Reading::default();
    children(metadata, |element| reading.take(element))?;
    reading.finish()
}

/// What is read so far.
#[derive(Default)]
struct Reading {
    titles: Vec<String>,
    contributors: Vec<Contributor>,
    publisher: Option<String>,
    issued: Option<u16>,
    /// Years of dates that are not said to be of what.
    dated: Vec<u16>,
    languages: Vec<String>,
    types: Vec<String>,
    subjects: Vec<String>,
    identifiers: Vec<Identifier>,
    urls: Vec<String>,
    licences: Vec<Licence>,
    description: Option<String>,
    /// In DOAB's dialect dates without a type are those of its own record-keeping.
    dialect: bool,
}

impl Reading {
    fn take(&mut self, element: &Element) {
        use Vocabulary::{DataCite, DublinCore, Oapen, OpenAire, Publisher};

        let Element { vocabulary, name, kind, uri, .. } = element;
        let kind = kind.as_deref().and_then(clean);
        self.dialect |= matches!(vocabulary, DataCite | OpenAire | Oapen);
        let text = clean(&element.text);
        if let (OpenAire, "licenseCondition") | (DublinCore, "rights" | "license") = (*vocabulary, name.as_str()) {
            self.licence(*vocabulary, uri.as_deref().and_then(clean), text);
            return;
        }
        let Some(text) = text else { return };
        match (*vocabulary, name.as_str()) {
            (DublinCore | DataCite, "title") | (DublinCore, "alternative") => push_new(&mut self.titles, text),
            (DublinCore | DataCite, "creator") => {
                contributor::add(&mut self.contributors, contributor::read(&text, AUTHOR));
            }
            (DublinCore | DataCite, "contributor") => {
                let role = kind.map_or_else(|| CONTRIBUTOR.to_owned(), |kind| contributor::role(&kind));
                contributor::add(&mut self.contributors, contributor::read(&text, &role));
            }
            (DublinCore | DataCite, "subject") => push_new(&mut self.subjects, text),
            (DublinCore | DataCite, "description") | (DublinCore, "abstract") => {
                self.description.get_or_insert(text);
            }
            (DublinCore | DataCite, "publisher") | (Publisher, "name") => {
                self.publisher.get_or_insert(text);
            }
            (DublinCore, "issued") => self.issued = self.issued.or_else(|| year(&text)),
            (DublinCore | DataCite, "date")
                if kind.as_ref().is_some_and(|kind| kind.eq_ignore_ascii_case("issued")) =>
            {
                self.issued = self.issued.or_else(|| year(&text));
            }
            (DublinCore, "date") => self.dated.extend(year(&text)),
            (DublinCore, "type") | (OpenAire | DataCite, "resourceType") => {
                push_new(&mut self.types, resource_type(&text))
            }
            (DublinCore | DataCite, "language") => push_new(&mut self.languages, language(&text)),
            (DublinCore | DataCite, "identifier" | "alternateIdentifier") => self.identifier(kind.as_deref(), &text),
            (Oapen, "identifierdoi") => self.identifier(Some("doi"), &text),
            (Oapen, "relationisbn") => self.identifier(Some("isbn"), &text),
            _ => {}
        }
    }

    fn identifier(&mut self, kind: Option<&str>, text: &str) {
        for identifier in kind.map_or_else(|| untyped(text), |kind| typed(kind, text)) {
            push_new(&mut self.identifiers, identifier);
        }
        if is_url(text) {
            push_new(&mut self.urls, text.to_owned());
        }
    }

    fn licence(&mut self, vocabulary: Vocabulary, uri: Option<String>, words: Option<String>) {
        let found = match vocabulary {
            Vocabulary::OpenAire => licence::condition(uri.as_deref(), words.as_deref()),
            // What else stands here is who holds the rights, or that it may be read.
            _ => words.as_deref().and_then(licence::creative_commons),
        };
        if let Some(licence) = found {
            push_new(&mut self.licences, licence);
        }
    }

    fn finish(self) -> Result<Work, Unreadable> {
        let mut titles = self.titles.into_iter();
        let title = titles.next().ok_or(Unreadable::NoTitle)?;
        let licence = match self.licences.as_slice() {
            [one] => one.label().map(str::to_owned),
            _ => None,
        };
        let link = |url: String| Link { format: format(&url).map(str::to_owned), licence: licence.clone(), url };
        let year = self.issued.or_else(|| self.dated.into_iter().min().filter(|_| !self.dialect));
        Ok(Work {
            title,
            other_titles: titles.collect(),
            contributors: self.contributors,
            publisher: self.publisher,
            year,
            languages: self.languages,
            types: self.types,
            subjects: self.subjects,
            identifiers: self.identifiers,
            links: self.urls.into_iter().map(link).collect(),
            licences: self.licences,
            description: self.description,
        })
    }
}

/// The first number of four digits that can be a year.
fn year(text: &str) -> Option<u16> {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.filter(|digits| digits.len() == 4).filter_map(|digits| digits.parse().ok()).find(|year| *year >= 1000)
}

/// A type by its usual word, whichever vocabulary it is from.
///
/// # Source
/// <https://vocabularies.coar-repositories.org/resource_types/>
fn resource_type(text: &str) -> String {
    let word = text.rsplit('/').next().unwrap_or(text).to_lowercase();
    match word.as_str() {
        "c_2f33" => "book".to_owned(),
        "c_3248" | "bookpart" | "book part" | "book chapter" => "chapter".to_owned(),
        _ => word,
    }
}

/// A language by its code: `English[eng]` is `eng`.
fn language(text: &str) -> String {
    let code = text.strip_suffix(']').and_then(|text| text.rsplit_once('[')).map_or(text, |(_, code)| code);
    let is_code = (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphabetic());
    if is_code { code.to_ascii_lowercase() } else { text.to_owned() }
}

/// The media type of what is at an address, where its ending tells.
fn format(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('/')?.1.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "pdf" => Some("application/pdf"),
        "epub" => Some("application/epub+zip"),
        "xml" => Some("application/xml"),
        "zip" => Some("application/zip"),
        "html" | "htm" => Some("text/html"),
        "txt" => Some("text/plain"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;
    use crate::catalog::element::{DEPTH_MAX, ELEMENTS_MAX, METADATA_BYTES_MAX};

    fn dc(children: &str) -> String {
        format!(
            "<oai_dc:dc xmlns:oai_dc='http://www.openarchives.org/OAI/2.0/oai_dc/' \
             xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:datacite='urn:odd' xmlns:oaire='urn:odd' \
             xmlns:oapen='http://purl.org/dc/elements/1.1/'>{children}</oai_dc:dc>"
        )
    }

    fn work(children: &str) -> Work {
        read(&dc(&format!("<dc:title>T</dc:title>{children}"))).unwrap()
    }

    #[test]
    fn plain_dublin_core_is_read() {
        let work =
            read(&dc("<dc:title>On &amp; on &#x2014; <![CDATA[<ever>]]></dc:title><dc:title>Immerfort</dc:title>\
             <dc:creator>Doe, Jane</dc:creator><dc:contributor>Roe, R. (transl.)</dc:contributor>\
             <dc:subject>Time</dc:subject><dc:subject> Time </dc:subject><dc:subject/>\
             <dc:publisher>Press</dc:publisher><dc:date>2019-05-01</dc:date><dc:date>2017</dc:date>\
             <dc:type>info:eu-repo/semantics/bookPart</dc:type><dc:language>English[eng]</dc:language>\
             <dc:identifier>https://x.example/a.PDF?b=c</dc:identifier>\
             <dc:rights>http://creativecommons.org/licenses/by/4.0</dc:rights><dc:rights>open access</dc:rights>\
             <dc:description>It <i>goes</i>\n on.</dc:description>"))
            .unwrap();
        let someone = |name: &str, role: &str| Contributor { name: name.to_owned(), role: role.to_owned() };
        let expected = Work {
            title: "On & on — <ever>".to_owned(),
            other_titles: vec!["Immerfort".to_owned()],
            contributors: vec![someone("Doe, Jane", "author"), someone("Roe, R.", "translator")],
            publisher: Some("Press".to_owned()),
            year: Some(2017),
            languages: vec!["eng".to_owned()],
            types: vec!["chapter".to_owned()],
            subjects: vec!["Time".to_owned()],
            identifiers: vec![Identifier { kind: "url".to_owned(), value: "https://x.example/a.PDF?b=c".to_owned() }],
            links: vec![Link {
                url: "https://x.example/a.PDF?b=c".to_owned(),
                format: Some("application/pdf".to_owned()),
                licence: Some("CC BY 4.0".to_owned()),
            }],
            licences: vec![Licence {
                name: Some("CC BY 4.0".to_owned()),
                url: Some("https://creativecommons.org/licenses/by/4.0/".to_owned()),
            }],
            description: Some("It goes on.".to_owned()),
        };
        assert_eq!(work, expected);
    }

    #[test]
    fn prefixes_of_the_dialect_count_whatever_they_are_bound_to() {
        let work = work(
            "<datacite:creator>Paul (Hrsg.)</datacite:creator><datacite:contributor type='Editor'>Ann</datacite:contributor>\
             <oaire:resourceType>book</oaire:resourceType><oapen:title>not one</oapen:title>\
             <oapen:relationisbn>3-428-53254-6</oapen:relationisbn><oapen:identifierdoi>10.1/X</oapen:identifierdoi>\
             <datacite:alternateIdentifier type='ISBN'>9783428532544</datacite:alternateIdentifier>",
        );
        assert_eq!(work.other_titles, Vec::<String>::new());
        assert_eq!(work.types, ["book"]);
        let people: Vec<_> = work.contributors.iter().map(|c| (c.name.as_str(), c.role.as_str())).collect();
        assert_eq!(people, [("Paul", "editor"), ("Ann", "editor")]);
        let ids: Vec<_> = work.identifiers.iter().map(|id| (id.kind.as_str(), id.value.as_str())).collect();
        assert_eq!(ids, [("isbn", "9783428532544"), ("doi", "10.1/x")]);
    }

    #[test]
    fn other_prefixes_count_by_what_they_are_bound_to_and_missing_namespaces_by_their_usual_prefix() {
        for metadata in [
            "<a xmlns:t='http://purl.org/dc/terms/'><t:title>T</t:title></a>",
            "<a><d:title xmlns:d='http://purl.org/dc/elements/1.1/'>T</d:title></a>",
            "<a xmlns='http://purl.org/dc/elements/1.1/'><title>T</title></a>",
            "<a><dc:title>T</dc:title></a>",
            "<dc><title>T</title></dc>",
        ] {
            assert_eq!(read(metadata).unwrap().title, "T", "{metadata}");
        }
        assert_eq!(read("<a xmlns:m='urn:other'><m:title>T</m:title></a>"), Err(Unreadable::NoTitle));
    }

    #[test]
    fn a_date_of_the_dialect_without_a_type_is_not_the_works() {
        let issued = "<datacite:date type='Issued'>c2009</datacite:date>";
        assert_eq!(work(&format!("<dc:date>2021-02-12T08:41:45Z</dc:date>{issued}")).year, Some(2009));
        assert_eq!(work("<dc:date>2021-02-12</dc:date><oaire:resourceType>book</oaire:resourceType>").year, None);
        assert_eq!(work("<dc:date>20210212</dc:date><dc:date>0021</dc:date>").year, None);
    }

    #[test]
    fn links_have_a_licence_only_where_it_can_be_but_one() {
        let link = "<dc:identifier>https://x.example/a</dc:identifier>";
        let rights = |code: &str| format!("<dc:rights>https://creativecommons.org/licenses/{code}/4.0/</dc:rights>");
        assert_eq!(work(&format!("{link}{}", rights("by"))).links[0].licence.as_deref(), Some("CC BY 4.0"));
        assert_eq!(work(&format!("{link}{}{}", rights("by"), rights("by-nc"))).links[0].licence, None);
    }

    #[test]
    fn what_is_not_well_formed_is_told_with_its_place() {
        for (metadata, words) in [
            ("", "0 elements"),
            ("text", "text outside"),
            ("<a><dc:title>T</dc:title>", "ends within"),
            ("<a><dc:title>T</a>", "title"),
            ("<a/><b/>", "2 elements"),
            ("<a>&nbsp;</a>", "&nbsp;"),
            ("<a>R&D</a>", "reference"),
            ("<a>&#x1;</a>", "&#x1;"),
            ("<a>&#xd800;</a>", "&#xd800;"),
            ("<a>\u{1}</a>", "U+0001"),
            ("<a>\u{ffff}</a>", "U+FFFF"),
            ("<a x='1' x='2'/>", "attribute"),
            ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "document type"),
        ] {
            match read(metadata) {
                Err(Unreadable::NotWellFormed { what, .. }) => assert!(what.contains(words), "{metadata}: {what}"),
                other => panic!("{metadata}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_told_and_what_reaches_it_is_read() {
        let many = |count: usize| dc(&format!("<dc:title>T</dc:title>{}", "<dc:date/>".repeat(count - 2)));
        assert!(read(&many(ELEMENTS_MAX)).is_ok());
        assert_eq!(read(&many(ELEMENTS_MAX + 1)), Err(Unreadable::TooMany));
        let deep = |depth: usize| {
            dc(&format!("<dc:title>T</dc:title>{}{}", "<b>".repeat(depth - 1), "</b>".repeat(depth - 1)))
        };
        assert!(read(&deep(DEPTH_MAX)).is_ok());
        assert_eq!(read(&deep(DEPTH_MAX + 1)), Err(Unreadable::TooDeep));
        let long = dc(&format!("<dc:title>{}</dc:title>", "x".repeat(METADATA_BYTES_MAX)));
        assert_eq!(read(&long), Err(Unreadable::TooLarge { bytes: long.len() }));
    }

    #[test]
    fn nothing_that_is_read_is_a_panic() {
        let sample = dc("<dc:title>Ü &amp; &#xe9;</dc:title><datacite:creator>Ä, Ö (Hrsg.)</datacite:creator>\
             <dc:identifier>9783428532544 (é)</dc:identifier><dc:identifier>hdl:2/é</dc:identifier><dc:identifier>10.1/é\
             </dc:identifier><dc:identifier>https://doi.org/10.1/a</dc:identifier><dc:identifier>1860-093X</dc:identifier>\
             <dc:rights>https://creativecommons.org/licenses/by-4.0/é</dc:rights><dc:date>c2009é</dc:date>\
             <dc:language>Englisch[eng]</dc:language>");
        let sample: Vec<char> = sample.chars().collect();
        let mut random = fastrand::Rng::with_seed(3);
        let mut readable = 0;
        for _ in 0..2_000 {
            let mut hostile = sample.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..hostile.len());
                match random.u8(..3) {
                    0 => hostile[at] = random.char(..),
                    1 => drop(hostile.remove(at)),
                    _ => hostile.insert(at, sample[random.usize(..sample.len())]),
                }
            }
            readable += usize::from(read(&hostile.into_iter().collect::<String>()).is_ok());
        }
        assert!(readable > 100, "{readable}: what is tried must reach the readers of values");
    }

    #[test]
    fn an_empty_title_is_none() {
        assert_eq!(read(&dc("<dc:title> &#0010; &#x9;</dc:title>")), Err(Unreadable::NoTitle));
    }
}
