//! Answers that are none: bans, pages for people, connections that break.

use highwater_engine::job::Stop;
use highwater_oai::client::{Fault, Unasked};
use highwater_testkit::faulty_http::Answer;
use std::time::Duration;

use crate::rig::{around, page, record, rig, token};

#[tokio::test]
async fn a_page_for_people_is_an_error_and_never_an_empty_list() {
    for (body, shown) in [
        ("<!DOCTYPE html>\n<html><head><title>Just a moment</title>", "HTML (\"Just a moment\")"),
        ("<html><body>Down</body></html>", "HTML (\"Down\")"),
        ("{\"error\": \"down\"}", "`{\"error\": \"down\"}`"),
        ("Fatal error: <b>memory</b>", "`Fatal error: <b>memory</b>`"),
        ("<rss><ListRecords/></rss>", "`<rss><ListRecords/></rss>`"),
        (" \n", "nothing"),
        ("", "nothing"),
    ] {
        let fault = rig([Answer::ok(body)]).await.fault().await;
        assert!(matches!(fault, Fault::NotOai(_)) && fault.is_transient(), "{body}: {fault:?}");
        assert_eq!(fault.to_string(), format!("the answer is {shown} instead of OAI-PMH"));
    }
}

#[tokio::test]
async fn an_answer_without_a_list_or_to_another_verb_is_never_an_empty_list() {
    for (body, told) in [
        (around(""), "it has neither an answer nor an error"),
        ("<OAI-PMH/>".to_owned(), "it has neither an answer nor an error"),
        (around("<ListIdentifiers></ListIdentifiers>"), "asked for ListRecords, it answers ListIdentifiers"),
        (page("<Record/><Record/>"), "none of its 2 elements is a record"),
        (page(&(record(1) + "<error code=\"badVerb\">?</error>")), "after 1 records it says badVerb: ?"),
        (page(&(record(1) + "<resumptionToken a='<'>a</resumptionToken>")), "a tag has no end"),
        (
            page(&token("", "a<b></c>")),
            "its resumptionToken: ill-formed document: expected `</b>`, but `</c>` was found",
        ),
    ] {
        let fault = rig([Answer::ok(body)]).await.fault().await;
        assert!(matches!(&fault, Fault::Malformed { what, .. } if what == told), "{told}: {fault:?}");
        assert!(!fault.is_transient(), "nobody has seen it before");
    }
}

#[tokio::test]
async fn a_403_is_a_ban_and_the_record_is_innocent() {
    let mut rig = rig([Answer::status(403).body("<html>Just a moment</html>")]).await;
    rig.endpoint.fallback_ban = Some(Duration::from_secs(3600));
    assert_eq!(rig.ban_secs().await, 3600);
    assert!(matches!(rig.page().await, Err(Unasked::Stop(Stop::Ban { .. }))));
    assert_eq!(rig.far.requests().len(), 1, "no contact while it stands");
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_as_a_date_and_24_hours_long() {
    let rig_of = |status, retry_after: &'static str, date: &'static str| {
        rig([Answer::status(status).header("retry-after", retry_after).header("date", date)])
    };
    let noon = "Fri, 20 Nov 2026 12:00:00 GMT";
    assert_eq!(rig_of(429, "86400", noon).await.ban_secs().await, 86_400);
    assert_eq!(rig_of(503, "Fri, 20 Nov 2026 13:00:00 GMT", noon).await.ban_secs().await, 3600);
    assert_eq!(rig_of(403, "7200", noon).await.ban_secs().await, 7200);
}

#[tokio::test]
async fn an_absent_retry_after_is_the_fallback() {
    for status in [429, 503] {
        let mut rig = rig([Answer::status(status)]).await;
        rig.endpoint.fallback_ban = Some(Duration::from_secs(1800));
        assert_eq!(rig.ban_secs().await, 1800);
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_out_and_the_page_is_read() {
    let rig = rig([Answer::status(429).header("retry-after", "20"), Answer::ok(page(&record(1)))]).await;
    assert_eq!(rig.page().await.unwrap().0.len(), 1);
    assert_eq!(rig.contacts.meter().spent().contacts, 2);
}

#[tokio::test]
async fn a_4xx_is_refused_for_good_with_what_it_says() {
    for status in [400, 401, 404, 410] {
        let fault = rig([Answer::status(status).body("<html>\n<b>No</b>")]).await.fault().await;
        assert_eq!(fault.to_string(), format!("the repository answered with HTTP status {status}: HTML (\"No\")"));
        assert!(!fault.is_transient());
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_and_may_pass() {
    let fault = rig([Answer::hang_up()]).await.fault().await;
    assert_eq!(fault.to_string(), "the repository did not answer: connection closed before message completed");
    assert!(fault.is_transient());
    let fault = rig([Answer::ok(page(&record(1).repeat(9))).cut_after(1000)]).await.fault().await;
    assert!(matches!(fault, Fault::Interrupted { .. }) && fault.is_transient(), "{fault:?}");
}

#[tokio::test]
async fn truncated_xml_is_told_wherever_it_breaks_off() {
    let whole = page(&(record(1).replace("Title 1", "<![CDATA[Title]]><!-- 1 -->") + &token("", "a")));
    for length in 1..whole.len() {
        let fault = rig_fault(&whole[..length]);
        assert!(fault.is_transient() && matches!(fault, Fault::Truncated { .. }), "{length}: {fault:?}");
    }
    let told = |up_to: &str| rig_fault(&whole[..whole.find(up_to).unwrap() + up_to.len()]).to_string();
    let cut = told("<![CDATA[Ti");
    assert!(
        cut.starts_with("the answer breaks off after ") && cut.ends_with(", in a CDATA section in `<record>`"),
        "{cut}"
    );
    assert!(told("<ListRec").ends_with("in a tag in `<OAI-PMH>`"));
    assert!(told("</record>").ends_with("in `<ListRecords>`"));
}

/// The fault of an answer that is exactly this.
fn rig_fault(body: &str) -> Fault {
    use highwater_oai::client::{Limits, parse::Parser};
    use highwater_oai::protocol::Verb;
    let mut parser = Parser::new(Verb::ListRecords, Limits::default());
    parser.feed(body.as_bytes()).unwrap();
    parser.finish();
    loop {
        match parser.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("taken for whole: {body}"),
            Err(fault) => return fault,
        }
    }
}
