//! How a page is changed: by bytes, by ranges of its own and of others, and by pieces of markup where they hurt.

use fastrand::Rng;

use crate::sample::{self, Sample};

/// A range that is cut, doubled or moved has so many bytes at most.
const RANGE_BYTES_MAX: usize = 2_000;
const NOISE_BYTES_MAX: usize = 16;

/// Changes the page in one way; it grows no further than `bytes_max`.
pub(crate) fn mutate(random: &mut Rng, page: &mut Vec<u8>, samples: &[Sample], bytes_max: usize) {
    match random.u8(..24) {
        0..6 => {
            let word = *random.choice(WORDS).expect("invariant: there are words");
            insert(random, page, word);
        }
        6..9 => {
            let at = tag(random, page);
            let word = *random.choice(WORDS).expect("invariant: there are words");
            page.splice(at..at, word.iter().copied());
        }
        9..12 => {
            if let Some(byte) = page.len().checked_sub(1).map(|last| random.usize(..=last)) {
                page[byte] = if random.bool() { random.u8(..) } else { page[byte] ^ (1 << random.u8(..8)) };
            }
        }
        12..15 => {
            let range = range(random, page);
            page.drain(range);
        }
        15..17 => {
            let part = page[range(random, page)].to_vec();
            insert(random, page, &part);
        }
        17 => {
            let other = sample::page(random, samples);
            let part = other[range(random, &other)].to_vec();
            insert(random, page, &part);
        }
        18 => {
            let mut noise = vec![0; random.usize(..NOISE_BYTES_MAX)];
            random.fill(&mut noise);
            insert(random, page, &noise);
        }
        19 => page.truncate(random.usize(..=page.len())),
        20 => {
            let (from, to) = (range(random, page), range(random, page));
            let part = page[from].to_vec();
            page.splice(to, part);
        }
        21 => {
            let end = page.len();
            let at = tag(random, page);
            page[at..end].rotate_left(random.usize(..=(end - at).min(RANGE_BYTES_MAX)));
        }
        22 => page.retain(|byte| *byte != b'\n'),
        _ => grow(random, page, bytes_max),
    }
}

/// Where something ends or begins, and one is most easily wrong: at a `<`, or just after it.
fn tag(random: &mut Rng, page: &[u8]) -> usize {
    let from = random.usize(..=page.len());
    let next = page[from..].iter().position(|byte| *byte == b'<').map_or(page.len(), |at| from + at);
    (next + random.usize(..2)).min(page.len())
}

fn range(random: &mut Rng, page: &[u8]) -> std::ops::Range<usize> {
    let begin = random.usize(..=page.len());
    let most = if random.bool() { NOISE_BYTES_MAX } else { RANGE_BYTES_MAX };
    begin..(begin + random.usize(..=most)).min(page.len())
}

fn insert(random: &mut Rng, page: &mut Vec<u8>, part: &[u8]) {
    let at = random.usize(..=page.len());
    page.splice(at..at, part.iter().copied());
}

/// A range many times over: a record, a text, a tag without end. Rarely to the limit, which takes its time.
fn grow(random: &mut Rng, page: &mut Vec<u8>, bytes_max: usize) {
    let part = page[range(random, page)].to_vec();
    let room = bytes_max.saturating_sub(page.len());
    let room = if random.u8(..40) == 0 { room } else { room.min(bytes_max / 64) };
    let Some(most) = room.checked_div(part.len()) else { return };
    let times = random.usize(..=most);
    insert(random, page, &part.repeat(times));
}

#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"<OAI-PMH>", b"</OAI-PMH>", b"<ListRecords>", b"</ListRecords>", b"<ListRecords/>", b"<ListIdentifiers>",
    b"<record>", b"</record>", b"<record/>", b"<header>", b"</header>", b"<header status='deleted'>",
    b"<header status=\"deleted\"/>", b"<identifier>", b"</identifier>", b"<identifier>b</identifier>",
    b"<datestamp>2021-02-12</datestamp>", b"<setSpec>c</setSpec>", b"<setSpec/>", b"<metadata>", b"</metadata>",
    b"<metadata/>", b"<about>", b"<a:b xmlns:a='c'>", b"</a:b>", b"<dc:title>", b"</dc:title>", b"<oai_dc:dc>",
    b"</oai_dc:dc>", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<!-->", b"<!--->", b"--", b"<?", b"?>", b"<?>",
    b"<?xml version='1.0'?>", b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", b"<!DOCTYPE", b"<!DOCTYPE a [",
    b"]>", b"[", b"]", b">", b"<", b"</", b"</>", b"<>", b"/>", b"/", b"&", b"&amp;", b"&#0;", b"&#x41;", b"&#13;",
    b"&#xD;", b"&#32;", b"&#10;", b"&#9;", b"&#xFFFE;", b"&#x110000;", b"&#", b"&#x", b"&;", b"&lt;", b"&lol;",
    b"&nbsp;", b";", b"'", b"\"", b"=", b":", b"\xFF", b"\xC3", b"\xA9", b"\xF0\x9F", b"\0", b"\x0B", b"\x1B",
    b"\x7F", b"\r", b"\r\n", b"\n", b"\t", b"\xC2\x85", b"\xC2\xA0", b"\xE2\x80\xA8", b"\xED\xA0\x80",
    b"\xEF\xBF\xBE", b"\xEF\xBF\xBF", b"\xEF\xBB\xBF", b" ", b"x", b" xmlns=''", b" xmlns=\"\"", b" xmlns='urn:d'",
    b" xmlns:xml='urn:e'", b" xmlns:xmlns='urn:f'", b" xmlns:dc=''", b" xmlns:=''", b" xmlns:p='&lt;\"'",
    b" p:a='b' p:a='c'", b" a=b", b" a", b"<error code='badArgument'>", b"</error>",
    b"<error code='noRecordsMatch'/>", b"<responseDate>", b"</responseDate>", b"<resumptionToken>",
    b"</resumptionToken>", b"<resumptionToken/>", b"<resumptionToken completeListSize='1'>",
    b"<resumptionToken cursor='-1' completeListSize='99999999999999999999'>t</resumptionToken>",
];
