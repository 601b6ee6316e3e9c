//! A provider on a port of its own, with its repository, its clock and its log; and answers as a client sees them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use highwater_oai::protocol::NAMESPACE;
use highwater_oai::provider::{Generated, Memory, ProviderLog, ProviderSettings, Repository, router, serve};
use highwater_testkit::sim_clock::SimClock;
use roxmltree::{Document, Node};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::{Reply, exchange};
use crate::schema;

/// When every test begins.
pub(crate) const NOW: &str = "2026-11-20T00:00:00Z";

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) log: Arc<ProviderLog>,
    pub(crate) address: SocketAddr,
    server: JoinHandle<io::Result<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Ten books, two of them deleted, three a page, and these faults.
pub(crate) async fn ten_books(faults: &[&str]) -> World {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    World::start(books(8, 2), ProviderSettings { page_size: 3, faults, ..ProviderSettings::default() }).await
}

pub(crate) fn books(live: u64, deleted: u64) -> Arc<Memory> {
    Arc::new(Generated { live, deleted, ..Generated::default() }.repository())
}

impl World {
    pub(crate) async fn start(repository: Arc<dyn Repository>, settings: ProviderSettings) -> Self {
        let clock = SimClock::standing(NOW.parse().unwrap());
        Self::start_at(clock, repository, settings).await
    }

    pub(crate) async fn start_at(
        clock: Arc<SimClock>,
        repository: Arc<dyn Repository>,
        settings: ProviderSettings,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::clone(&settings.log);
        let router = router(repository, settings, clock.shared());
        let server = tokio::spawn(serve(listener, router, std::future::pending()));
        Self { clock, log, address, server }
    }

    /// What comes of a query, whatever it is.
    pub(crate) async fn get(&self, query: &str) -> io::Result<Reply> {
        exchange(self.address, &format!("GET /oai?{query} HTTP/1.1"), "").await
    }

    /// An answer that the schema allows.
    pub(crate) async fn ask(&self, query: &str) -> Said {
        let reply = self.get(query).await.unwrap();
        assert_eq!((reply.status, reply.complete), (200, true), "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/xml; charset=utf-8"));
        schema::check(reply.text());
        Said::read(reply.text())
    }

    /// All pages of a list, as a client follows them.
    pub(crate) async fn follow(&self, query: &str) -> Vec<Said> {
        let verb = query.split('&').next().unwrap();
        let mut pages = vec![self.ask(query).await];
        while let Some(token) = pages.last().unwrap().token_value() {
            assert!(pages.len() < 1000, "a list without end");
            let next = format!("{verb}&resumptionToken={token}");
            pages.push(self.ask(&next).await);
        }
        pages
    }
}

/// A header, as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaidHeader {
    pub(crate) identifier: String,
    pub(crate) datestamp: String,
    pub(crate) sets: Vec<String>,
    pub(crate) deleted: bool,
    pub(crate) has_metadata: bool,
}

/// The element `resumptionToken`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SaidToken {
    pub(crate) value: String,
    pub(crate) total: Option<u64>,
    pub(crate) cursor: Option<u64>,
    pub(crate) expires: Option<String>,
}

/// What an answer said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) xml: String,
    pub(crate) errors: Vec<String>,
    pub(crate) request: Vec<(String, String)>,
    pub(crate) base_url: String,
    pub(crate) headers: Vec<SaidHeader>,
    pub(crate) token: Option<SaidToken>,
}

impl Said {
    pub(crate) fn read(xml: &str) -> Self {
        let document = Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        let all = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name((NAMESPACE, name)));
        let request = all("request").next().unwrap();
        Self {
            xml: xml.to_owned(),
            errors: all("error").map(|error| error.attribute("code").unwrap().to_owned()).collect(),
            request: request.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect(),
            base_url: request.text().unwrap_or_default().to_owned(),
            headers: all("header").map(header).collect(),
            token: all("resumptionToken").next().map(|token| SaidToken {
                value: token.text().unwrap_or_default().to_owned(),
                total: token.attribute("completeListSize").map(|size| size.parse().unwrap()),
                cursor: token.attribute("cursor").map(|cursor| cursor.parse().unwrap()),
                expires: token.attribute("expirationDate").map(ToOwned::to_owned),
            }),
        }
    }

    /// What leads to the next page.
    pub(crate) fn token_value(&self) -> Option<String> {
        self.token.as_ref().map(|token| token.value.clone()).filter(|value| !value.is_empty())
    }

    pub(crate) fn identifiers(&self) -> Vec<&str> {
        self.headers.iter().map(|header| header.identifier.as_str()).collect()
    }

    /// The text of the first element of that name.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let document = Document::parse(&self.xml).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == name)?;
        node.text().map(ToOwned::to_owned)
    }
}

fn header(node: Node<'_, '_>) -> SaidHeader {
    let texts = |name: &'static str| {
        let parts = node.children().filter(move |part| part.tag_name().name() == name);
        parts.map(|part| part.text().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    SaidHeader {
        identifier: texts("identifier").remove(0),
        datestamp: texts("datestamp").remove(0),
        sets: texts("setSpec"),
        deleted: node.attribute("status") == Some("deleted"),
        has_metadata: node.parent().unwrap().children().any(|sibling| sibling.has_tag_name((NAMESPACE, "metadata"))),
    }
}

/// The headers of a repository, as they are to be said.
pub(crate) fn expected(memory: &Memory, with_metadata: bool) -> Vec<SaidHeader> {
    let say = |header: highwater_oai::protocol::Header| SaidHeader {
        identifier: header.identifier,
        datestamp: header.datestamp.to_string(),
        sets: header.sets,
        deleted: header.deleted,
        has_metadata: with_metadata && !header.deleted,
    };
    memory.headers().into_iter().map(say).collect()
}
