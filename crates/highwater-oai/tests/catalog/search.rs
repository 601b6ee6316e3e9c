//! Searching.

use crate::made::{Made, record, titled};

async fn some() -> Made {
    let made = Made::new();
    made.load([
        record(
            "oai:x:1",
            "2021-01-01",
            "<dc:title>Orožen geography</dc:title><dc:creator>Müller, Jürgen</dc:creator><dc:subject>Economics</dc:subject>",
        ),
        record("oai:x:2", "2021-01-01", "<dc:title>Human geography</dc:title><dc:subject>Orozen</dc:subject>"),
        record("oai:x:3", "2021-01-01", "<dc:title>Geography, human</dc:title><dc:description>Orozen</dc:description>"),
        titled("oai:x:4", "2021-01-01", "Ελληνική ιστορία"),
        titled("oai:x:5", "2021-01-01", "Việt Nam 1945"),
    ])
    .await;
    made
}

#[tokio::test]
async fn words_are_found_whatever_their_case_and_diacritics() {
    let made = some().await;
    for (query, found) in [
        ("orozen", vec!["oai:x:1", "oai:x:2"]),
        ("OROŽEN", vec!["oai:x:1", "oai:x:2"]),
        ("muller jurgen", vec!["oai:x:1"]),
        ("mu\u{308}ller", vec!["oai:x:1"]),
        ("ΕΛΛΗΝΙΚΉ", vec!["oai:x:4"]),
        ("viet 1945", vec!["oai:x:5"]),
        ("economics geography", vec!["oai:x:1"]),
        ("economics history", vec![]),
    ] {
        let mut ids = made.search(query).await;
        ids.sort();
        assert_eq!(ids, found, "{query}");
    }
}

#[tokio::test]
async fn letters_of_other_alphabets_are_found_by_how_they_are_typed_without_them() {
    let made = Made::new();
    made.load([
        record(
            "oai:x:1",
            "2021-01-01",
            "<dc:title>Straße der Fußgänger</dc:title><dc:creator>Łukasiewicz, Jan</dc:creator>",
        ),
        record("oai:x:2", "2021-01-01", "<dc:title>Sønderjylland og Ærø</dc:title><dc:subject>Đặng</dc:subject>"),
        titled("oai:x:3", "2021-01-01", "Œuvres de Ðorđe Þórðarson, Kadın"),
        titled("oai:x:4", "2021-01-01", "日本語の本の歴史 History"),
    ])
    .await;
    for (query, found) in [
        ("strasse", vec!["oai:x:1"]),
        ("STRASSE fussganger", vec!["oai:x:1"]),
        ("straße", vec!["oai:x:1"]),
        ("lukasiewicz", vec!["oai:x:1"]),
        ("Łukasiewicz", vec!["oai:x:1"]),
        ("łuk*", vec!["oai:x:1"]),
        ("sonderjylland aero", vec!["oai:x:2"]),
        ("dang", vec!["oai:x:2"]),
        ("oeuvres dorde thordarson kadin", vec!["oai:x:3"]),
        ("歴史", vec!["oai:x:4"]),
        ("日本語 history", vec!["oai:x:4"]),
        ("史歴", vec![]),
    ] {
        assert_eq!(made.search(query).await, found, "{query}");
    }
}

#[tokio::test]
async fn a_work_is_found_by_its_isbn_doi_or_identifier() {
    let made = Made::new();
    made.load([
        record(
            "oai:x:1",
            "2021-01-01",
            "<dc:title>One</dc:title><dc:identifier>978-3-428-53254-4</dc:identifier>\
             <dc:identifier>https://doi.org/10.3790/A-B</dc:identifier><dc:identifier>hdl:20.5/7</dc:identifier>",
        ),
        record("oai:x:2", "2021-01-01", "<dc:title>Two</dc:title><dc:identifier>9783428532544</dc:identifier>"),
        titled("oai:x:3", "2021-01-01", "Printed as 9783161484100"),
    ])
    .await;
    for (query, found) in [
        ("9783428532544", vec!["oai:x:1", "oai:x:2"]),
        (" 978-3-428-53254-4 ", vec!["oai:x:1", "oai:x:2"]),
        ("3-428-53254-6", vec!["oai:x:1", "oai:x:2"]),
        ("10.3790/a-b", vec!["oai:x:1"]),
        ("https://doi.org/10.3790/A-b", vec!["oai:x:1"]),
        ("20.5/7", vec!["oai:x:1"]),
        ("9783161484100", vec!["oai:x:3"]),
        ("9783161484101", vec![]),
    ] {
        let mut ids = made.search(query).await;
        ids.sort();
        assert_eq!(ids, found, "{query}");
    }
}

#[tokio::test]
async fn a_phrase_is_found_in_its_order_and_a_beginning_by_its_star() {
    let made = some().await;
    assert_eq!(made.search("\"human geography\"").await, ["oai:x:2"]);
    assert_eq!(made.search("human geography").await.len(), 2);
    assert_eq!(made.search("geogr").await, Vec::<String>::new());
    assert_eq!(made.search("geogr*").await.len(), 3);
    assert_eq!(made.search("\"human geo\"*").await, ["oai:x:2"]);
}

#[tokio::test]
async fn a_word_in_the_title_counts_more_than_in_a_subject() {
    assert_eq!(some().await.search("orozen").await, ["oai:x:1", "oai:x:2"]);
}

#[tokio::test]
async fn what_would_be_syntax_is_taken_for_words() {
    let made = some().await;
    for query in [
        "",
        "\"",
        "\"\"\"",
        "*",
        "**",
        "a*b*",
        "AND",
        "OR NOT",
        "NEAR(",
        "NEAR(a b, 2)",
        "title:x",
        "names : y",
        "{titles}: z",
        "^human",
        "-human",
        "(human",
        "human)",
        "+",
        "a + b",
        "'; DROP TABLE work; --",
        "\u{0}",
        "a\u{0}\"b",
        "ⓐ",
        "\u{301}",
        "\\",
        "%",
        "work_text",
        "rank",
        "\u{202e}",
        "😀",
        "\"😀\"*",
    ] {
        made.catalog.search(query, 10, 0).await.unwrap_or_else(|error| panic!("{query:?}: {error:?}"));
    }
    assert_eq!(made.search("(human) geography:").await.len(), 2);
    assert_eq!(made.search("human OR economics").await, Vec::<String>::new());
}

#[tokio::test]
async fn pages_of_a_search_follow_each_other() {
    let made = Made::new();
    made.load((0..25).map(|i| titled(&format!("oai:x:{i}"), "2021-01-01", "The same title"))).await;
    let mut ids = Vec::new();
    for offset in [0, 10, 20, 30] {
        let page = made.catalog.search("same", 10, offset).await.unwrap();
        assert_eq!(page.total, 25);
        ids.extend(page.hits.into_iter().map(|hit| hit.id));
    }
    assert_eq!(ids.len(), 25);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 25);
}

#[tokio::test]
async fn hostile_text_is_stored_and_shown_harmless() {
    let made = Made::new();
    made.load([titled("oai:x:2", "2021-01-01", "Evil\u{9b}2J &lt;script&gt;\u{202e} '\"; DROP")]).await;
    let view = made.work("2").await;
    assert_eq!(view.work.title, "Evil 2J <script>\u{202e} '\"; DROP");
    let text = highwater_oai::catalog::view::text(&view);
    assert!(text.starts_with("Evil 2J <script>\u{fffd} '\"; DROP\n"), "{text}");
    assert_eq!(made.search("<script>").await, ["oai:x:2"]);
}
