//! The parser against bytes of all kinds: however they come, what is read is the same, and nothing makes it panic.

use highwater_oai::client::parse::Parser;
use highwater_oai::client::{Entry, Limits, PageEnd};
use highwater_oai::protocol::Verb;
use proptest::prelude::*;

use crate::rig::{error, page, record, token};

/// What was read of bytes that came in pieces, in words.
fn read(verb: Verb, limits: Limits, pieces: &[&[u8]]) -> (Vec<Entry>, Result<Option<PageEnd>, String>) {
    let mut parser = Parser::new(verb, limits);
    let mut entries = Vec::new();
    let mut run = || {
        for piece in pieces {
            parser.feed(piece)?;
            while let Some(entry) = parser.next()? {
                entries.push(entry);
            }
        }
        parser.finish();
        while let Some(entry) = parser.next()? {
            entries.push(entry);
        }
        Ok(())
    };
    let end = run().map_err(|fault: highwater_oai::client::Fault| fault.to_string());
    let end = end.map(|()| parser.end());
    (entries, end)
}

fn samples() -> Vec<Vec<u8>> {
    let nasty = "<![CDATA[]]]]><!-- <a> --><?p <b ?>é漢😀&nbsp;&#0;&amp;<c d='>' e=\"/>\"/>\u{1}\t]]>";
    let with_dtd = format!("\n\u{FEFF}<!DOCTYPE a [<!ENTITY b '>]'>]>{}", page(&record(1)));
    let mut broken = page(&(record(1) + &record(2).replace("Title 2", nasty) + &record(3))).into_bytes();
    broken.extend_from_slice(b"\xFF\xF0\x9F");
    vec![
        page(&(record(1) + &record(2).replace("Title 2", nasty) + &record(3) + &token("cursor='0'", "a&amp;b")))
            .into_bytes(),
        page(&(record(1).replace("</title>", "") + "</x>" + &record(2).replace("<header>", "<header") + &record(3)))
            .into_bytes(),
        page(&(record(1) + &record(2).replace("Title 2", &"long ".repeat(300)) + &record(3))).into_bytes(),
        page(&record(1)).replace("UTF-8", "windows-1252").into_bytes(),
        with_dtd.into_bytes(),
        error("badArgument").into_bytes(),
        b"<html><body>it is down".repeat(40),
        page(&record(1)).encode_utf16().flat_map(u16::to_be_bytes).collect(),
        broken,
    ]
}

const LIMITS: Limits =
    Limits { page_bytes_max: 1 << 20, record_bytes_max: 1000, page_records_max: 100, page_secs_max: 1 };

#[test]
fn bytes_that_come_one_by_one_are_read_the_same() {
    for sample in samples() {
        let whole = read(Verb::ListRecords, LIMITS, &[&sample]);
        let pieces: Vec<&[u8]> = sample.chunks(1).collect();
        assert_eq!(read(Verb::ListRecords, LIMITS, &pieces), whole, "{}", String::from_utf8_lossy(&sample));
    }
}

fn pieces<'b>(bytes: &'b [u8], sizes: &[usize]) -> Vec<&'b [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Pieces of XML in any order: what is nearly right finds more than noise does.
fn nearly_xml() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"<OAI-PMH>",
        b"</OAI-PMH>",
        b"<ListRecords>",
        b"</ListRecords>",
        b"<ListRecords/>",
        b"<record>",
        b"</record>",
        b"<record/>",
        b"<header>",
        b"</header>",
        b"<header status='deleted'>",
        b"<identifier>a</identifier>",
        b"<datestamp>2021-02-12</datestamp>",
        b"<metadata>",
        b"</metadata>",
        b"<a:b xmlns:a='c'>",
        b"</a:b>",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<!-->",
        b"<!--->",
        b"<?",
        b"?>",
        b"<?>",
        b"<?xml version='1.0'?>",
        b"<!DOCTYPE",
        b"[",
        b"]",
        b">",
        b"<",
        b"</",
        b"</>",
        b"<>",
        b"/>",
        b"&",
        b"&amp;",
        b"&#0;",
        b"&#x41;",
        b";",
        b"'",
        b"\"",
        b"=",
        b"\xFF",
        b"\xC3",
        b"\xA9",
        b"\0",
        b"\xEF\xBF\xBF",
        b"\xEF\xBB\xBF",
        b" ",
        b"x",
        b"xmlns=''",
        b"<error code='badArgument'>",
        b"</error>",
        b"<responseDate>",
        b"</responseDate>",
        b"<resumptionToken>",
        b"</resumptionToken>",
        b"<resumptionToken completeListSize='1'>",
    ];
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|words| words.concat())
}

fn in_a_list(inside: &[u8]) -> Vec<u8> {
    let whole = page("@");
    let (before, after) = whole.split_once('@').unwrap();
    [before.as_bytes(), inside, after.as_bytes()].concat()
}

/// An entry's metadata is an element that can be read alone, by a reader that checks.
fn stands_alone(entry: &Entry) {
    let Entry::Record(record) = entry else { return };
    let Some(metadata) = &record.metadata else { return };
    let mut reader = quick_xml::Reader::from_str(metadata);
    reader.config_mut().enable_all_checks(true);
    let mut depth = 0;
    loop {
        use quick_xml::events::Event;
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {metadata}")) {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::GeneralRef(reference) => {
                let predefined = ["amp", "lt", "gt", "quot", "apos"].contains(&reference.as_ref());
                assert!(predefined || reference.resolve_char_ref().unwrap().is_some(), "{metadata}");
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "{metadata}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chopping_gives_the_same_entries(
        sample in prop::sample::select(samples()),
        sizes in prop::collection::vec(1usize..400, 1..8),
    ) {
        let whole = read(Verb::ListRecords, LIMITS, &[&sample]);
        prop_assert_eq!(read(Verb::ListRecords, LIMITS, &pieces(&sample, &sizes)), whole);
    }

    #[test]
    fn nothing_that_is_nearly_xml_makes_it_panic_or_read_otherwise_when_chopped(
        inside in nearly_xml(),
        listed in any::<bool>(),
        sizes in prop::collection::vec(1usize..20, 1..8),
    ) {
        let bytes = if listed { in_a_list(&inside) } else { inside };
        let whole = read(Verb::ListRecords, LIMITS, &[&bytes]);
        whole.0.iter().for_each(stands_alone);
        prop_assert_eq!(read(Verb::ListRecords, LIMITS, &pieces(&bytes, &sizes)), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), verb in prop::sample::select(Verb::ALL.to_vec())) {
        let _ = read(verb, LIMITS, &[&bytes]);
        let _ = read(verb, LIMITS, &[&in_a_list(&bytes)]);
    }

    #[test]
    fn a_page_with_bytes_changed_at_random_never_panics(
        sample in prop::sample::select(samples()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = sample;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(Verb::ListRecords, LIMITS, &[&bytes]).0.iter().for_each(stands_alone);
    }
}
