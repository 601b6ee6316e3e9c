//! What a provider does not take, does not give at once, and keeps a record of.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use highwater_oai::protocol::{MetadataFormat, Record, Selection, SetInfo, Verb};
use highwater_oai::provider::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, Identity, Position, ProviderLog, ProviderSettings, QUERY_BYTES_MAX, Rate,
    Repository, RepositoryError, router, serve,
};
use highwater_testkit::sim_clock::SimClock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::client::{exchange, send};
use crate::world::{NOW, World, books, ten_books};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn an_answer_is_compressed_for_who_asks_for_it() {
    let world = ten_books(&[]).await;
    let head = "GET /oai?verb=ListRecords&metadataPrefix=oai_dc HTTP/1.1";
    let plain = exchange(world.address, head, "").await.unwrap();
    assert_eq!(plain.header("content-encoding"), None);
    let packed = exchange(world.address, &format!("{head}\r\nAccept-Encoding: deflate, gzip"), "").await.unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert!(packed.body.len() < plain.body.len());
}

#[tokio::test]
async fn who_asks_more_than_the_rate_is_told_when_to_come_again() {
    let rate = Some(Rate { requests: NonZeroU32::new(2).unwrap(), per: Duration::from_secs(3) });
    let world = World::start(books(1, 0), ProviderSettings { rate, ..ProviderSettings::default() }).await;
    let status = async || world.get("verb=Identify").await.unwrap().status;
    assert_eq!([status().await, status().await], [200, 200]);
    let refused = world.get("verb=Identify").await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "1.5 s, rounded up");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!([status().await, status().await], [200, 503]);
    let statuses: Vec<_> = world.log.requests().iter().map(|served| served.status.unwrap()).collect();
    assert_eq!(statuses, [200, 200, 503, 200, 503]);
}

#[tokio::test]
async fn what_is_too_long_or_no_form_or_elsewhere_is_refused_by_http() {
    let world = ten_books(&[]).await;
    let long = "x".repeat(QUERY_BYTES_MAX + 1);
    let form = "x".repeat(BODY_BYTES_MAX + 1);
    let post = |kind: &str, length: usize| format!("POST /oai HTTP/1.1\r\n{kind}\r\nContent-Length: {length}");
    for (status, head, body) in [
        (414, format!("GET /oai?{long} HTTP/1.1"), ""),
        (413, post(FORM, form.len()), &form),
        (415, post("Content-Type: application/json", 2), "{}"),
        (415, post("X-None: x", 13), "verb=Identify"),
        (405, "DELETE /oai?verb=Identify HTTP/1.1".to_owned(), ""),
        (404, "GET /favicon.ico HTTP/1.1".to_owned(), ""),
        (200, format!("GET /oai?{} HTTP/1.1", &long[1..]), ""),
        (200, post(FORM, BODY_BYTES_MAX), &form[1..]),
    ] {
        assert_eq!(
            exchange(world.address, &head, body).await.unwrap().status,
            status,
            "{}",
            head.split('?').next().unwrap()
        );
    }
}

#[tokio::test]
async fn every_request_is_logged_before_its_answer_comes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("access.log");
    let log = Arc::new(ProviderLog::appending_to(&path).unwrap());
    let faults = ["drop@2", "429@3"].map(|fault| fault.parse().unwrap()).into_iter().collect();
    let settings = ProviderSettings { log, faults, ..ProviderSettings::default() };
    let world = World::start(books(1, 0), settings).await;
    world.get("verb=GetRecord&identifier=oai%3Anone&metadataPrefix=oai_dc").await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    world.clock.advance(Duration::from_secs(5));
    world.get("verb=ListRecords&resumptionToken=x").await.unwrap_err();
    world.get("verb=Nothing").await.unwrap();
    let query = "verb=GetRecord&identifier=oai%3Anone&metadataPrefix=oai_dc";
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!(
            "2026-11-20T00:00:00Z\t200\t-\t{query}\n\
             2026-11-20T00:00:05Z\t-\tdrop\tverb=ListRecords&resumptionToken=x\n\
             2026-11-20T00:00:05Z\t429\t429\tverb=Nothing\n"
        )
    );
    let served = world.log.requests();
    assert_eq!(world.log.count(), 3);
    assert_eq!((served[0].verb, served[0].identifier.as_deref()), (Some(Verb::GetRecord), Some("oai:none")));
    assert_eq!((served[1].token.as_deref(), served[1].status), (Some("x"), None));
    assert_eq!((served[2].verb, &served[2].faults[..]), (None, &["429"][..]));
}

struct Broken;

#[async_trait]
impl Repository for Broken {
    async fn identify(&self) -> Result<Identity, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
    async fn sets(&self) -> Result<Vec<SetInfo>, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
    async fn formats(&self) -> Result<Vec<MetadataFormat>, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
    async fn count(&self, _: &Selection) -> Result<u64, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
    async fn page(
        &self,
        _: &Selection,
        _: Option<Position>,
        _: usize,
        _: bool,
    ) -> Result<Vec<(Position, Record)>, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
    async fn record(&self, _: &str, _: &str) -> Result<Option<Record>, RepositoryError> {
        Err(RepositoryError::new("the disk is gone"))
    }
}

#[tokio::test]
async fn a_repository_that_cannot_answer_is_a_500_and_never_an_empty_list() {
    let world = World::start(Arc::new(Broken), ProviderSettings::default()).await;
    for verb in ["Identify", "ListSets", "ListRecords&metadataPrefix=oai_dc"] {
        let reply = world.get(&format!("verb={verb}")).await.unwrap();
        assert_eq!((reply.status, reply.text()), (500, "The repository cannot answer now"));
    }
}

#[tokio::test]
async fn a_server_told_to_end_gives_the_answers_it_owes_and_takes_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let faults = ["slow=1000@1"].map(|fault| fault.parse().unwrap()).into_iter().collect();
    let clock = SimClock::standing(NOW.parse().unwrap());
    let settings = ProviderSettings { faults, ..ProviderSettings::default() };
    let log = Arc::clone(&settings.log);
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(books(1, 0), settings, clock.shared());
    let server = tokio::spawn(serve(listener, router, async { drop(stopped.await) }));
    let asked = tokio::spawn(async move { exchange(address, "GET /oai?verb=Identify HTTP/1.1", "").await });
    while log.count() == 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    while !asked.is_finished() {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(asked.await.unwrap().unwrap().complete);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn more_connections_than_there_may_be_wait_for_their_turn() {
    let world = ten_books(&["hang@verb:Identify"]).await;
    let mut hung = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        hung.push(send(world.address, "GET /oai?verb=Identify HTTP/1.1", "").await);
    }
    while world.log.count() < CONNECTIONS_MAX as u64 {
        tokio::task::yield_now().await;
    }
    let address = world.address;
    let waiting = tokio::spawn(async move { exchange(address, "GET /oai?verb=ListSets HTTP/1.1", "").await });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.log.count(), CONNECTIONS_MAX as u64);
    hung.pop();
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
}
