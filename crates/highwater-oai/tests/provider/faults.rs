//! Each fault, through a socket: what a client gets where it strikes, and that all is well where it does not.

use std::net::SocketAddr;
use std::time::Duration;

use highwater_oai::protocol::NAMESPACE;
use highwater_oai::provider::{Faults, Generated, ProviderSettings};
use highwater_testkit::sim_clock::SimClock;
use tokio::io::AsyncReadExt as _;

use crate::client::{Reply, exchange, send};
use crate::world::{NOW, Said, World, books, ten_books};

const IDS: &str = "verb=ListIdentifiers&metadataPrefix=oai_dc";
const RECORDS: &str = "verb=ListRecords&metadataPrefix=oai_dc";

fn get_record(number: u64) -> String {
    format!("verb=GetRecord&metadataPrefix=oai_dc&identifier={}", Generated::identifier(number))
}

fn next(token: &str) -> String {
    format!("verb=ListIdentifiers&resumptionToken={token}")
}

/// What two requests meet, of which the fault strikes the first only.
async fn struck(fault: &str, query: &str) -> Reply {
    let world = ten_books(&[&format!("{fault}@1")]).await;
    let reply = world.get(query).await.unwrap();
    let name = fault.split('=').next().unwrap();
    assert_eq!(world.log.requests()[0].faults, [name]);
    let well = world.ask(query).await;
    assert_eq!(well.errors, [""; 0]);
    assert!(world.log.requests()[1].faults.is_empty());
    assert_ne!(well.xml.as_bytes(), reply.body, "the fault changed nothing");
    reply
}

#[tokio::test]
async fn too_many_and_unavailable_say_when_to_come_again_in_every_way() {
    for status in [429, 503] {
        for (wait, said) in [
            ("", Some("120")),
            ("=30", Some("30")),
            ("=24h", Some("86400")),
            ("=date", Some("Fri, 20 Nov 2026 00:02:00 GMT")),
            ("=date+86400", Some("Sat, 21 Nov 2026 00:00:00 GMT")),
            ("=none", None),
        ] {
            let reply = struck(&format!("{status}{wait}"), IDS).await;
            assert_eq!((reply.status, reply.header("retry-after")), (status, said), "{wait}");
            assert_eq!(reply.header("date"), Some("Fri, 20 Nov 2026 00:00:00 GMT"), "dates are of one clock");
        }
    }
}

#[tokio::test]
async fn pages_that_are_no_answer_come_with_their_status() {
    for (fault, status, kind) in [
        ("500", 500, "text/plain"),
        ("404", 404, "text/plain"),
        ("403", 403, "text/html; charset=utf-8"),
        ("html", 200, "text/html; charset=utf-8"),
    ] {
        let reply = struck(fault, IDS).await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some(kind)), "{fault}");
        assert_eq!(reply.text().contains("<html>"), kind.starts_with("text/html"), "{fault}");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_the_same_request_here_or_there() {
    let reply = struck("redirect", IDS).await;
    assert_eq!((reply.status, reply.header("location")), (302, Some(&*format!("/oai?{IDS}"))));
    let reply = struck("redirect=http://elsewhere.example.org/x", IDS).await;
    assert_eq!(reply.header("location"), Some(&*format!("http://elsewhere.example.org/x?{IDS}")));
}

#[tokio::test]
async fn a_request_that_hangs_gets_no_byte_and_one_that_is_dropped_no_answer() {
    let world = ten_books(&["hang@1", "drop@1"]).await;
    let mut hung = send(world.address, &format!("GET /oai?{IDS} HTTP/1.1"), "").await;
    while world.log.count() == 0 {
        tokio::task::yield_now().await;
    }
    // By now the hanging one had its turn, many times over.
    world.get(IDS).await.unwrap();
    assert_eq!(hung.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(world);
    let world = ten_books(&["drop@1"]).await;
    let mut dropped = send(world.address, &format!("GET /oai?{IDS} HTTP/1.1"), "").await;
    let mut bytes = Vec::new();
    let _ = dropped.read_to_end(&mut bytes).await;
    assert_eq!(bytes, b"");
    assert_eq!(world.ask(IDS).await.headers.len(), 3);
    let _ = hung.read(&mut [0; 1]).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_is_shorter_than_promised_and_a_truncated_one_only_than_its_xml() {
    let whole = ten_books(&[]).await.get(RECORDS).await.unwrap().body.len();
    for (fault, complete, bytes) in [
        ("cut", false, whole / 2),
        ("cut=10", false, whole / 10),
        ("truncate", true, whole / 2),
        ("truncate=90", true, whole * 9 / 10),
    ] {
        let reply = struck(fault, RECORDS).await;
        assert_eq!((reply.status, reply.complete, reply.body.len()), (200, complete, bytes), "{fault}");
    }
}

#[tokio::test]
async fn what_is_sent_in_pieces_is_never_compressed() {
    let whole = ten_books(&[]).await.get(RECORDS).await.unwrap().body;
    let world = ten_books(&["cut"]).await;
    let head = format!("GET /oai?{RECORDS} HTTP/1.1\r\nAccept-Encoding: gzip");
    let reply = exchange(world.address, &head, "").await.unwrap();
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(reply.body, whole[..whole.len() / 2]);
}

#[tokio::test]
async fn a_slow_answer_comes_byte_by_byte_as_the_clock_goes() {
    let faults = ["slow=500@1"].map(|fault| fault.parse().unwrap()).into_iter().collect();
    let clock = SimClock::running(NOW.parse().unwrap());
    let settings = ProviderSettings { faults, ..ProviderSettings::default() };
    let world = World::start_at(clock, books(1, 0), settings).await;
    let reply = world.get("verb=Identify").await.unwrap();
    assert!(reply.complete);
    let spent = highwater_engine::clock::Clock::elapsed(&*world.clock);
    assert_eq!(spent, Duration::from_millis(500) * u32::try_from(reply.body.len()).unwrap());
}

#[tokio::test]
async fn an_endless_page_goes_on_as_long_as_one_reads() {
    for query in [IDS, RECORDS] {
        let world = ten_books(&["endless@1"]).await;
        let mut stream = send(world.address, &format!("GET /oai?{query} HTTP/1.1"), "").await;
        let mut bytes = vec![0; 3_000_000];
        stream.read_exact(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.matches("</header>").count() > 1000);
        assert!(!text.contains("</OAI-PMH>"));
        drop(stream);
        assert_eq!(world.ask(query).await.headers.len(), 3);
    }
}

#[tokio::test]
async fn an_expired_token_strikes_the_request_that_carries_it() {
    let world = ten_books(&["expired-token@1"]).await;
    let token = world.ask(IDS).await.token_value().unwrap();
    assert_eq!(world.ask(&next(&token)).await.errors, ["badResumptionToken"]);
    assert_eq!(world.ask(&next(&token)).await.headers.len(), 3);
}

#[tokio::test]
async fn a_token_that_repeats_leads_round_and_round() {
    let world = ten_books(&["repeat-token"]).await;
    let token = world.ask(IDS).await.token_value().unwrap();
    let page = world.ask(&next(&token)).await;
    assert_eq!(page.token_value(), Some(token));
}

#[tokio::test]
async fn a_page_that_repeats_carries_a_new_token_each_time() {
    let world = ten_books(&["repeat-page"]).await;
    let first = world.ask(IDS).await;
    let (mut page, mut tokens) = (first.clone(), Vec::new());
    for _ in 0..3 {
        tokens.push(page.token_value().unwrap());
        page = world.ask(&next(tokens.last().unwrap())).await;
        assert_eq!(page.headers, first.headers);
        assert!(!tokens.contains(&page.token_value().unwrap()));
    }
}

#[tokio::test]
async fn an_odd_token_leads_on_if_it_is_escaped_and_only_then() {
    let world = ten_books(&["odd-token"]).await;
    let token = world.ask(IDS).await.token_value().unwrap();
    let escaped = percent_encoding::utf8_percent_encode(&token, percent_encoding::NON_ALPHANUMERIC).to_string();
    let page = world.ask(&next(&escaped)).await;
    assert_eq!(page.token.unwrap().cursor, Some(3));
    assert_eq!(page.headers, ten_books(&[]).await.follow(IDS).await[1].headers);
    let bare = token.replace(['#', ' ', 'é'], "");
    assert_ne!(world.ask(&next(&bare)).await.errors, [""; 0]);
}

#[tokio::test]
async fn pages_that_overlap_share_a_record_and_lose_none() {
    let pages = ten_books(&["overlap"]).await.follow(IDS).await;
    for pair in pages.windows(2) {
        assert_eq!(pair[0].headers.last(), pair[1].headers.first());
    }
    let mut all: Vec<_> = pages.iter().flat_map(|page| page.headers.clone()).collect();
    all.dedup();
    let well: Vec<_> = ten_books(&[]).await.follow(IDS).await.into_iter().flat_map(|page| page.headers).collect();
    assert_eq!(all, well);
}

#[tokio::test]
async fn an_empty_last_page_comes_after_all_records_were_given() {
    let world = ten_books(&["empty-last-page"]).await;
    let mut pages = vec![world.ask(IDS).await];
    while let Some(token) = pages.last().unwrap().token_value() {
        // The schema does not allow it, so it is read without.
        pages.push(Said::read(world.get(&next(&token)).await.unwrap().text()));
    }
    let lengths: Vec<usize> = pages.iter().map(|page| page.headers.len()).collect();
    assert_eq!(lengths, [3, 3, 3, 1, 0]);
    assert!(pages[4].xml.contains("<ListIdentifiers>"));
    assert_eq!(pages[4].errors, [""; 0]);
}

#[tokio::test]
async fn a_short_list_ends_before_it_is_complete() {
    let world = ten_books(&["short-list@2"]).await;
    let pages = world.follow(IDS).await;
    assert_eq!(pages.len(), 2);
    assert_eq!(pages[1].token.as_ref().unwrap().total, Some(10));
}

#[tokio::test]
async fn totals_and_cursors_are_missing_wrong_or_in_pages() {
    let element = async |fault| {
        let world = ten_books(&[fault]).await;
        let token = world.follow(IDS).await[2].token.clone().unwrap();
        (token.total, token.cursor)
    };
    assert_eq!(element("no-total").await, (None, Some(6)));
    assert_eq!(element("wrong-total").await, (Some(5), Some(6)));
    assert_eq!(element("wrong-total=4000").await, (Some(4000), Some(6)));
    assert_eq!(element("cursor-pages").await, (Some(10), Some(2)));
}

#[tokio::test]
async fn datestamps_out_of_order_are_the_same_records_on_each_page() {
    let world = ten_books(&["unordered"]).await;
    let well = ten_books(&[]).await.follow(IDS).await;
    for (page, well) in world.follow(IDS).await.iter().zip(well) {
        assert_eq!(page.headers.iter().rev().cloned().collect::<Vec<_>>(), well.headers);
    }
}

#[tokio::test]
async fn finer_datestamps_are_finer_than_identify_says() {
    let reply = struck("finer-datestamps", IDS).await;
    let said = Said::read(reply.text());
    assert!(said.headers.iter().all(|header| header.datestamp.ends_with(".125Z")), "{:?}", said.headers);
}

#[tokio::test]
async fn a_second_prolog_and_a_leading_newline_come_before_a_document_that_is_well() {
    let well = ten_books(&[]).await.get(IDS).await.unwrap().body;
    let twice = struck("second-prolog", IDS).await;
    assert!(twice.body.ends_with(&well));
    assert_eq!(twice.text().matches("<?xml").count(), 2);
    let newline = struck("leading-newline", IDS).await;
    assert_eq!(newline.body, [b"\n", &well[..]].concat());
}

#[tokio::test]
async fn bytes_that_may_not_be_are_inside_metadata() {
    for (fault, bytes) in [("control-chars", &b"\x01\x08\x0b\x1f\t"[..]), ("bad-utf8", b"\xc3\x28\xff\xed\xa0\x80")] {
        let reply = struck(fault, RECORDS).await;
        let place = reply.body.windows(bytes.len()).position(|window| window == bytes).unwrap();
        assert!(String::from_utf8_lossy(&reply.body[..place]).ends_with("<dc:title>"), "{fault}");
    }
}

#[tokio::test]
async fn entities_are_declared_and_used() {
    let reply = struck("dtd-entity", RECORDS).await;
    assert!(reply.text().contains("?>\n<!DOCTYPE OAI-PMH [<!ENTITY word \"expanded\">"));
    assert!(reply.text().contains("<dc:title>&words;&file;"));
}

#[tokio::test]
async fn the_namespace_is_another_or_none() {
    let old = struck("wrong-namespace", IDS).await;
    assert!(old.text().contains(" xmlns=\"http://www.openarchives.org/OAI/1.1/\""));
    assert!(!old.text().contains(NAMESPACE));
    let none = struck("wrong-namespace=none", IDS).await;
    assert_eq!(roxmltree::Document::parse(none.text()).unwrap().root_element().tag_name().namespace(), None);
}

#[tokio::test]
async fn a_poisoned_record_spoils_what_it_is_in_and_nothing_else() {
    let number = 3;
    let world = ten_books(&[&format!("poison-xml=/{number}")]).await;
    let spoiled = world.get(&get_record(number)).await.unwrap();
    assert!(roxmltree::Document::parse(spoiled.text()).is_err());
    world.ask(&get_record(number + 1)).await;
    assert_eq!(world.follow(IDS).await.len(), 4);
    let faults: Vec<_> = world.log.requests().iter().map(|served| served.faults.clone()).collect();
    assert_eq!(faults[0], ["poison-xml"]);
    assert!(faults[1..].iter().all(Vec::is_empty), "only what was spoiled is logged as struck");
    let big = ten_books(&[&format!("poison-xml=/{number}")]).await;
    let mut spoiled = 0;
    let mut query = RECORDS.to_owned();
    loop {
        let reply = big.get(&query).await.unwrap();
        spoiled += usize::from(roxmltree::Document::parse(reply.text()).is_err());
        let Some((_, rest)) = reply.text().split_once("\">") else { break };
        let Some((_, token)) = rest.split_once("<resumptionToken").and_then(|(_, rest)| rest.split_once("\">")) else {
            break;
        };
        query = format!("verb=ListRecords&resumptionToken={}", token.split('<').next().unwrap());
    }
    assert_eq!(spoiled, 1, "one page of the list has it");
}

#[tokio::test]
async fn a_record_that_cannot_be_got_is_in_lists_all_the_same() {
    let world = ten_books(&["poison-500=/3"]).await;
    for _ in 0..2 {
        assert_eq!(world.get(&get_record(3)).await.unwrap().status, 500);
    }
    assert_eq!(world.ask(&get_record(4)).await.headers.len(), 1);
    assert_eq!(world.follow(RECORDS).await.iter().map(|page| page.headers.len()).sum::<usize>(), 10);
}

#[tokio::test]
async fn faults_add_up_until_one_answers_in_the_providers_stead() {
    let world = ten_books(&["no-total@1..2", "leading-newline@1..2", "429=5@2", "html@3", "503@3"]).await;
    let reply = world.get(IDS).await.unwrap();
    assert!(reply.text().starts_with("\n<?xml"));
    assert_eq!(Said::read(reply.text().trim_start()).token.unwrap().total, None);
    assert_eq!(world.get(IDS).await.unwrap().status, 429);
    assert_eq!(world.get(IDS).await.unwrap().status, 200);
    let faults: Vec<_> = world.log.requests().iter().map(|served| served.faults.clone()).collect();
    assert_eq!(faults, [&["no-total", "leading-newline"][..], &["429"], &["html"]]);
}

#[tokio::test]
async fn every_fault_of_the_catalogue_strikes_some_request() {
    let token = ten_books(&[]).await.ask(IDS).await.token_value().unwrap();
    for (usage, _) in Faults::CATALOGUE {
        let name = usage.split(['[', '=']).next().unwrap();
        let fault =
            if usage.contains("=SUFFIX") && !usage.contains('[') { format!("{name}=/3") } else { name.to_owned() };
        let world = ten_books(&[&fault]).await;
        let mut open = Vec::new();
        for query in [RECORDS, &next(&token), &get_record(3), "verb=ListRecords&metadataPrefix=oai_dc&set=books:law"] {
            // Some would never end, so no answer is read.
            open.push(send(world.address, &format!("GET /oai?{query} HTTP/1.1"), "").await);
            while world.log.count() < open.len() as u64 {
                tokio::task::yield_now().await;
            }
        }
        assert!(world.log.requests().iter().any(|served| served.faults == [name]), "{usage}");
    }
}

#[tokio::test]
async fn one_that_always_hangs_holds_up_no_other() {
    let world = ten_books(&["hang@id:/5"]).await;
    let address: SocketAddr = world.address;
    let query = get_record(5);
    let hung = tokio::spawn(async move { exchange(address, &format!("GET /oai?{query} HTTP/1.1"), "").await });
    while world.log.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.ask(&get_record(6)).await.headers.len(), 1);
    assert!(!hung.is_finished());
    hung.abort();
}
