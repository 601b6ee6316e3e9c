//! Records and catalogues made for tests.

use std::path::PathBuf;

use highwater_oai::catalog::{Access, Catalog, Loaded, Shown, WorkView};
use highwater_oai::protocol::{Datestamp, Header, Record, Selection};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

/// A catalogue in a directory of its own.
pub(crate) struct Made {
    pub(crate) catalog: Catalog,
    directory: TempDir,
}

impl Made {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(directory.path().join("catalog.db"), now(), Access::ReadWrite).unwrap();
        Self { catalog, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("catalog.db")
    }

    pub(crate) async fn load(&self, records: impl IntoIterator<Item = Record>) -> Vec<Loaded> {
        self.catalog.load(records.into_iter().collect(), now()).await.unwrap()
    }

    /// Loads one record.
    pub(crate) async fn load_one(&self, record: Record) -> Loaded {
        self.load([record]).await.remove(0)
    }

    pub(crate) async fn work(&self, id: &str) -> WorkView {
        match self.catalog.show(id).await.unwrap() {
            Some(Shown::Work(work)) => *work,
            other => panic!("{id}: {other:?}"),
        }
    }

    /// The OAI ids of the works that a query finds, which are all that match.
    pub(crate) async fn search(&self, query: &str) -> Vec<String> {
        let page = self.catalog.search(query, 100, 0).await.unwrap();
        assert_eq!(page.total, page.hits.len() as u64, "{query}");
        page.hits.into_iter().map(|hit| hit.id).collect()
    }

    /// The database, as another program sees it.
    pub(crate) fn database(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// What the check finds wrong.
    pub(crate) async fn wrong(&self) -> Vec<String> {
        let lines = self.catalog.check().await.unwrap();
        lines.into_iter().filter(|line| !line.ok).map(|line| line.text).collect()
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

pub(crate) fn header(id: &str, datestamp: &str) -> Header {
    Header {
        identifier: id.to_owned(),
        datestamp: Datestamp::parse(datestamp).unwrap(),
        sets: Vec::new(),
        deleted: false,
    }
}

/// A record of plain Dublin Core with these elements.
pub(crate) fn record(id: &str, datestamp: &str, elements: &str) -> Record {
    let metadata = format!(
        "<oai_dc:dc xmlns:oai_dc='http://www.openarchives.org/OAI/2.0/oai_dc/' \
         xmlns:dc='http://purl.org/dc/elements/1.1/'>{elements}</oai_dc:dc>"
    );
    Record { header: header(id, datestamp), metadata: Some(metadata) }
}

/// A record that has a title.
pub(crate) fn titled(id: &str, datestamp: &str, title: &str) -> Record {
    record(id, datestamp, &format!("<dc:title>{title}</dc:title>"))
}

pub(crate) fn in_sets(mut record: Record, sets: &[&str]) -> Record {
    record.header.sets = sets.iter().map(|set| (*set).to_owned()).collect();
    record
}

pub(crate) fn deleted(id: &str, datestamp: &str) -> Record {
    Record { header: Header { deleted: true, ..header(id, datestamp) }, metadata: None }
}

pub(crate) fn everything() -> Selection {
    Selection { metadata_prefix: "oai_dc".to_owned(), ..Selection::default() }
}
