//! Real records of a real repository.

use std::path::PathBuf;

use highwater_oai::client::parse::Parser;
use highwater_oai::client::{Entry, Limits};
use highwater_oai::protocol::Verb;
use highwater_testkit::not_here::NotHere;

/// The hundred records, where this machine has them.
fn doab(test: &str) -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = data.join("doab-listrecords-100.xml");
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            NotHere(format!("{}: {error}", path.display())).say(test);
            None
        }
    }
}

#[test]
fn a_hundred_records_are_read_as_they_are() {
    let Some(bytes) = doab("a_hundred_records_are_read_as_they_are") else { return };
    let mut parser = Parser::new(Verb::ListRecords, Limits::default());
    let mut records = Vec::new();
    for chunk in bytes.chunks(16 * 1024) {
        parser.feed(chunk).unwrap();
        while let Some(entry) = parser.next().unwrap() {
            let Entry::Record(record) = entry else { panic!("{entry:?}") };
            records.push(record);
        }
    }
    parser.finish();
    assert_eq!(parser.next().unwrap(), None);
    let end = parser.end().unwrap();
    let token = end.token.unwrap();
    assert_eq!(
        (token.value.as_str(), token.complete_list_size, token.cursor),
        ("oai_dc////100", Some(66_038), Some(0))
    );
    assert_eq!(end.response_date.unwrap().to_string(), "2022-09-21T21:51:35Z");
    assert_eq!((end.records, end.replaced), (100, 0));
    let (deleted, live): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.header.deleted);
    assert_eq!((live.len(), deleted.len()), (95, 5));
    assert!(deleted.iter().all(|record| record.metadata.is_none()));
    let first = &records[0];
    assert_eq!(first.header.identifier, "oai:directory.doabooks.org:20.500.12854/62752");
    let text = String::from_utf8(bytes).unwrap();
    for record in live {
        let metadata = record.metadata.as_ref().unwrap();
        assert!(text.contains(metadata.as_str()), "every namespace is declared on it already: nothing is added");
    }
}
