//! The hundred real records, served: cut out of the file by hand, given back unharmed.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_oai::protocol::{Datestamp, Header, Record, SetInfo};
use highwater_oai::provider::{Identity, Memory, ProviderSettings};
use highwater_testkit::not_here::NotHere;

use crate::world::World;

const FILE: &str = "doab-listrecords-100.xml";

fn real_records() -> Result<String, NotHere> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(beside, PathBuf::from).join(FILE);
    std::fs::read_to_string(&path).map_err(|error| NotHere(format!("{FILE} is not beside the repository: {error}")))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

fn read(record: &str) -> Record {
    let (head, _) = record.split_once("</header>").unwrap();
    let sets = head.split("<setSpec>").skip(1).map(|set| set.split('<').next().unwrap().to_owned());
    let header = Header {
        identifier: between(head, "<identifier>", "<").unwrap().to_owned(),
        datestamp: Datestamp::parse(between(head, "<datestamp>", "<").unwrap()).unwrap(),
        sets: sets.collect(),
        deleted: head.contains("status=\"deleted\""),
    };
    Record { header, metadata: between(record, "<metadata>", "</metadata>").map(ToOwned::to_owned) }
}

#[tokio::test]
async fn the_hundred_real_records_are_served_as_they_are() {
    let file = match real_records() {
        Ok(file) => file,
        Err(not_here) => return not_here.say("the_hundred_real_records_are_served_as_they_are"),
    };
    let records: Vec<Record> = file.split("<record>").skip(1).map(read).collect();
    let memory = Memory::new(Identity {
        name: "Real books".to_owned(),
        admin_emails: vec!["books@example.org".to_owned()],
        earliest: Datestamp::parse("2021-01-01T00:00:00Z").unwrap(),
    });
    let memory = memory.with_sets([SetInfo { spec: "col_20.500.12854_6".to_owned(), name: "DOAB".to_owned() }]);
    for record in &records {
        memory.put(record.clone());
    }
    let world = World::start(Arc::new(memory), ProviderSettings { page_size: 7, ..ProviderSettings::default() }).await;
    let of_set = world.follow("verb=ListIdentifiers&metadataPrefix=oai_dc&set=col_20.500.12854_6").await;
    assert_eq!(of_set.iter().map(|page| page.headers.len()).sum::<usize>(), 55);
    let pages = world.follow("verb=ListRecords&metadataPrefix=oai_dc").await;
    let headers: Vec<_> = pages.iter().flat_map(|page| &page.headers).collect();
    assert_eq!((headers.len(), headers.iter().filter(|header| header.deleted).count()), (100, 5));
    assert_eq!(headers.iter().filter(|header| header.has_metadata).count(), 95);
    for Record { header, metadata } in records {
        let said = world.ask(&format!("verb=GetRecord&metadataPrefix=oai_dc&identifier={}", header.identifier)).await;
        assert_eq!(between(&said.xml, "<metadata>\n", "\n</metadata>").map(ToOwned::to_owned), metadata);
        assert_eq!(said.headers[0].datestamp, header.datestamp.to_string());
    }
}
