//! Exports.

use highwater_oai::catalog::export::{csv_header, csv_row, json_line};

use crate::made::{Made, in_sets, record, titled};

async fn one() -> Made {
    let made = Made::new();
    let one = record(
        "oai:x:1",
        "2021-01-01",
        "<dc:title>=cmd|' /C calc'!A0</dc:title><dc:title>+1</dc:title><dc:creator>@Doe, \"J\"</dc:creator>\
         <dc:creator>Roe (ed.)</dc:creator><dc:subject>-</dc:subject><dc:subject>a; b</dc:subject><dc:date>2019</dc:date>\
         <dc:identifier>9783428532544</dc:identifier><dc:identifier>10.1/X</dc:identifier>\
         <dc:identifier>https://x.example/a.pdf</dc:identifier><dc:language>eng</dc:language><dc:type>book</dc:type>\
         <dc:rights>https://creativecommons.org/licenses/by/4.0/</dc:rights><dc:publisher>P</dc:publisher>",
    );
    made.load([in_sets(one, &["a", "b"])]).await;
    made
}

#[tokio::test]
async fn a_row_has_a_cell_for_each_column_and_none_is_a_formula() {
    let view = one().await.work("1").await;
    insta::assert_snapshot!(format!("{}{}", csv_header(), csv_row(&view)));
    let csv = format!("{}{}", csv_header(), csv_row(&view));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, columns));
    assert!(rows[0].iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{rows:?}");
}

#[tokio::test]
async fn a_line_of_json_has_everything() {
    let line = json_line(&one().await.work("1").await);
    assert_eq!(line.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    insta::assert_json_snapshot!(value);
}

#[tokio::test]
async fn an_export_goes_on_where_it_was_and_ends() {
    let made = Made::new();
    made.load((0..5).map(|i| titled(&format!("oai:x:{i}"), "2021-01-01", "T"))).await;
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = made.catalog.export_page(after, 2).await.unwrap();
        ids.extend(page.works.into_iter().map(|work| work.id));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(ids, ["oai:x:0", "oai:x:1", "oai:x:2", "oai:x:3", "oai:x:4"]);
}
