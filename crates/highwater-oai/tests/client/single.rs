//! The verbs that are no lists of records.

use highwater_oai::client::{Fault, GetRecord, Unasked};
use highwater_oai::protocol::{DeletedRecord, ErrorCode, Granularity};
use highwater_testkit::faulty_http::Answer;

use crate::rig::{Rig, around, error, record, rig, token};

async fn got(body: String) -> GetRecord {
    let rig = rig([Answer::ok(body)]).await;
    rig.client().get_record(&rig.contacts, &rig.clock(), "oai:a.example:1", "oai_dc").await.unwrap()
}

fn get(record: &str) -> String {
    around(&format!("<GetRecord>{record}</GetRecord>"))
}

#[tokio::test]
async fn a_record_is_found_deleted_without_metadata_or_missing() {
    let GetRecord::Found(found) = got(get(&record(1))).await else { panic!("it is there") };
    assert!(found.metadata.unwrap().contains("Title 1"));
    let deleted = record(1).replace("<header>", "<header status=\"deleted\">");
    assert!(matches!(got(get(&deleted)).await, GetRecord::Deleted(header) if header.deleted));
    let bare = record(1).replace("<metadata>", "<about>").replace("</metadata>", "</about>");
    assert!(matches!(got(get(&bare)).await, GetRecord::NoMetadata(_)));
    for code in ["idDoesNotExist", "cannotDisseminateFormat"] {
        assert!(matches!(got(error(code)).await, GetRecord::Missing(error) if error.code.as_str() == code));
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_or_is_another_is_told() {
    let why = |got| match got {
        GetRecord::Unreadable { why } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(got(get(&record(2))).await), "asked for oai:a.example:1, it answers oai:a.example:2");
    assert_eq!(why(got(get("")).await), "the answer holds no record");
    let ill = record(1).replace("</title>", "</titel>");
    assert_eq!(why(got(get(&ill)).await), "ill-formed document: expected `</title>`, but `</titel>` was found");
}

#[tokio::test]
async fn any_other_error_is_a_fault() {
    let rig = rig([Answer::ok(error("badArgument")), Answer::status(404)]).await;
    let client = rig.client();
    let asked = client.get_record(&rig.contacts, &rig.clock(), "oai:a.example:1", "oai_dc").await;
    assert!(matches!(asked, Err(Unasked::Fault(Fault::Protocol(error))) if error.code == ErrorCode::BadArgument));
    let asked = client.get_record(&rig.contacts, &rig.clock(), "oai:a.example:1", "oai_dc").await;
    assert!(matches!(asked, Err(Unasked::Fault(Fault::Status { status: 404, .. }))));
    let asked = rig.far.requests()[0].path.clone();
    assert_eq!(asked, "/oai/request?verb=GetRecord&identifier=oai%3Aa.example%3A1&metadataPrefix=oai_dc");
}

async fn identified(rig: &Rig) -> highwater_oai::protocol::Identify {
    rig.client().identify(&rig.contacts, &rig.clock()).await.unwrap()
}

#[tokio::test]
async fn a_repository_says_what_it_is() {
    let body = around(
        "<Identify><repositoryName>R&amp;D</repositoryName><baseURL>http://a.example/oai</baseURL>\
         <protocolVersion>2.0</protocolVersion><adminEmail>a@a.example</adminEmail><adminEmail>b@a.example</adminEmail>\
         <earliestDatestamp>2013-01-01T00:00:00Z</earliestDatestamp><deletedRecord>transient</deletedRecord>\
         <granularity>YYYY-MM-DDThh:mm:ssZ</granularity><compression>gzip</compression>\
         <description><x:y xmlns:x=\"urn:x\"><repositoryName>no</repositoryName></x:y></description></Identify>",
    );
    let identify = identified(&rig([Answer::ok(body)]).await).await;
    assert_eq!((identify.repository_name.as_str(), identify.base_url.as_str()), ("R&D", "http://a.example/oai"));
    assert_eq!(identify.earliest.to_string(), "2013-01-01T00:00:00Z");
    assert_eq!((identify.deleted_record, identify.granularity), (DeletedRecord::Transient, Granularity::Second));
    assert_eq!(identify.admin_emails, ["a@a.example", "b@a.example"]);
}

#[tokio::test]
async fn what_a_repository_does_not_say_of_itself_is_read_as_what_promises_least() {
    let body =
        around("<Identify><earliestDatestamp>long ago</earliestDatestamp><granularity>second</granularity></Identify>");
    let identify = identified(&rig([Answer::ok(body)]).await).await;
    assert_eq!((identify.deleted_record, identify.granularity), (DeletedRecord::No, Granularity::Day));
    assert_eq!(identify.earliest.to_string(), "1970-01-01");
}

#[tokio::test]
async fn sets_are_listed_over_all_pages() {
    let set = |n| {
        format!("<set><setSpec>s{n}</setSpec><setName>Set {n}</setName><setDescription><a/></setDescription></set>")
    };
    let list = |inside: String| Answer::ok(around(&format!("<ListSets>{inside}</ListSets>")));
    let listed = rig([list(set(1) + &set(2) + &token("", "a")), list(set(3))]).await;
    let sets = listed.client().list_sets(&listed.contacts, &listed.clock()).await.unwrap();
    let named: Vec<_> = sets.iter().map(|set| (set.spec.as_str(), set.name.as_str())).collect();
    assert_eq!(named, [("s1", "Set 1"), ("s2", "Set 2"), ("s3", "Set 3")]);
    let flat = rig([Answer::ok(error("noSetHierarchy"))]).await;
    assert_eq!(flat.client().list_sets(&flat.contacts, &flat.clock()).await.unwrap(), []);
    let circle = rig([list(set(1) + &token("", "a")), list(set(2) + &token("", "a"))]).await;
    let circle = circle.client().list_sets(&circle.contacts, &circle.clock()).await;
    assert!(matches!(circle, Err(Unasked::Fault(Fault::Malformed { .. }))), "{circle:?}");
}

#[tokio::test]
async fn formats_are_listed_and_a_record_may_have_none() {
    let body = around(
        "<ListMetadataFormats><metadataFormat><metadataPrefix>oai_dc</metadataPrefix><schema>http://s</schema>\
         <metadataNamespace>http://n</metadataNamespace></metadataFormat></ListMetadataFormats>",
    );
    let rig = rig([Answer::ok(body), Answer::ok(error("noMetadataFormats"))]).await;
    let formats = rig.client().list_metadata_formats(&rig.contacts, &rig.clock(), None).await.unwrap();
    assert_eq!((formats[0].prefix.as_str(), formats[0].namespace.as_str()), ("oai_dc", "http://n"));
    let none = rig.client().list_metadata_formats(&rig.contacts, &rig.clock(), Some("oai:a:1")).await.unwrap();
    assert_eq!(none, []);
    assert_eq!(rig.far.requests()[1].path, "/oai/request?verb=ListMetadataFormats&identifier=oai%3Aa%3A1");
}
