//! Requests that are refused, each with its code. What is legal in an argument is tested in the module; here is what is said.

use std::sync::Arc;

use highwater_oai::protocol::{Datestamp, Header, Record};
use highwater_oai::provider::{Generated, Identity, Memory, ProviderSettings};

use crate::world::{World, ten_books};

#[tokio::test]
async fn every_error_of_the_protocol_is_said_by_its_code() {
    let world = ten_books(&[]).await;
    let first = Generated::identifier(1);
    for (query, codes) in [
        ("", vec!["badVerb"]),
        ("verb=Illegal", vec!["badVerb"]),
        ("verb=Identify&verb=Identify", vec!["badVerb"]),
        ("verb=Identify&set=books", vec!["badArgument"]),
        ("verb=ListRecords", vec!["badArgument"]),
        ("verb=GetRecord", vec!["badArgument", "badArgument"]),
        ("verb=ListRecords&metadataPrefix=oai_dc&metadataPrefix=oai_dc", vec!["badArgument"]),
        ("verb=ListRecords&metadataPrefix=oai_dc&from=2021-01-01&until=2021-01-01T00:00:00Z", vec!["badArgument"]),
        ("verb=ListRecords&metadataPrefix=oai_dc&from=2021-01-02&until=2021-01-01", vec!["badArgument"]),
        ("verb=ListRecords&resumptionToken=x&metadataPrefix=oai_dc", vec!["badArgument"]),
        ("verb=ListRecords&resumptionToken=oai_dc////100", vec!["badResumptionToken"]),
        ("verb=ListIdentifiers&resumptionToken=", vec!["badResumptionToken"]),
        ("verb=ListSets&resumptionToken=x", vec!["badResumptionToken"]),
        ("verb=ListRecords&metadataPrefix=marc21", vec!["cannotDisseminateFormat"]),
        (&format!("verb=GetRecord&metadataPrefix=marc21&identifier={first}"), vec!["cannotDisseminateFormat"]),
        ("verb=GetRecord&metadataPrefix=oai_dc&identifier=oai:none", vec!["idDoesNotExist"]),
        ("verb=ListMetadataFormats&identifier=oai:none", vec!["idDoesNotExist"]),
        ("verb=ListRecords&metadataPrefix=oai_dc&until=2001-01-01", vec!["noRecordsMatch"]),
        ("verb=ListIdentifiers&metadataPrefix=oai_dc&from=2036-01-01", vec!["noRecordsMatch"]),
        ("verb=ListIdentifiers&metadataPrefix=oai_dc&set=films", vec!["noRecordsMatch"]),
    ] {
        assert_eq!(world.ask(query).await.errors, codes, "{query}");
    }
}

#[tokio::test]
async fn a_request_is_repeated_as_it_was_made_unless_it_is_malformed() {
    let world = ten_books(&[]).await;
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let said = world.ask("set=books:law&from=2021-02-12&verb=ListRecords&metadataPrefix=oai_dc").await;
    assert_eq!(
        said.request,
        pairs(&[("verb", "ListRecords"), ("metadataPrefix", "oai_dc"), ("set", "books:law"), ("from", "2021-02-12")])
    );
    let said = world.ask("verb=ListRecords&resumptionToken=x%22%3C").await;
    assert_eq!(said.request, pairs(&[("verb", "ListRecords"), ("resumptionToken", "x\"<")]));
    assert_eq!(world.ask("verb=ListRecords&set=x").await.request, []);
}

#[tokio::test]
async fn a_repository_without_sets_says_so() {
    let world = World::start(daily(), ProviderSettings::default()).await;
    for query in ["verb=ListSets", "verb=ListRecords&metadataPrefix=oai_dc&set=books"] {
        assert_eq!(world.ask(query).await.errors, ["noSetHierarchy"], "{query}");
    }
}

#[tokio::test]
async fn a_repository_of_days_speaks_in_days_and_refuses_seconds() {
    let world = World::start(daily(), ProviderSettings::default()).await;
    let identify = world.ask("verb=Identify").await;
    assert_eq!(identify.text("granularity").as_deref(), Some("YYYY-MM-DD"));
    assert_eq!(identify.text("earliestDatestamp").as_deref(), Some("2021-01-01"));
    let list = "verb=ListIdentifiers&metadataPrefix=oai_dc";
    let said = world.ask(&format!("{list}&from=2021-01-02&until=2021-01-02")).await;
    assert_eq!(said.identifiers(), ["oai:day:2"]);
    assert_eq!(said.headers[0].datestamp, "2021-01-02");
    let said = world.ask(&format!("{list}&from=2021-01-02T00:00:00Z")).await;
    assert_eq!(said.errors, ["badArgument"]);
    assert_eq!(said.request, []);
}

/// Three records, one a day, without sets.
fn daily() -> Arc<Memory> {
    let memory = Memory::new(Identity {
        name: "Days".to_owned(),
        admin_emails: vec!["days@example.org".to_owned()],
        earliest: Datestamp::parse("2021-01-01").unwrap(),
    });
    for day in 1..=3 {
        let header = Header {
            identifier: format!("oai:day:{day}"),
            datestamp: Datestamp::parse(&format!("2021-01-0{day}T12:00:00Z")).unwrap(),
            sets: vec![],
            deleted: false,
        };
        memory.put(Record { header, metadata: Some("<x/>".to_owned()) });
    }
    Arc::new(memory)
}
