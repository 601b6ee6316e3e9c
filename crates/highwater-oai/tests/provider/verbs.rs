//! The six verbs, as they are meant.

use std::sync::Arc;

use highwater_oai::protocol::{Datestamp, Header, Record};
use highwater_oai::provider::{Generated, Identity, Memory, ProviderSettings};

use crate::client::exchange;
use crate::schema;
use crate::world::{Said, World, books, expected, ten_books};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded; charset=utf-8";

#[tokio::test]
async fn identify_says_who_the_repository_is_and_that_its_deletions_last() {
    let world = ten_books(&[]).await;
    let said = world.ask("verb=Identify").await;
    for (name, text) in [
        ("repositoryName", "Books of nowhere"),
        ("baseURL", "http://books.example.org/oai"),
        ("adminEmail", "books@example.org"),
        ("earliestDatestamp", "2021-02-12T08:00:00Z"),
        ("deletedRecord", "persistent"),
        ("granularity", "YYYY-MM-DDThh:mm:ssZ"),
        ("compression", "gzip"),
        ("responseDate", "2026-11-20T00:00:00Z"),
    ] {
        assert_eq!(said.text(name).as_deref(), Some(text), "{name}");
    }
}

#[tokio::test]
async fn a_base_url_that_is_set_is_said_wherever_the_request_came_in() {
    let base_url = Some("http://mirror.example.org/cache?a&b".to_owned());
    let world = World::start(books(1, 0), ProviderSettings { base_url, ..ProviderSettings::default() }).await;
    let said = world.ask("verb=Identify").await;
    assert_eq!(said.base_url, "http://mirror.example.org/cache?a&b");
    assert_eq!(said.text("baseURL").unwrap(), said.base_url);
    assert_eq!(exchange(world.address, "GET /?verb=Identify HTTP/1.1", "").await.unwrap().status, 200);
}

#[tokio::test]
async fn formats_are_the_repositorys_or_a_records_and_a_deleted_records_too() {
    let world = ten_books(&[]).await;
    let books = Generated { live: 8, deleted: 2, ..Generated::default() };
    let deleted = (1..=10).find(|&number| books.is_deleted(number)).unwrap();
    for query in [
        "verb=ListMetadataFormats".to_owned(),
        format!("verb=ListMetadataFormats&identifier={}", Generated::identifier(1)),
        format!("verb=ListMetadataFormats&identifier={}", Generated::identifier(deleted)),
    ] {
        assert_eq!(world.ask(&query).await.text("metadataPrefix").as_deref(), Some("oai_dc"), "{query}");
    }
}

#[tokio::test]
async fn a_record_without_metadata_has_no_formats_and_is_not_to_be_had_in_any() {
    let memory = books(1, 0);
    let header = Header {
        identifier: "oai:bare".to_owned(),
        datestamp: Datestamp::parse("2022-01-01").unwrap(),
        sets: vec![],
        deleted: false,
    };
    memory.put(Record { header, metadata: None });
    let world = World::start(memory, ProviderSettings::default()).await;
    let formats = world.ask("verb=ListMetadataFormats&identifier=oai:bare").await;
    assert_eq!(formats.errors, ["noMetadataFormats"]);
    let record = world.ask("verb=GetRecord&identifier=oai:bare&metadataPrefix=oai_dc").await;
    assert_eq!(record.errors, ["cannotDisseminateFormat"]);
}

#[tokio::test]
async fn sets_are_listed_with_those_above_them() {
    let said = ten_books(&[]).await.ask("verb=ListSets").await;
    for spec in ["books", "books:law", "books:history", "books:physics", "books:music"] {
        assert!(said.xml.contains(&format!("<setSpec>{spec}</setSpec>")), "{spec}");
    }
}

#[tokio::test]
async fn a_record_is_got_with_its_metadata_and_a_deleted_one_without() {
    let world = ten_books(&[]).await;
    for header in expected(&books(8, 2), true) {
        let said = world.ask(&format!("verb=GetRecord&identifier={}&metadataPrefix=oai_dc", header.identifier)).await;
        assert_eq!(said.headers, [header]);
    }
}

#[tokio::test]
async fn a_list_of_records_has_their_metadata_and_one_of_identifiers_their_headers_only() {
    let world = World::start(books(8, 2), ProviderSettings::default()).await;
    for (verb, with_metadata) in [("ListRecords", true), ("ListIdentifiers", false)] {
        let said = world.ask(&format!("verb={verb}&metadataPrefix=oai_dc")).await;
        assert_eq!(said.headers, expected(&books(8, 2), with_metadata), "{verb}");
        assert_eq!(said.token, None, "the only page of a list has no token");
    }
}

#[tokio::test]
async fn a_request_by_post_is_answered_as_one_by_get() {
    let world = ten_books(&[]).await;
    for query in [
        "verb=Identify",
        "verb=ListRecords&metadataPrefix=oai_dc&set=books%3Alaw",
        "verb=GetRecord&identifier=oai%3Anone&metadataPrefix=oai_dc",
        "verb=GetRecord",
        "",
    ] {
        let head = format!("POST /oai HTTP/1.1\r\n{FORM}\r\nContent-Length: {}", query.len());
        let posted = exchange(world.address, &head, query).await.unwrap();
        schema::check(posted.text());
        assert_eq!(Said::read(posted.text()).xml, world.ask(query).await.xml, "{query}");
    }
}

#[tokio::test]
async fn what_the_repository_says_is_escaped_and_no_control_character_gets_out() {
    let identity = Identity {
        name: "Books & <more>\u{1}".to_owned(),
        admin_emails: vec!["books@example.org".to_owned()],
        earliest: Datestamp::parse("2021-02-12T08:00:00Z").unwrap(),
    };
    let memory = Memory::new(identity);
    let header = Header {
        identifier: "oai:x:<a>&\"ä\"".to_owned(),
        datestamp: Datestamp::parse("2022-01-01").unwrap(),
        sets: vec!["a&b".to_owned()],
        deleted: false,
    };
    memory.put(Record { header, metadata: Some("<x>\u{b}\t&amp;</x>".to_owned()) });
    let world = World::start(Arc::new(memory), ProviderSettings::default()).await;
    assert_eq!(world.ask("verb=Identify").await.text("repositoryName").unwrap(), "Books & <more>\u{FFFD}");
    let said = world.ask("verb=GetRecord&identifier=oai:x:%3Ca%3E%26%22%C3%A4%22&metadataPrefix=oai_dc").await;
    assert_eq!(said.headers[0].identifier, "oai:x:<a>&\"ä\"");
    assert_eq!(said.headers[0].sets, ["a&b"]);
    assert_eq!(said.text("x").unwrap(), "\u{FFFD}\t&");
    assert!(said.request.contains(&("identifier".to_owned(), "oai:x:<a>&\"ä\"".to_owned())));
}
