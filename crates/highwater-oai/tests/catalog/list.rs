//! Records as a provider asks for them.

use highwater_oai::catalog::Cursor;
use highwater_oai::protocol::{Datestamp, Selection};

use crate::made::{Made, deleted, everything, in_sets, titled};

async fn some() -> Made {
    let made = Made::new();
    made.load([
        in_sets(titled("oai:x:5", "2021-01-05T10:00:00Z", "Five"), &["a:b"]),
        in_sets(titled("oai:x:1", "2021-01-01T10:00:00Z", "One"), &["a"]),
        in_sets(deleted("oai:x:3", "2021-01-03T10:00:00Z"), &["a:b", "c"]),
        in_sets(titled("oai:x:2", "2021-01-02T10:00:00Z", "Two"), &["ab"]),
        in_sets(titled("oai:x:4", "2021-01-03T10:00:00Z", "Four"), &[]),
    ])
    .await;
    made
}

fn select(set: Option<&str>, from: Option<&str>, until: Option<&str>) -> Selection {
    let stamp = |text: &str| Datestamp::parse(text).unwrap();
    Selection { set: set.map(str::to_owned), from: from.map(stamp), until: until.map(stamp), ..everything() }
}

/// The last part of the ids of a selection, in pages of two, after making sure that the count agrees.
async fn ids(made: &Made, select: &Selection) -> String {
    let mut ids = String::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = made.catalog.records(select, after, 2, false).await.unwrap();
        assert!(page.records.iter().all(|(_, record)| record.metadata.is_none()));
        ids.extend(page.records.iter().map(|(_, record)| &record.header.identifier["oai:x:".len()..]));
        assert_eq!(page.next, page.next.and(page.records.last().map(|(cursor, _)| *cursor)));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(made.catalog.count(select).await.unwrap(), ids.len() as u64, "{select:?}");
    ids
}

#[tokio::test]
async fn records_come_by_datestamp_and_then_as_they_came() {
    assert_eq!(ids(&some().await, &everything()).await, "12345");
}

#[tokio::test]
async fn a_set_has_the_records_of_those_below_it() {
    let made = some().await;
    for (set, expected) in [("a", "135"), ("a:b", "35"), ("ab", "2"), ("c", "3"), ("b", ""), ("", "")] {
        assert_eq!(ids(&made, &select(Some(set), None, None)).await, expected, "{set}");
    }
    let sets: Vec<String> = made.catalog.sets().await.unwrap().into_iter().map(|set| set.spec).collect();
    assert_eq!(sets, ["a", "a:b", "ab", "c"]);
}

#[tokio::test]
async fn both_ends_of_a_selection_are_in_it() {
    let made = some().await;
    for (from, until, expected) in [
        (Some("2021-01-02T10:00:00Z"), None, "2345"),
        (Some("2021-01-02T10:00:01Z"), None, "345"),
        (None, Some("2021-01-03T10:00:00Z"), "1234"),
        (None, Some("2021-01-03T09:59:59Z"), "12"),
        (Some("2021-01-02"), Some("2021-01-03"), "234"),
        (Some("2021-01-06"), None, ""),
        (Some("2021-01-03"), Some("2021-01-02"), ""),
        (None, Some("9999-12-30"), "12345"),
    ] {
        assert_eq!(ids(&made, &select(None, from, until)).await, expected, "{from:?} to {until:?}");
    }
    assert_eq!(ids(&made, &select(Some("a"), Some("2021-01-02"), Some("2021-01-04"))).await, "3");
}

#[tokio::test]
async fn a_record_comes_with_its_metadata_and_a_deleted_one_without() {
    let made = some().await;
    let page = made.catalog.records(&everything(), None, 3, true).await.unwrap();
    let one = in_sets(titled("oai:x:1", "2021-01-01T10:00:00Z", "One"), &["a"]);
    assert_eq!(page.records[0].1, one);
    assert_eq!(page.records[2].1.metadata, None);
    assert_eq!(made.catalog.record("oai:x:1").await.unwrap(), Some(one));
    assert_eq!(made.catalog.record("oai:x:9").await.unwrap(), None);
}

#[tokio::test]
async fn the_earliest_datestamp_is_of_a_record_that_is_served() {
    let made = Made::new();
    assert_eq!(made.catalog.earliest().await.unwrap(), None);
    made.load([
        deleted("oai:x:1", "2021-01-02"),
        titled("oai:x:2", "2021-01-03", "Two"),
        titled("oai:x:3", "2020-01-01", ""),
    ])
    .await;
    assert_eq!(made.catalog.earliest().await.unwrap().map(|at| at.to_string()).as_deref(), Some("2021-01-02"));
}

#[tokio::test]
async fn a_record_that_changes_moves_to_its_new_place() {
    let made = some().await;
    made.load([in_sets(titled("oai:x:1", "2021-02-01", "One"), &["a"])]).await;
    assert_eq!(ids(&made, &everything()).await, "23451");
    assert_eq!(ids(&made, &select(Some("a"), None, None)).await, "351");
}

#[tokio::test]
async fn live_ids_come_in_the_order_of_their_bytes() {
    let made = Made::new();
    made.load(["oai:x:9", "oai:x:10", "oai:X:1", "oai:x:é", "oai:x:a"].map(|id| titled(id, "2021-01-01", "T"))).await;
    let mut all = Vec::new();
    loop {
        let page = made.catalog.live_ids(all.last().map(String::as_str), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_eq!(all, ["oai:X:1", "oai:x:10", "oai:x:9", "oai:x:a", "oai:x:é"]);
}

#[test]
fn lists_are_read_from_an_index_in_their_order() {
    let made = Made::new();
    for sql in [
        include_str!("../../src/catalog/list/page.sql"),
        include_str!("../../src/catalog/list/page_of_set.sql"),
        include_str!("../../src/catalog/list/count.sql"),
        include_str!("../../src/catalog/list/count_of_set.sql"),
        include_str!("../../src/catalog/list/live_ids.sql"),
        include_str!("../../src/catalog/list/earliest.sql"),
        include_str!("../../src/catalog/list/in_review.sql"),
        include_str!("../../src/catalog/shown/find.sql"),
    ] {
        let database = made.database();
        let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let bound = statement.parameter_count();
        let plan =
            statement.query_map(rusqlite::params_from_iter(vec![1; bound]), |row| row.get::<_, String>(3)).unwrap();
        let plan = plan.collect::<Result<Vec<_>, _>>().unwrap().join("\n");
        let of_rows = |line: &str| line.starts_with("SCAN record") && !line.contains("INDEX");
        assert!(!plan.lines().any(of_rows), "{sql}\n{plan}");
        // What a person looks for is few.
        assert!(!plan.contains("TEMP B-TREE") || sql.contains("UNION ALL"), "{sql}\n{plan}");
    }
}
