//! The real records of a repository.

use std::path::{Path, PathBuf};

use highwater_oai::catalog::view::text;
use highwater_oai::catalog::{Figures, Loaded, Shown};
use highwater_oai::protocol::{Datestamp, Header, Record};
use highwater_testkit::not_here::NotHere;

use crate::made::{Made, everything};

const FILE: &str = "doab-listrecords-100.xml";

/// The file's records, taken apart by hand: they declare their own namespaces.
fn records(test: &str) -> Option<Vec<Record>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let directory = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(beside, PathBuf::from);
    let Ok(file) = std::fs::read_to_string(directory.join(FILE)) else {
        NotHere(format!("{FILE} is not in ../shared/data, nor where HIGHWATER_SHARED_DATA says")).say(test);
        return None;
    };
    let records: Vec<Record> = file.split("<record>").skip(1).map(record).collect();
    assert_eq!(records.len(), 100);
    Some(records)
}

fn record(text: &str) -> Record {
    let (header, metadata) = text.split_once("</header>").unwrap();
    Record {
        header: Header {
            identifier: between(header, "<identifier>", "</identifier>").unwrap().to_owned(),
            datestamp: Datestamp::parse(between(header, "<datestamp>", "</datestamp>").unwrap()).unwrap(),
            sets: header.split("<setSpec>").skip(1).map(|set| set.split('<').next().unwrap().to_owned()).collect(),
            deleted: header.contains("status=\"deleted\""),
        },
        metadata: between(metadata, "<metadata>", "</metadata>").map(str::to_owned),
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

#[tokio::test]
async fn every_real_record_loads_and_is_served_as_it_came() {
    let Some(records) = records("every_real_record_loads_and_is_served_as_it_came") else { return };
    let made = Made::new();
    let loaded = made.load(records.clone()).await;
    let count = |became: Loaded| loaded.iter().filter(|one| **one == became).count();
    assert_eq!((count(Loaded::New), count(Loaded::Deleted)), (95, 5), "{loaded:?}");
    assert_eq!(made.catalog.figures().await.unwrap(), Figures { live: 95, deleted: 5, works: 95, review: 0 });

    let mut served: Vec<Record> = Vec::new();
    let mut after = None;
    loop {
        let page = made.catalog.records(&everything(), after, 7, true).await.unwrap();
        assert!(page.damaged.is_empty());
        served.extend(page.records.into_iter().map(|(_, record)| record));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    let mut expected = records.clone();
    expected.sort_by_key(|record| record.header.datestamp);
    assert_eq!(served, expected);

    let again = made.load(records).await;
    assert_eq!(again.iter().filter(|one| **one == Loaded::Same).count(), 95);
    assert_eq!(again.iter().filter(|one| **one == Loaded::AlreadyDeleted).count(), 5);
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_real_work_is_shown_with_all_that_is_known_of_it() {
    let Some(records) = records("a_real_work_is_shown_with_all_that_is_known_of_it") else { return };
    let made = Made::new();
    made.load(records).await;
    let view = made.work("20.500.12854/62752").await;
    insta::assert_snapshot!(text(&view));
    for called in [
        "oai:directory.doabooks.org:20.500.12854/62752",
        "978-3-428-53254-4",
        "3428532546",
        "https://doi.org/10.3790/978-3-428-53254-4",
        "https://directory.doabooks.org/handle/20.500.12854/62752",
    ] {
        assert_eq!(made.work(called).await, view, "{called}");
    }
    let found = made.search("\"zeichen europaischer\" PAUL makro*").await;
    assert_eq!(found, [view.id]);
}

#[tokio::test]
async fn real_records_say_what_people_look_for() {
    let Some(records) = records("real_records_say_what_people_look_for") else { return };
    let made = Made::new();
    made.load(records).await;
    let works = made.catalog.export_page(None, 1_000).await.unwrap().works;
    assert_eq!(works.len(), 95);
    let with =
        |has: &dyn Fn(&highwater_oai::catalog::Work) -> bool| works.iter().filter(|view| has(&view.work)).count();
    assert_eq!(with(&|work| work.types == ["book"]), 89);
    assert_eq!(with(&|work| work.types == ["chapter"]), 6);
    assert_eq!(with(&|work| work.year.is_some()), 95);
    assert_eq!(with(&|work| work.languages.iter().all(|code| code.len() == 3)), 95);
    let unverified: Vec<String> = works
        .iter()
        .flat_map(|view| view.work.identifiers.iter().filter(|id| id.kind.ends_with("unverified")))
        .map(|id| format!("{} {}", id.kind, id.value))
        .collect();
    assert_eq!(unverified, ["issn-unverified 1572-2892", "issn-unverified 2228-411", "issn-unverified 1572-2892"]);
    assert_eq!(with(&|work| work.contributors.iter().any(|c| c.name.ends_with(')'))), 0);
    // These have no licence condition but that of being open.
    assert_eq!(with(&|work| work.licences.is_empty()), 15);
}

#[tokio::test]
async fn a_deleted_real_record_is_shown_as_one() {
    let Some(records) = records("a_deleted_real_record_is_shown_as_one") else { return };
    let made = Made::new();
    made.load(records).await;
    let shown = made.catalog.show("20.500.12854/79864").await.unwrap();
    assert!(matches!(shown, Some(Shown::Deleted(header)) if header.datestamp.to_string() == "2022-04-01T10:03:02Z"));
}
