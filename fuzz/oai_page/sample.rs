//! What is mutated: real pages where the machine has them, pages of invented books, and pages that are odd already.

use std::sync::LazyLock;

use fastrand::Rng;
use highwater_oai::protocol::Selection;
use highwater_oai::provider::{Generated, Repository as _, record_document};

/// A page takes so many records of its sample at most.
const RECORDS_MAX: usize = 5;
const BOOKS: u64 = 60;

/// A page in three: what comes before its records, the records, and what comes after them.
pub(crate) struct Sample {
    head: Vec<u8>,
    records: Vec<Vec<u8>>,
    tail: Vec<u8>,
}

pub(crate) fn samples(real: Option<Vec<u8>>) -> Vec<Sample> {
    let mut samples = vec![books()];
    samples.extend(ODD.iter().map(|text| cut(text.as_bytes())));
    samples.extend(real.map(|bytes| cut(&bytes)));
    samples
}

/// Some records of a sample, in another charset once in a while.
pub(crate) fn page(random: &mut Rng, samples: &[Sample]) -> Vec<u8> {
    // The first and the last are the large ones, and of more worth.
    let of = match random.u8(..4) {
        0 => 0,
        1 => samples.len() - 1,
        _ => random.usize(..samples.len()),
    };
    let Sample { head, records, tail } = &samples[of];
    let mut page = head.clone();
    if !records.is_empty() {
        let first = random.usize(..records.len());
        let until = records.len().min(first + random.usize(..=RECORDS_MAX));
        page.extend(records[first..until].concat());
    }
    page.extend(tail);
    let Ok(text) = std::str::from_utf8(&page) else { return page };
    match random.u8(..40) {
        0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        2 => [&[0xEF, 0xBB, 0xBF], text.as_bytes()].concat(),
        3 => text.replacen("UTF-8", "windows-1252", 1).into_bytes(),
        _ => page,
    }
}

/// Cuts a page at its records.
fn cut(page: &[u8]) -> Sample {
    const END: &[u8] = b"</record>";
    let find = |wanted: &[u8], from: usize| page[from..].windows(wanted.len()).position(|at| at == wanted);
    let Some(begin) = find(b"<record", 0) else {
        return Sample { head: page.to_vec(), records: Vec::new(), tail: Vec::new() };
    };
    let (mut at, mut records) = (begin, Vec::new());
    while let Some(end) = find(END, at) {
        records.push(page[at..at + end + END.len()].to_vec());
        at += end + END.len();
    }
    Sample { head: page[..begin].to_vec(), records, tail: page[at..].to_vec() }
}

fn books() -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let repository = Generated { live: BOOKS - BOOKS / 9, deleted: BOOKS / 9, ..Generated::default() }.repository();
    let limit = usize::try_from(BOOKS).unwrap();
    let page = runtime.block_on(repository.page(&Selection::default(), None, limit, true)).unwrap();
    let record = |record| record_document(record).split_once("?>").unwrap().1.as_bytes().to_vec();
    let (head, tail) = AROUND.split_once('@').unwrap();
    Sample {
        head: head.as_bytes().to_vec(),
        records: page.iter().map(|(_, of)| record(of)).collect(),
        tail: tail.as_bytes().to_vec(),
    }
}

const AROUND: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\" \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><responseDate>2022-09-21T21:51:35Z</responseDate>\
    <request verb=\"ListRecords\">http://a/</request><ListRecords>@\
    <resumptionToken cursor='0' completeListSize=\"66\">a&amp;b/ %7C</resumptionToken></ListRecords></OAI-PMH>\n";

/// Pages that no one should send.
static ODD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let header =
        "<header><identifier>oai:a:1</identifier><datestamp>2021-02-12</datestamp><setSpec>a</setSpec></header>";
    let record = |metadata: &str| format!("<record>{header}<metadata>{metadata}</metadata></record>");
    let around = |inside: &str| AROUND.replace('@', inside);
    vec![
        around(&record("<![CDATA[]]]]><!-- <a> --><?p <b ?><c d='>' e=\"/>\">é漢😀&nbsp;&#0;&amp;\u{1}\t]]></c>")),
        around(&record(
            "<a:b xmlns:a='urn:a' xsi:type='a:c'><d><![CDATA[<&>]]></d><e/><?p i?><!-- c -->&#x1F600;</a:b>",
        )),
        around(
            &(record("<dc/>").replace("<header>", "<header status='deleted'>") + &record("&lt;dc/&gt;") + &record("")),
        ),
        around(
            "<x:record xmlns:x='urn:wrong'><x:header><x:identifier>\n a&#32;<![CDATA[<1>]]>&#13; </x:identifier>\
            <x:datestamp>2021-02-12T08:44:14.5+01:00</x:datestamp><x:setSpec>&#9;b </x:setSpec></x:header></x:record>",
        ),
        format!(
            "\n\u{FEFF}<!DOCTYPE a [<!ENTITY b '>]'><!ENTITY c '&b;&b;&b;'>]><!-- - -->{}",
            around(&record("<a>&c;</a>"))
        ),
        around(&record(&format!("{}{}", "<a>".repeat(190), "</a>".repeat(190)))),
        around("<record><header><identifier>a</record>").replace("xmlns=", "xmlns:oai='urn:b' xmlns="),
        "<OAI-PMH><responseDate>2022</responseDate><error code='badResumptionToken'>it &lt;expired</error></OAI-PMH>"
            .to_owned(),
        "<OAI-PMH><ListRecords/></OAI-PMH>".to_owned(),
        "<html><body><p>down for <b>maintenance</body></html>".to_owned(),
    ]
});
