//! Lists over pages: borders, sets, tokens, and a repository that changes in between.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use highwater_oai::protocol::{Datestamp, Header, Record, SetInfo};
use highwater_oai::provider::{Generated, Identity, Memory, ProviderSettings, TokenKey};

use crate::world::{Said, SaidHeader, SaidToken, World, books, expected, ten_books};

const LIST: &str = "verb=ListIdentifiers&metadataPrefix=oai_dc";

fn headers(pages: &[Said]) -> Vec<SaidHeader> {
    pages.iter().flat_map(|page| page.headers.clone()).collect()
}

#[tokio::test]
async fn pages_together_are_the_repository_and_the_last_has_an_empty_token() {
    // Four records share each second, so that pages break between equal datestamps.
    let spacing = Duration::from_millis(250);
    let memory = Arc::new(Generated { live: 18, deleted: 5, spacing, ..Generated::default() }.repository());
    for page_size in [1, 2, 3, 22, 23, 24] {
        let settings = ProviderSettings { page_size, ..ProviderSettings::default() };
        let world = World::start(memory.clone(), settings).await;
        for (verb, with_metadata) in [("ListIdentifiers", false), ("ListRecords", true)] {
            let pages = world.follow(&format!("verb={verb}&metadataPrefix=oai_dc")).await;
            assert_eq!(pages.len(), 23_usize.div_ceil(page_size));
            assert_eq!(headers(&pages), expected(&memory, with_metadata));
            for (nth, page) in pages.iter().enumerate().filter(|_| pages.len() > 1) {
                let SaidToken { value, total, cursor, expires } = page.token.clone().unwrap();
                assert_eq!((total, cursor, expires), (Some(23), Some((nth * page_size) as u64), None));
                assert_eq!(value.is_empty(), nth + 1 == pages.len());
            }
        }
    }
}

#[tokio::test]
async fn a_list_while_records_change_loses_none_that_stayed() {
    let memory = books(60, 7);
    let settings = ProviderSettings { page_size: 5, ..ProviderSettings::default() };
    let world = World::start(memory.clone(), settings).await;
    let before: HashSet<String> = memory.headers().into_iter().map(|header| header.identifier).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut newest: BTreeMap<String, SaidHeader> = BTreeMap::new();
    let mut query = LIST.to_owned();
    for page in 0.. {
        assert!(page < 60, "a list without end");
        let said = world.ask(&query).await;
        newest.extend(said.headers.iter().map(|header| (header.identifier.clone(), header.clone())));
        let SaidToken { value, total, cursor, .. } = said.token.unwrap();
        assert!(total.unwrap() >= cursor.unwrap() + said.headers.len() as u64, "the list is as long as what was given");
        if value.is_empty() {
            break;
        }
        query = format!("verb=ListIdentifiers&resumptionToken={value}");
        // Fewer than a page has, so that the list comes to its end.
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(1));
            let now = highwater_engine::clock::Clock::now(&*world.clock);
            let identifier = Generated::identifier(random.u64(1..=67));
            if random.bool() {
                memory.touch(&identifier, now)
            } else {
                memory.delete(&identifier, now)
            };
        }
    }
    let repository: BTreeMap<String, SaidHeader> =
        expected(&memory, false).into_iter().map(|header| (header.identifier.clone(), header)).collect();
    assert!(before.iter().all(|identifier| newest.contains_key(identifier)));
    assert_eq!(newest, repository, "what a client saw last of each is how it is");
}

#[tokio::test]
async fn from_and_until_include_their_own_moment_and_a_day_its_whole() {
    let memory = Memory::new(identity());
    for at in [
        "2021-01-31T23:59:59Z",
        "2021-02-01T00:00:00Z",
        "2021-02-01T12:00:00Z",
        "2021-02-01T23:59:59Z",
        "2021-02-02T00:00:00Z",
    ] {
        memory.put(record(at, at, &[]));
    }
    let world = World::start(Arc::new(memory), ProviderSettings { page_size: 2, ..ProviderSettings::default() }).await;
    for (arguments, found) in [
        ("&from=2021-02-01&until=2021-02-01", 1..4),
        ("&until=2021-02-01", 0..4),
        ("&from=2021-02-01", 1..5),
        ("&from=2021-02-02", 4..5),
        ("&from=2021-02-01T00:00:00Z&until=2021-02-01T12:00:00Z", 1..3),
        ("&from=2021-02-01T00:00:01Z&until=2021-02-01T23:59:59Z", 2..4),
        ("&until=2021-01-31T23:59:59Z", 0..1),
        ("&from=1900-01-01&until=9998-12-31", 0..5),
    ] {
        let pages = world.follow(&format!("{LIST}{arguments}")).await;
        let all = world.follow(LIST).await;
        assert_eq!(headers(&pages), headers(&all)[found.clone()], "{arguments}");
        if let Some(token) = &pages[0].token {
            assert_eq!(token.total, Some(found.len() as u64), "{arguments}");
        }
    }
}

#[tokio::test]
async fn a_set_holds_the_records_of_the_sets_below_it_deleted_ones_too() {
    let set = |spec: &str| SetInfo { spec: spec.to_owned(), name: spec.to_owned() };
    let memory = Memory::new(identity()).with_sets(["a", "a:b", "a:b:c", "ab"].map(set));
    for (id, sets) in
        [("1", &["a"][..]), ("2", &["a:b"]), ("3", &["a:b:c"]), ("4", &["ab"]), ("5", &["ab", "a:b"]), ("6", &[])]
    {
        memory.put(record(id, "2021-02-01T00:00:00Z", sets));
    }
    memory.delete("2", "2021-02-02T00:00:00Z".parse().unwrap());
    let world = World::start(Arc::new(memory), ProviderSettings { page_size: 2, ..ProviderSettings::default() }).await;
    for (set, found) in
        [("a", &["1", "3", "5", "2"][..]), ("a:b", &["3", "5", "2"]), ("a:b:c", &["3"]), ("ab", &["4", "5"])]
    {
        let pages = world.follow(&format!("{LIST}&set={set}")).await;
        let identifiers: Vec<&str> = pages.iter().flat_map(Said::identifiers).collect();
        assert_eq!(identifiers, found, "{set}");
    }
}

#[tokio::test]
async fn a_token_is_good_any_number_of_times_and_in_another_process_with_the_same_key() {
    let world = ten_books(&[]).await;
    let token = world.ask(LIST).await.token_value().unwrap();
    let next = format!("verb=ListIdentifiers&resumptionToken={token}");
    let page = world.ask(&next).await;
    assert_eq!(world.ask(&next).await.xml, page.xml);
    assert_eq!(ten_books(&[]).await.ask(&next).await.headers, page.headers);
    let settings = ProviderSettings { token_key: TokenKey::new(*b"another"), ..ProviderSettings::default() };
    let other = World::start(books(8, 2), settings).await;
    assert_eq!(other.ask(&next).await.errors, ["badResumptionToken"], "signed with another key");
}

#[tokio::test]
async fn a_token_that_is_damaged_or_another_lists_is_refused() {
    let world = ten_books(&[]).await;
    let token = world.ask(LIST).await.token_value().unwrap();
    let mut damaged = token.clone().into_bytes();
    damaged[30] ^= 1;
    let damaged = String::from_utf8(damaged).unwrap();
    for query in [
        format!("verb=ListIdentifiers&resumptionToken={damaged}"),
        format!("verb=ListIdentifiers&resumptionToken={}", &token[1..]),
        format!("verb=ListRecords&resumptionToken={token}"),
    ] {
        assert_eq!(world.ask(&query).await.errors, ["badResumptionToken"], "{query}");
    }
}

#[tokio::test]
async fn a_token_expires_when_it_said_it_would() {
    let token_life = Some(Duration::from_secs(60));
    let settings = ProviderSettings { page_size: 3, token_life, ..ProviderSettings::default() };
    let world = World::start(books(8, 2), settings).await;
    let token = world.ask(LIST).await.token.unwrap();
    assert_eq!(token.expires.as_deref(), Some("2026-11-20T00:01:00Z"));
    let next = format!("verb=ListIdentifiers&resumptionToken={}", token.value);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.ask(&next).await.headers.len(), 3);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask(&next).await.errors, ["badResumptionToken"]);
}

#[tokio::test]
async fn a_list_whose_rest_has_gone_is_refused_rather_than_ended() {
    let memory = books(6, 0);
    let settings = ProviderSettings { page_size: 5, ..ProviderSettings::default() };
    let world = World::start(memory.clone(), settings).await;
    let token = world.ask(&format!("{LIST}&until=2021-12-31")).await.token_value().unwrap();
    let last = memory.headers().pop().unwrap().identifier;
    memory.touch(&last, "2022-01-01T00:00:00Z".parse().unwrap());
    let said = world.ask(&format!("verb=ListIdentifiers&resumptionToken={token}")).await;
    assert_eq!(said.errors, ["badResumptionToken"]);
}

#[tokio::test]
async fn a_repository_of_the_real_size_is_listed_whole() {
    let memory = Arc::new(Generated { live: 110_792, deleted: 14_793, ..Generated::default() }.repository());
    let settings = ProviderSettings { page_size: 5000, ..ProviderSettings::default() };
    let world = World::start(memory, settings).await;
    let (mut live, mut deleted, mut query) = (HashSet::new(), HashSet::new(), LIST.to_owned());
    loop {
        // Read by hand: a tree of each page would take longer than all the rest.
        let reply = world.get(&query).await.unwrap();
        for header in reply.text().split("<header").skip(1) {
            let identifier = header.split("<identifier>").nth(1).unwrap().split('<').next().unwrap().to_owned();
            if header.starts_with(" status=\"deleted\"") {
                deleted.insert(identifier)
            } else {
                live.insert(identifier)
            };
        }
        let (_, element) = reply.text().split_once("<resumptionToken completeListSize=\"125585\" ").unwrap();
        let Some((_, token)) = element.split_once("\">").filter(|(cursor, _)| !cursor.contains('/')) else { break };
        query = format!("verb=ListIdentifiers&resumptionToken={}", token.split('<').next().unwrap());
    }
    assert_eq!((live.len(), deleted.len()), (110_792, 14_793));
    assert!(live.is_disjoint(&deleted));
}

fn identity() -> Identity {
    Identity {
        name: "Books".to_owned(),
        admin_emails: vec!["books@example.org".to_owned()],
        earliest: Datestamp::parse("2021-01-01T00:00:00Z").unwrap(),
    }
}

fn record(identifier: &str, at: &str, sets: &[&str]) -> Record {
    let header = Header {
        identifier: identifier.to_owned(),
        datestamp: Datestamp::parse(at).unwrap(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        deleted: false,
    };
    Record { header, metadata: Some("<x/>".to_owned()) }
}
