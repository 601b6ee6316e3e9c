//! Lists: what a page may look like and still be read, and what it must not be taken for.

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use highwater_oai::client::{Entry, Fault, Limits, PageEnd, Progress, Unasked, Walk, WalkFault};
use highwater_oai::protocol::{ErrorCode, Record};
use highwater_testkit::faulty_http::{Answer, Received};
use std::io::Write as _;

use crate::rig::{Rig, around, error, ids, page, record, rig, scripted, selection, token};

fn first_record(entries: &[Entry]) -> &Record {
    match &entries[0] {
        Entry::Record(record) => record,
        Entry::Unreadable { why, .. } => panic!("{why}"),
    }
}

/// Walks a list to its end: how far it came, and the identifiers.
async fn walked(rig: &Rig) -> (Result<Progress, WalkFault>, Vec<String>) {
    let mut walk = Walk::records(&selection());
    let mut all = Vec::new();
    let mut last = Ok(Progress::More);
    while let Some(request) = walk.request() {
        last = match rig.read(&request).await {
            Ok((entries, end)) => {
                all.extend(ids(&entries).iter().map(|id| id.trim_start_matches("oai:a.example:").to_owned()));
                walk.page(&end)
            }
            Err(Unasked::Fault(Fault::Protocol(error))) => walk.refused(&error),
            Err(other) => panic!("{other:?}"),
        };
        if last.is_err() {
            break;
        }
    }
    (last, all)
}

fn ok(body: String) -> Answer {
    Answer::ok(body)
}

#[tokio::test]
async fn a_page_is_read_with_all_that_it_says() {
    let body = page(&(record(1) + &record(2) + &token("completeListSize=\"66038\" cursor=\"0\"", "oai_dc////100")));
    let rig = rig([ok(body.clone())]).await;
    let (entries, end) = rig.page().await.unwrap();
    assert_eq!(ids(&entries), ["oai:a.example:1", "oai:a.example:2"]);
    let record = first_record(&entries);
    assert_eq!((record.header.datestamp.to_string().as_str(), record.header.deleted), ("2021-02-12T08:44:14Z", false));
    assert_eq!(record.metadata.as_deref(), Some("<dc xmlns=\"urn:dc\"><title>Title 1</title></dc>"));
    let PageEnd { response_date, token, complete_list_size, cursor, records, unreadable, bytes, .. } = end;
    assert_eq!(response_date.unwrap().to_string(), "2026-11-20T11:59:59Z");
    assert_eq!(token.unwrap().value, "oai_dc////100");
    assert_eq!((complete_list_size, cursor), (Some(66_038), Some(0)));
    assert_eq!((records, unreadable, bytes), (2, 0, body.len() as u64));
    let asked = &rig.far.requests()[0];
    assert_eq!(asked.path, "/oai/request?verb=ListRecords&metadataPrefix=oai_dc");
    let agent = asked.header("user-agent").unwrap();
    assert!(agent.starts_with("highwater/") && agent.ends_with(" (mailto:someone@example.org)"), "{agent}");
}

#[tokio::test]
async fn an_empty_token_on_the_last_page_is_an_end() {
    let last = page(&(record(2) + &token("completeListSize=\"2\" cursor=\"1\"", " \n ")));
    let rig = rig([ok(page(&(record(1) + &token("", "a")))), ok(last)]).await;
    assert_eq!(walked(&rig).await, (Ok(Progress::Complete { records: 2 }), vec!["1".to_owned(), "2".to_owned()]));
}

#[tokio::test]
async fn a_token_on_the_last_page_whose_next_page_is_empty_is_an_end() {
    let first = || ok(page(&(record(1) + &token("", "a"))));
    for empty in [page(""), around("<ListRecords/>"), error("noRecordsMatch")] {
        let rig = rig([first(), ok(empty)]).await;
        assert_eq!(walked(&rig).await.0, Ok(Progress::Complete { records: 1 }));
    }
}

#[tokio::test]
async fn a_first_page_on_which_nothing_matches_is_an_empty_list() {
    let rig = rig([ok(error("noRecordsMatch"))]).await;
    assert_eq!(walked(&rig).await.0, Ok(Progress::Complete { records: 0 }));
}

#[tokio::test]
async fn a_token_that_expires_is_never_an_end() {
    let rig = rig([ok(page(&(record(1) + &token("", "a")))), ok(error("badResumptionToken"))]).await;
    assert_eq!(walked(&rig).await.0, Err(WalkFault::Expired { pages: 1, records: 1 }));
}

#[tokio::test]
async fn the_same_token_or_page_again_is_a_loop() {
    let mut n = 0;
    let same_token = scripted(move |_| {
        n += 1;
        ok(page(&(record(n) + &token("", "a"))))
    });
    let (end, seen) = walked(&same_token.await).await;
    assert_eq!((end, seen.len()), (Err(WalkFault::Loop { page: 2 }), 2));
    let mut n = 0;
    let same_page = scripted(move |_| {
        n += 1;
        ok(page(&(record(1) + &record(2) + &token("", &n.to_string()))))
    });
    assert_eq!(walked(&same_page.await).await.0, Err(WalkFault::Loop { page: 2 }));
}

#[tokio::test]
async fn a_token_is_escaped_on_the_way_back() {
    let rig =
        rig([ok(page(&(record(1) + &token("", "\n a+b&amp;c=&lt;d&gt; é/1%2F\n ")))), ok(page(&record(2)))]).await;
    assert_eq!(walked(&rig).await.0, Ok(Progress::Complete { records: 2 }));
    let asked = rig.far.requests()[1].path.clone();
    assert_eq!(asked, "/oai/request?verb=ListRecords&resumptionToken=a%2Bb%26c%3D%3Cd%3E%20%C3%A9%2F1%252F");
}

#[tokio::test]
async fn the_same_record_on_two_pages_is_given_twice_and_the_list_goes_on() {
    let rig = rig([ok(page(&(record(1) + &record(2) + &token("", "a")))), ok(page(&(record(2) + &record(3))))]).await;
    let (end, seen) = walked(&rig).await;
    assert_eq!(
        (end, seen),
        (Ok(Progress::Complete { records: 4 }), vec!["1".into(), "2".into(), "2".into(), "3".into()])
    );
}

#[tokio::test]
async fn a_list_cut_short_of_its_size_is_told_and_a_wrong_size_is_not_believed() {
    for (size, expected) in [
        ("5", Progress::ShortOf { expected: 5, got: 2 }),
        ("2", Progress::Complete { records: 2 }),
        ("1", Progress::Complete { records: 2 }),
        ("many", Progress::Complete { records: 2 }),
    ] {
        let size = format!("completeListSize=\"{size}\" cursor=\"1\"");
        let rig = rig([ok(page(&(record(1) + &token(&size, "a")))), ok(page(&record(2)))]).await;
        assert_eq!(walked(&rig).await.0, Ok(expected), "{size}");
    }
}

#[tokio::test]
async fn a_500_on_one_token_leaves_the_walk_where_it_is() {
    let answers = [ok(page(&(record(1) + &token("", "a")))), Answer::status(500).body("oops"), ok(page(&record(2)))];
    let rig = rig(answers).await;
    let mut walk = Walk::records(&selection());
    let (_, end) = rig.read(&walk.request().unwrap()).await.unwrap();
    walk.page(&end).unwrap();
    let Err(Unasked::Fault(fault)) = rig.read(&walk.request().unwrap()).await else { panic!("it is a 500") };
    assert_eq!(fault.to_string(), "the repository answered with HTTP status 500: `oops`");
    assert!(fault.is_transient());
    let (_, end) = rig.read(&walk.request().unwrap()).await.unwrap();
    assert_eq!(walk.page(&end), Ok(Progress::Complete { records: 2 }));
}

#[tokio::test]
async fn whatever_stands_before_the_root_is_passed_over() {
    let whole = page(&record(1));
    let bare = whole.split_once('\n').unwrap().1;
    for before in [
        "",
        "\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "\u{FEFF}<?xml version=\"1.0\"?>\n\u{FEFF}",
        "<?xml version=\"1.0\"?>\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<?xml-stylesheet type=\"text/xsl\" href=\"<a>\"?><!-- <html> -->",
        "<!DOCTYPE OAI-PMH [<!ENTITY a \"<html>\"><!-- ' -->]>",
    ] {
        let rig = rig([ok(format!("{before}{bare}\n<!-- after --> <br/>"))]).await;
        assert_eq!(ids(&rig.page().await.unwrap().0), ["oai:a.example:1"], "{before:?}");
    }
}

#[tokio::test]
async fn invalid_utf_8_and_control_characters_are_replaced_and_a_tab_stays() {
    let mut body = page(&record(1)).replace("Title 1", "a\tb\u{1}c&#x1F;d@").into_bytes();
    let at = body.iter().position(|b| *b == b'@').unwrap();
    body[at] = 0xFF;
    let (entries, end) = rig([Answer::ok(body)]).await.page().await.unwrap();
    let metadata = first_record(&entries).metadata.clone().unwrap();
    assert_eq!(metadata, "<dc xmlns=\"urn:dc\"><title>a\tb\u{FFFD}c\u{FFFD}d\u{FFFD}</title></dc>");
    assert_eq!(end.replaced, 2);
}

#[tokio::test]
async fn another_encoding_is_decoded_where_it_is_declared() {
    let latin = |text: String| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<_>>();
    let body = page(&record(1)).replace("Title 1", "Übermaß");
    let by_prolog = Answer::ok(latin(body.replace("UTF-8", "ISO-8859-1")));
    let bare = body.split_once('\n').unwrap().1.to_owned();
    let by_type = Answer::ok(latin(bare)).header("content-type", "text/xml; charset=windows-1252");
    for answer in [by_prolog, by_type] {
        let (entries, end) = rig([answer]).await.page().await.unwrap();
        assert!(first_record(&entries).metadata.as_ref().unwrap().contains("Übermaß"));
        assert_eq!(end.replaced, 0);
    }
}

#[tokio::test]
async fn entities_of_a_dtd_are_never_expanded() {
    let dtd = "<!DOCTYPE OAI-PMH [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>";
    let body = page(&record(1)).replace("Title 1", "&lol2;&f;&nbsp;R&amp;D").replace("?>", &format!("?>{dtd}"));
    let (entries, _) = rig([ok(body)]).await.page().await.unwrap();
    let metadata = first_record(&entries).metadata.clone().unwrap();
    assert!(metadata.contains("<title>&amp;lol2;&amp;f;&amp;nbsp;R&amp;D</title>"), "{metadata}");
}

#[tokio::test]
async fn wrong_or_missing_namespaces_change_nothing() {
    let plain = page(&(record(1) + &token("", "a")));
    let missing = plain.replace(" xmlns=\"http://www.openarchives.org/OAI/2.0/\"", "");
    let wrong = plain.replace("http://www.openarchives.org/OAI/2.0/", "http://www.openarchives.org/OAI/1.1/");
    let mut prefixed = missing.clone();
    for name in [
        "OAI-PMH",
        "ListRecords",
        "responseDate",
        "request",
        "record",
        "header",
        "identifier",
        "datestamp",
        "setSpec",
        "metadata",
        "resumptionToken",
    ] {
        prefixed = prefixed
            .replace(&format!("<{name}"), &format!("<o:{name}"))
            .replace(&format!("</{name}"), &format!("</o:{name}"));
    }
    for body in [missing, wrong, prefixed] {
        let (entries, end) = rig([ok(body.clone())]).await.page().await.unwrap();
        assert_eq!((ids(&entries), end.token.unwrap().value.as_str()), (vec!["oai:a.example:1"], "a"), "{body}");
        assert!(first_record(&entries).metadata.is_some());
    }
}

#[tokio::test]
async fn datestamps_finer_than_the_granularity_and_out_of_order_are_read_as_they_are() {
    let with = |n, datestamp| record(n).replace("2021-02-12T08:44:14Z", datestamp);
    let body = page(
        &(with(1, "2022-01-01") + &with(2, "2021-02-12T08:44:14.123456Z") + &with(3, "2021-02-12T09:44:14+01:00")),
    );
    let (entries, _) = rig([ok(body)]).await.page().await.unwrap();
    let datestamps: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Record(record) => record.header.datestamp.to_string(),
            Entry::Unreadable { why, .. } => panic!("{why}"),
        })
        .collect();
    assert_eq!(datestamps, ["2022-01-01", "2021-02-12T08:44:14Z", "2021-02-12T08:44:14Z"]);
}

#[tokio::test]
async fn a_deleted_header_needs_no_metadata() {
    let deleted = "<record><header status=\"deleted\"><identifier>oai:a.example:9</identifier>\
                   <datestamp>2021-02-12</datestamp></header></record>";
    let (entries, _) = rig([ok(page(&(deleted.to_owned() + &record(1))))]).await.page().await.unwrap();
    assert!(first_record(&entries).header.deleted && first_record(&entries).metadata.is_none());
    assert_eq!(ids(&entries), ["oai:a.example:9", "oai:a.example:1"]);
}

#[tokio::test]
async fn a_bad_record_costs_only_itself() {
    let bad = [
        record(2).replace("</title>", "</titel>"),
        record(3).replace("</title>", ""),
        record(4).replace("2021-02-12T08:44:14Z", "yesterday"),
        record(5).replace("<identifier>oai:a.example:5</identifier>", ""),
        record(6).replace("Title 6", "a < b <c"),
        record(7).replace("<title>", "<title a=\"x>"),
        record(8).replace("Title 8", "</record>"),
    ];
    let body = page(&(record(1) + &bad.concat() + &record(9) + &token("", "a")));
    let (entries, end) = rig([ok(body)]).await.page().await.unwrap();
    let of = |n| format!("oai:a.example:{n}");
    let expected = [of(1), of(2), of(3), of(4), "?".to_owned(), of(6), of(7), of(8), of(9)];
    assert_eq!(ids(&entries), expected);
    assert_eq!((end.records, end.unreadable, end.token.unwrap().value.as_str()), (9, 7, "a"));
}

#[tokio::test]
async fn a_record_without_end_is_not_taken_for_the_end_of_the_list() {
    let body = page(&(record(1).replace("</record>", "") + &record(2) + &token("", "a")));
    let fault = rig([ok(body)]).await.fault().await;
    assert!(fault.to_string().ends_with("`<record>` has no end before `</ListRecords>`"), "{fault}");
    // Nor is the end of a list that is quoted in a record.
    let quoted = record(1).replace("Title 1", "<o><ListRecords><record/></ListRecords></o><OAI-PMH></OAI-PMH>");
    let (entries, end) = rig([ok(page(&(quoted + &record(2) + &token("", "a"))))]).await.page().await.unwrap();
    assert_eq!((entries.len(), end.unreadable, end.token.is_some()), (2, 0, true));
}

#[tokio::test]
async fn records_inside_records_are_metadata() {
    let marc = record(1)
        .replace("<title>Title 1</title>", "<record><header>x</header></record><resumptionToken>y</resumptionToken>");
    let (entries, end) = rig([ok(page(&(marc + &record(2))))]).await.page().await.unwrap();
    assert_eq!((ids(&entries), end.token), (vec!["oai:a.example:1", "oai:a.example:2"], None));
    assert!(first_record(&entries).metadata.as_ref().unwrap().contains("<record><header>x</header></record>"));
}

#[tokio::test]
async fn gzip_and_deflate_are_taken_and_what_is_neither_is_an_interruption() {
    let body = page(&record(1));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(body.as_bytes()).unwrap();
    let answers = [
        Answer::ok(gzip.finish().unwrap()).header("content-encoding", "gzip"),
        Answer::ok(deflate.finish().unwrap()).header("content-encoding", "deflate"),
        Answer::ok(body.clone()).header("content-encoding", "gzip"),
    ];
    let rig = rig(answers).await;
    for _ in 0..2 {
        let (entries, end) = rig.page().await.unwrap();
        assert_eq!((entries.len(), end.bytes), (1, body.len() as u64));
    }
    let asked = rig.far.requests()[0].header("accept-encoding").unwrap().to_owned();
    assert!(asked.contains("gzip") && asked.contains("deflate"), "{asked}");
    let fault = rig.fault().await;
    assert!(matches!(fault, Fault::Interrupted { .. }) && fault.is_transient(), "{fault:?}");
}

#[tokio::test]
async fn a_page_without_end_meets_a_limit_of_bytes_even_when_it_is_compressed() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(page(&record(1).repeat(20_000)).as_bytes()).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let mut rig = rig([Answer::ok(bomb).header("content-encoding", "gzip")]).await;
    rig.endpoint.limits = Limits { page_bytes_max: 1_000_000, ..Limits::default() };
    assert_eq!(rig.fault().await.to_string(), "the answer has more than 1000000 bytes");
}

#[tokio::test]
async fn a_page_without_end_meets_a_limit_of_records() {
    let mut rig = rig([ok(page(&record(1).repeat(11)))]).await;
    rig.endpoint.limits = Limits { page_records_max: 10, ..Limits::default() };
    assert_eq!(rig.fault().await.to_string(), "the answer has more than 10 records");
}

#[tokio::test]
async fn a_page_without_end_meets_a_limit_of_time() {
    let mut stalled = rig([ok(page(&record(1).repeat(10))).stall_after(1000)]).await;
    stalled.endpoint.limits = Limits { page_secs_max: 1, ..Limits::default() };
    let fault = stalled.fault().await;
    assert_eq!(fault.to_string(), "the answer did not come to its end in time, 1 s at most");
    assert!(fault.is_transient());
    // Another that comes, but too slowly.
    let slow = rig([ok(page(&record(1)))]).await;
    let mut answer = slow
        .client()
        .ask(&slow.contacts, &slow.clock(), &highwater_oai::protocol::Request::ListRecords(selection()))
        .await
        .unwrap();
    slow.clock.advance(std::time::Duration::from_secs(601));
    assert!(matches!(answer.next().await, Err(Fault::TooSlow { limit_secs: 600 })));
    assert!(answer.end().is_err());
}

#[tokio::test]
async fn a_record_that_is_too_large_costs_only_itself() {
    let large = record(2).replace("Title 2", &"x".repeat(200_000));
    let mut rig = rig([ok(page(&(record(1) + &large + &record(3))))]).await;
    rig.endpoint.limits = Limits { record_bytes_max: 10_000, ..Limits::default() };
    let (entries, end) = rig.page().await.unwrap();
    assert_eq!((ids(&entries), end.unreadable), (vec!["oai:a.example:1", "oai:a.example:2", "oai:a.example:3"], 1));
    let Entry::Unreadable { why, .. } = &entries[1] else { panic!("it is too large") };
    assert_eq!(why, "it has more than 10000 bytes");
}

#[tokio::test]
async fn a_page_that_was_not_read_to_its_end_has_none() {
    let rig = rig([ok(page(&(record(1) + &record(2) + &token("", "a"))))]).await;
    let request = highwater_oai::protocol::Request::ListRecords(selection());
    let mut answer = rig.client().ask(&rig.contacts, &rig.clock(), &request).await.unwrap();
    assert!(answer.next().await.unwrap().is_some());
    assert!(matches!(answer.end(), Err(Fault::Truncated { .. })), "its token would be missed");
}

#[tokio::test]
async fn headers_alone_are_read_as_records_without_metadata() {
    let header =
        |n| format!("<header><identifier>oai:a.example:{n}</identifier><datestamp>2021-02-12</datestamp></header>");
    let answer = ok(around(&format!("<ListIdentifiers>{}{}</ListIdentifiers>", header(1), header(2))));
    let rig = rig([answer]).await;
    let (entries, _) = rig.read(&highwater_oai::protocol::Request::ListIdentifiers(selection())).await.unwrap();
    assert_eq!(ids(&entries), ["oai:a.example:1", "oai:a.example:2"]);
}

#[tokio::test]
async fn redirects_are_followed_and_one_in_a_circle_is_refused() {
    let there = |request: &Received| match request.path.split_once('?').unwrap() {
        ("/oai/request", query) => Answer::status(301).header("location", &format!("/new?{query}")),
        ("/new", _) => ok(page(&record(1))),
        _ => Answer::status(500),
    };
    let rig = scripted(there).await;
    assert_eq!(rig.page().await.unwrap().0.len(), 1);
    let rig = scripted(|_| Answer::status(302).header("location", "/oai/request?again")).await;
    let fault = rig.fault().await;
    assert_eq!(fault.to_string(), "the repository answered with HTTP status 302: it redirects to /oai/request?again");
    assert!(!fault.is_transient());
    assert_eq!(rig.far.requests().len(), 6);
}

#[tokio::test]
async fn errors_of_the_protocol_have_their_code_even_under_a_4xx() {
    for status in [200, 400, 404, 422] {
        let rig = rig([Answer::status(status).body(error("badArgument"))]).await;
        let Fault::Protocol(refused) = rig.fault().await else { panic!("it is an error of the protocol") };
        assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::BadArgument, "so it is"));
    }
    // Of several the one that is not just an empty list.
    let two = around("<error code=\"noRecordsMatch\"/><error code=\"badArgument\">no such set</error>");
    let Fault::Protocol(refused) = rig([ok(two)]).await.fault().await else { panic!("it is an error of the protocol") };
    assert_eq!(refused.message, "no such set");
}
