//! Damage, and what finds it.

use highwater_oai::catalog::{Access, Catalog, CatalogError, Loaded};
use highwater_oai::protocol::Selection;

use crate::made::{Made, everything, in_sets, now, titled};

async fn three() -> Made {
    let made = Made::new();
    made.load((1..=3).map(|i| titled(&format!("oai:x:{i}"), "2021-01-01", &format!("Number {i}")))).await;
    made
}

#[tokio::test]
async fn r14_damaged_metadata_costs_one_record_and_loading_it_again_mends_it() {
    let made = three().await;
    made.database()
        .execute("UPDATE metadata SET zstd = substr(zstd, 1, length(zstd) - 1) WHERE record = 2", [])
        .unwrap();
    let page = made.catalog.records(&everything(), None, 10, true).await.unwrap();
    let ids: Vec<&str> = page.records.iter().map(|(_, record)| record.header.identifier.as_str()).collect();
    assert_eq!(ids, ["oai:x:1", "oai:x:3"]);
    assert_eq!(page.damaged, ["oai:x:2"]);
    assert!(
        matches!(made.catalog.record("oai:x:2").await, Err(CatalogError::DamagedRecord { oai_id }) if oai_id == "oai:x:2")
    );
    assert_eq!(made.catalog.records(&everything(), None, 10, false).await.unwrap().records.len(), 3);
    assert_eq!(made.work("2").await.work.title, "Number 2");
    let wrong = made.wrong().await;
    assert!(wrong.len() == 1 && wrong[0].ends_with("load them again: oai:x:2"), "{wrong:?}");

    assert_eq!(made.load_one(titled("oai:x:2", "2021-01-01", "Number 2")).await, Loaded::Changed);
    assert_eq!(made.wrong().await, Vec::<String>::new());
    assert_eq!(made.catalog.records(&everything(), None, 10, true).await.unwrap().records.len(), 3);
}

#[tokio::test]
async fn r14_a_page_that_ends_with_a_damaged_record_goes_on_after_it() {
    let made = three().await;
    made.database().execute("UPDATE metadata SET zstd = x'' WHERE record = 2", []).unwrap();
    let first = made.catalog.records(&everything(), None, 2, true).await.unwrap();
    assert_eq!((first.records.len(), first.damaged.len()), (1, 1));
    let second = made.catalog.records(&everything(), first.next, 2, true).await.unwrap();
    assert_eq!(second.records[0].1.header.identifier, "oai:x:3");
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn r14_a_damaged_row_costs_one_record_and_loading_it_again_mends_it() {
    let made = Made::new();
    let again = || (1..=3).map(|i| in_sets(titled(&format!("oai:x:{i}"), "2021-01-01", "T"), &["a"]));
    made.load(again()).await;
    made.database()
        .execute_batch(
            "UPDATE record SET sets = 'no list' WHERE id = 1; UPDATE work SET languages = CAST(x'ff' AS TEXT) WHERE id = 2",
        )
        .unwrap();
    let page = made.catalog.records(&everything(), None, 10, false).await.unwrap();
    assert_eq!((page.records.len(), page.damaged), (2, vec!["row 1".to_owned()]));
    let page = made.catalog.export_page(None, 10).await.unwrap();
    assert_eq!((page.works.len(), page.damaged), (1, vec!["work 1".to_owned(), "work 2".to_owned()]));

    assert_eq!(made.load(again()).await, [Loaded::Changed, Loaded::Changed, Loaded::Same]);
    let in_a = Selection { set: Some("a".to_owned()), ..everything() };
    assert_eq!(made.catalog.records(&in_a, None, 10, true).await.unwrap().records.len(), 3);
    assert_eq!(made.catalog.count(&in_a).await.unwrap(), 3);
    assert_eq!(made.catalog.export_page(None, 10).await.unwrap().works.len(), 3);
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_as_it_is_counted_is_found() {
    for (damage, words) in [
        ("UPDATE figure SET live = live + 1", "the figures say 4 live"),
        ("DELETE FROM work_text WHERE rowid = 2", "1 works and rows of the index of words"),
        ("INSERT INTO work_text (rowid, titles) VALUES (9, 'x')", "1 works and rows of the index of words"),
        ("DELETE FROM metadata WHERE record = 1", "1 records are live without a work or metadata"),
        ("DELETE FROM work_text_data WHERE id > 10", "work_text"),
    ] {
        let made = three().await;
        made.database().execute_batch(damage).unwrap();
        let wrong = made.wrong().await;
        assert!(wrong.iter().any(|line| line.contains(words)), "{damage}: {wrong:?}");
    }
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        assert!(matches!(Catalog::open(&path, now(), access), Err(CatalogError::Database { .. })));
    }
}
