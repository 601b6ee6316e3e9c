//! The repository of these tests: invented books behind a provider in this process, whose log says who contacted it.

use std::path::Path;
use std::sync::Arc;

use highwater_engine::clock::SystemClock;
use highwater_oai::catalog::{Access, Catalog};
use highwater_oai::protocol::{Header, Record};
use highwater_oai::provider::{Generated, Memory, PATH, ProviderLog, ProviderSettings, Repository, router, serve};
use tokio::runtime::Runtime;

/// What comes before the identifiers that people see.
pub(crate) const PREFIX: &str = "oai:books.example.org:";
/// Enough for several pages.
const PAGE_SIZE: usize = 25;

/// A repository that is asked over HTTP until it is dropped.
pub(crate) struct FarSide {
    pub(crate) url: String,
    pub(crate) books: Arc<Memory>,
    log: Arc<ProviderLog>,
    runtime: Runtime,
}

impl FarSide {
    /// So many books, and so many that were deleted among them.
    pub(crate) fn new(live: u64, deleted: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let books = Arc::new(Generated { live, deleted, ..Generated::default() }.repository());
        let log = Arc::new(ProviderLog::default());
        let settings = ProviderSettings { page_size: PAGE_SIZE, log: Arc::clone(&log), ..ProviderSettings::default() };
        let repository = Arc::clone(&books) as Arc<dyn Repository>;
        let router = router(repository, settings, SystemClock::shared());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, router, std::future::pending()));
        Self { url, books, log, runtime }
    }

    /// How many requests it had.
    pub(crate) fn contacts(&self) -> u64 {
        self.log.count()
    }

    /// The records that were asked for one by one, as people see their identifiers, in order of the asking.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.requests().into_iter().filter_map(|served| served.identifier).map(|id| local(&id)).collect()
    }

    /// The identifiers of live books, as people see them.
    pub(crate) fn live(&self) -> Vec<String> {
        self.named(false)
    }

    /// Those of deleted ones.
    pub(crate) fn deleted(&self) -> Vec<String> {
        self.named(true)
    }

    fn named(&self, deleted: bool) -> Vec<String> {
        self.books.headers().iter().filter(|header| header.deleted == deleted).map(|h| local(&h.identifier)).collect()
    }

    /// Whatever of a repository is to be asked here, without a contact.
    pub(crate) fn record(&self, local: &str) -> Record {
        let id = format!("{PREFIX}{local}");
        self.runtime.block_on(self.books.record(&id, "oai_dc")).unwrap().unwrap()
    }

    /// Loads live books of these names into the catalogue at `path`; what they say is the same for all, and known nowhere.
    pub(crate) fn load(&self, path: &Path, locals: &[String]) {
        let template = self.record(&self.live()[0]);
        let record = |local: &String| Record {
            header: Header { identifier: format!("{PREFIX}{local}"), ..template.header.clone() },
            metadata: template.metadata.clone(),
        };
        let now = SystemClock::shared().now();
        self.runtime.block_on(async {
            let catalog = Catalog::open(path, now, Access::ReadWrite).unwrap();
            catalog.load(locals.iter().map(record).collect(), now).await.unwrap();
            catalog.close().await.unwrap();
        });
    }

    /// A job `missing` that drains what is missing; `more` are fields of its own, then tables.
    pub(crate) fn backfill(&self, more: &str) -> String {
        format!(
            "[resource.books]\nlock = \"file:books.lock\"\npace = \"0s\"\n\n[job.missing]\nkind = \"oai-backfill\"\n\
             resources = [\"books\"]\nrepository = {{ base-url = \"{}\", identifier-prefix = \"{PREFIX}\" }}\n{more}",
            self.url
        )
    }
}

fn local(identifier: &str) -> String {
    identifier.strip_prefix(PREFIX).unwrap().to_owned()
}
