//! What becomes of records that are loaded.

use highwater_oai::catalog::{
    Access, Catalog, CatalogError, Figures, LOAD_RECORDS_MAX, Loaded, METADATA_BYTES_MAX, Shown,
};

use crate::made::{Made, deleted, everything, in_sets, now, record, titled};

const ID: &str = "oai:x:1/7";

fn figures(live: u64, deleted: u64, review: u64) -> Figures {
    Figures { live, deleted, works: live, review }
}

#[tokio::test]
async fn a_record_loaded_again_changes_nothing() {
    let made = Made::new();
    let one = || titled(ID, "2021-01-01T00:00:00Z", "One");
    assert_eq!(made.load([one(), one()]).await, [Loaded::New, Loaded::Same]);
    assert_eq!(made.load_one(one()).await, Loaded::Same);
    assert_eq!(made.catalog.figures().await.unwrap(), figures(1, 0, 0));
}

#[tokio::test]
async fn a_changed_record_replaces_everything_of_its_work() {
    let made = Made::new();
    let before = record(
        ID,
        "2021-01-01",
        "<dc:title>Alt</dc:title><dc:title>Ancien</dc:title><dc:creator>Ann</dc:creator><dc:subject>Fish</dc:subject>\
         <dc:identifier>9783428532544</dc:identifier><dc:rights>https://creativecommons.org/licenses/by/4.0/</dc:rights>\
         <dc:identifier>https://x.example/1</dc:identifier><dc:language>ger</dc:language>",
    );
    let after = record(ID, "2021-01-02", "<dc:title>Neu</dc:title><dc:creator>Bob</dc:creator>");
    made.load([in_sets(before, &["a:b", "c"])]).await;
    assert_eq!(made.load_one(in_sets(after, &["d"])).await, Loaded::Changed);

    let work = made.work("1/7").await;
    assert_eq!((work.work.title.as_str(), work.datestamp.as_str()), ("Neu", "2021-01-02"));
    assert_eq!(work.work.contributors.len(), 1);
    assert!(work.work.other_titles.is_empty() && work.work.links.is_empty() && work.work.licences.is_empty());
    assert_eq!(work.work.identifiers.len(), 1);
    for gone in ["alt", "ancien", "ann", "fish"] {
        assert_eq!(made.search(gone).await, Vec::<String>::new(), "{gone}");
    }
    assert_eq!(made.search("neu bob").await, [ID]);
    assert_eq!(made.catalog.show("9783428532544").await.unwrap(), None);
    let sets: Vec<String> = made.catalog.sets().await.unwrap().into_iter().map(|set| set.spec).collect();
    assert_eq!(sets, ["d"]);
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_record_that_another_program_understood_less_of_is_read_anew() {
    let made = Made::new();
    let one = || record(ID, "2021-01-01", "<dc:title>One</dc:title><dc:language>eng</dc:language>");
    made.load([one()]).await;
    made.database().execute("UPDATE work SET languages = '[]'", []).unwrap();
    assert_eq!(made.load([one(), one()]).await, [Loaded::Changed, Loaded::Same]);
    assert_eq!(made.work(ID).await.work.languages, ["eng"]);
}

#[tokio::test]
async fn a_change_of_sets_alone_is_a_change() {
    let made = Made::new();
    let one = |sets: &[&str]| in_sets(titled(ID, "2021-01-01", "One"), sets);
    made.load([one(&["a"])]).await;
    assert_eq!(made.load_one(one(&["b"])).await, Loaded::Changed);
    assert_eq!(made.work(ID).await.sets, ["b"]);
}

#[tokio::test]
async fn an_older_record_is_not_loaded_over_a_newer_one() {
    let made = Made::new();
    made.load([titled(ID, "2021-01-02T00:00:00Z", "New")]).await;
    assert_eq!(made.load_one(titled(ID, "2021-01-01T00:00:00Z", "Old")).await, Loaded::Older);
    assert_eq!(made.load_one(deleted(ID, "2021-01-01T00:00:00Z")).await, Loaded::Older);
    assert_eq!(made.load_one(record(ID, "2021-01-01T00:00:00Z", "")).await, Loaded::Older);
    assert_eq!(made.work(ID).await.work.title, "New");
    assert_eq!(made.catalog.figures().await.unwrap(), figures(1, 0, 0));
}

#[tokio::test]
async fn a_tombstone_removes_the_work_and_keeps_the_header() {
    let made = Made::new();
    made.load([in_sets(titled(ID, "2021-01-01", "Gone"), &["a"]), titled("oai:x:1/8", "2021-01-01", "Stays")]).await;
    let tombstone = || in_sets(deleted(ID, "2021-01-02"), &["a"]);
    assert_eq!(made.load([tombstone(), tombstone()]).await, [Loaded::Deleted, Loaded::AlreadyDeleted]);
    assert_eq!(made.load_one(deleted(ID, "2021-01-03")).await, Loaded::AlreadyDeleted);

    assert_eq!(made.search("gone").await, Vec::<String>::new());
    assert_eq!(made.search("stays").await, ["oai:x:1/8"]);
    assert_eq!(made.catalog.live_ids(None, 10).await.unwrap(), ["oai:x:1/8"]);
    assert!(!made.catalog.is_live(ID).await.unwrap());
    assert_eq!(made.catalog.record(ID).await.unwrap(), Some(deleted(ID, "2021-01-03")));
    assert_eq!(made.catalog.show(ID).await.unwrap(), Some(Shown::Deleted(deleted(ID, "2021-01-03").header)));
    assert_eq!(made.catalog.figures().await.unwrap(), figures(1, 1, 0));
    let metadata: i64 = made.database().query_row("SELECT count(*) FROM metadata", [], |row| row.get(0)).unwrap();
    assert_eq!(metadata, 1);
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_tombstone_of_an_unknown_record_is_kept() {
    let made = Made::new();
    assert_eq!(made.load_one(deleted(ID, "2021-01-02")).await, Loaded::Deleted);
    assert_eq!(made.catalog.figures().await.unwrap(), figures(0, 1, 0));
}

#[tokio::test]
async fn a_deleted_record_can_come_back() {
    let made = Made::new();
    made.load([titled(ID, "2021-01-01", "One"), deleted(ID, "2021-01-02")]).await;
    assert_eq!(made.load_one(titled(ID, "2021-01-03", "One again")).await, Loaded::New);
    assert_eq!(made.search("again").await, [ID]);
    assert_eq!(made.catalog.figures().await.unwrap(), figures(1, 0, 0));
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_stored_with_the_reason_and_costs_the_others_nothing() {
    let made = Made::new();
    let broken = |id: &str, metadata: &str| {
        let mut record = titled(id, "2021-01-01", "");
        record.metadata = Some(metadata.to_owned());
        record
    };
    let long = format!("<a>{}</a>", "x".repeat(METADATA_BYTES_MAX));
    let records = [
        titled("oai:x:1", "2021-01-01", "First"),
        titled("oai:x:2", "2021-01-01", ""),
        broken("oai:x:3", "<a>R&D</a>"),
        broken("oai:x:4", &long),
        {
            let mut none = broken("oai:x:5", "");
            none.metadata = None;
            none
        },
        titled("oai:x:6", "2021-01-01", "Last"),
    ];
    let loaded = made.load(records.clone()).await;
    let why = |at: usize| match &loaded[at] {
        Loaded::Review(why) => why.as_str(),
        other => panic!("{at}: {other:?}"),
    };
    assert_eq!((&loaded[0], &loaded[5]), (&Loaded::New, &Loaded::New));
    assert_eq!(why(1), "it has no title");
    assert!(why(2).contains("not well-formed at byte"), "{}", why(2));
    assert!(why(3).contains("expected 4194304 at most"), "{}", why(3));
    assert_eq!(why(4), "it has no metadata");
    assert_eq!(made.catalog.figures().await.unwrap(), figures(2, 0, 4));
    assert_eq!(made.catalog.live_ids(None, 10).await.unwrap(), ["oai:x:1", "oai:x:6"]);

    // They are not served, and are told when they are asked for by name.
    assert_eq!(made.catalog.count(&everything()).await.unwrap(), 2);
    assert_eq!(made.catalog.records(&everything(), None, 10, true).await.unwrap().records.len(), 2);
    assert_eq!(made.catalog.record("oai:x:3").await.unwrap(), None);
    assert!(
        matches!(made.catalog.show("oai:x:2").await.unwrap(), Some(Shown::Review { why, .. }) if why == "it has no title")
    );

    // What came is there.
    let first = made.catalog.in_review(None, 3).await.unwrap();
    let rest = made.catalog.in_review(first.next, 3).await.unwrap();
    let kept: Vec<_> = first.records.into_iter().chain(rest.records).collect();
    assert_eq!(made.catalog.in_review(rest.next, 3).await.unwrap().next, None);
    for (kept, at) in kept.iter().zip(1..) {
        assert_eq!((&kept.header, &kept.metadata), (&records[at].header, &records[at].metadata));
        assert_eq!(kept.why, why(at));
    }
    assert_eq!(kept.len(), 4);
    let lines = made.catalog.check().await.unwrap();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
    assert!(lines.iter().any(|line| line.text == "the metadata of 5 records can be read"), "{lines:?}");

    assert_eq!(made.load(records).await[1], Loaded::Review("it has no title".to_owned()));
    assert_eq!(made.catalog.figures().await.unwrap(), figures(2, 0, 4));
}

#[tokio::test]
async fn a_record_in_review_becomes_a_work_once_it_can_be_read() {
    let made = Made::new();
    made.load([record(ID, "2021-01-01", "")]).await;
    assert_eq!(made.load_one(titled(ID, "2021-01-02", "Mended")).await, Loaded::New);
    assert_eq!(made.catalog.figures().await.unwrap(), figures(1, 0, 0));
    assert!(matches!(made.load_one(record(ID, "2021-01-03", "")).await, Loaded::Review(_)));
    assert_eq!(made.search("mended").await, Vec::<String>::new());
    assert_eq!(made.catalog.figures().await.unwrap(), figures(0, 0, 1));
    assert_eq!(made.load_one(deleted(ID, "2021-01-04")).await, Loaded::Deleted);
    assert_eq!(made.catalog.figures().await.unwrap(), figures(0, 1, 0));
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_record_that_the_database_does_not_take_costs_itself_alone() {
    let made = Made::new();
    made.database()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON subject WHEN new.value = 'poison'
             BEGIN SELECT raise(ABORT, 'no poison here'); END",
        )
        .unwrap();
    let poison = record("oai:x:2", "2021-01-01", "<dc:title>Half</dc:title><dc:subject>poison</dc:subject>");
    let loaded = made.load([titled("oai:x:1", "2021-01-01", "A"), poison, titled("oai:x:3", "2021-01-01", "C")]).await;
    assert_eq!((&loaded[0], &loaded[2]), (&Loaded::New, &Loaded::New));
    assert!(matches!(&loaded[1], Loaded::Review(why) if why.contains("no poison here")), "{loaded:?}");
    assert_eq!(made.catalog.figures().await.unwrap(), figures(2, 0, 1));
    assert_eq!(made.search("half").await, Vec::<String>::new());
    assert_eq!(made.wrong().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_group_that_fails_leaves_nothing() {
    let made = Made::new();
    made.database()
        .execute_batch("CREATE TRIGGER refuse BEFORE UPDATE ON figure BEGIN SELECT raise(ABORT, 'not today'); END")
        .unwrap();
    let refused = made.catalog.load(vec![titled(ID, "2021-01-01", "One")], now()).await;
    assert!(matches!(refused, Err(CatalogError::Database { .. })), "{refused:?}");
    assert_eq!(made.catalog.show(ID).await.unwrap(), None);
    assert_eq!(made.catalog.search("one", 10, 0).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_group_has_a_bound() {
    let made = Made::new();
    let group = |count: usize| (0..count).map(|i| deleted(&format!("oai:x:{i}"), "2021-01-01")).collect::<Vec<_>>();
    assert_eq!(made.load(group(LOAD_RECORDS_MAX)).await.len(), LOAD_RECORDS_MAX);
    let refused = made.catalog.load(group(LOAD_RECORDS_MAX + 1), now()).await;
    assert!(matches!(refused, Err(CatalogError::TooMany { given, .. }) if given == LOAD_RECORDS_MAX + 1));
}

#[tokio::test]
async fn what_is_loaded_is_there_when_the_file_is_opened_again() {
    let made = Made::new();
    made.load([titled(ID, "2021-01-01", "One")]).await;
    made.catalog.close().await.unwrap();
    let again = Catalog::open(made.path(), now(), Access::ReadOnly).unwrap();
    assert_eq!(again.figures().await.unwrap(), figures(1, 0, 0));
    let refused = again.load(vec![titled(ID, "2021-01-02", "Two")], now()).await;
    assert!(matches!(refused, Err(CatalogError::ReadOnly { .. })));
}

#[tokio::test]
async fn one_who_only_reads_sees_what_another_loads() {
    let made = Made::new();
    let reader = Catalog::open(made.path(), now(), Access::ReadOnly).unwrap();
    made.load([titled(ID, "2021-01-01", "One")]).await;
    assert!(reader.is_live(ID).await.unwrap());
}

#[tokio::test]
async fn a_catalogue_that_is_not_there_is_not_made_to_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.db");
    let refused = Catalog::open(&path, now(), Access::ReadOnly);
    assert!(matches!(refused, Err(CatalogError::Database { .. })));
    assert!(!path.exists());
}
