//! An HTTP server on the loopback that answers as it is told, badly if so, and remembers what it was asked.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use futures::{StreamExt as _, stream};
use highwater_engine::clock::{Clock as _, SystemClock};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What is kept of a request's body; the rest is read and dropped.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long [`FaultyHttp::stop`] waits for clients to take their answers.
const STOP_SECS: u64 = 5;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `GET`, `PUT` and so on.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or what came of it.
    pub body: Bytes,
    /// True when the body came to its end.
    pub complete: bool,
}

impl Received {
    /// The first header of that name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// As it should.
    Whole,
    /// So many bytes of the body, then the connection is closed.
    Cut(usize),
    /// So many bytes of the body, then silence.
    Stalled(usize),
    /// The body again and again, without a length and without an end.
    Endless,
    /// Not a byte, and the connection is closed.
    HungUp,
    /// Not a byte, and the connection stays open.
    Silent,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    delay: Duration,
    ending: Ending,
}

impl Answer {
    /// An empty answer with a status.
    ///
    /// # Panics
    /// If `status` is none.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("invariant: a status has three digits"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            ending: Ending::Whole,
        }
    }

    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    /// Closes the connection without an answer.
    #[must_use]
    pub fn hang_up() -> Self {
        Self { ending: Ending::HungUp, ..Self::status(200) }
    }

    /// Never answers.
    #[must_use]
    pub fn silence() -> Self {
        Self { ending: Ending::Silent, ..Self::status(200) }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If the name or the value is none.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("invariant: a test names real headers");
        let value = HeaderValue::try_from(value).expect("invariant: a test gives printable values");
        self.headers.append(name, value);
        self
    }

    /// Answers only after a while.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Promises the whole body, sends the first `bytes` of it and closes the connection.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Cut(bytes);
        self
    }

    /// Promises the whole body, sends the first `bytes` of it and then nothing.
    #[must_use]
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Stalled(bytes);
        self
    }

    /// Sends the body again and again, until whoever asked has enough.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.ending = Ending::Endless;
        self
    }

    /// The response, or `None` to hang up. What would never end does when `stopped` says so.
    fn response(self, mut stopped: watch::Receiver<bool>) -> Option<Response<Body>> {
        let length = self.body.len();
        let body = match self.ending {
            Ending::HungUp | Ending::Silent => return None,
            Ending::Whole => Body::from(self.body),
            Ending::Endless => Body::from_stream(stream::repeat(self.body).map(Ok::<_, io::Error>)),
            Ending::Cut(bytes) => part(self.body.slice(..bytes.min(length)), async {
                // Once around the runtime, so that the part is sent before the connection goes.
                tokio::task::yield_now().await;
                Err(io::ErrorKind::ConnectionReset.into())
            }),
            Ending::Stalled(bytes) => part(self.body.slice(..bytes.min(length)), async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
                Err(io::ErrorKind::ConnectionReset.into())
            }),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if self.ending == Ending::Endless {
            return Some(response);
        }
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        Some(response)
    }
}

/// A body of which only the beginning comes.
fn part(beginning: Bytes, then: impl Future<Output = io::Result<Bytes>> + Send + 'static) -> Body {
    Body::from_stream(stream::iter([Ok(beginning)]).chain(stream::once(then)))
}

/// A script that gives these answers, one a request. Requests beyond them get a 500 that says so.
pub fn in_turn(answers: impl IntoIterator<Item = Answer>) -> impl FnMut(&Received) -> Answer + Send + 'static {
    let mut answers: VecDeque<Answer> = answers.into_iter().collect();
    move |request| {
        answers.pop_front().unwrap_or_else(|| {
            Answer::status(500).body(format!("no answer is scripted for {} {}", request.method, request.path))
        })
    }
}

/// A scripted server on a port of its own. Dropping it closes everything at once.
#[derive(Debug)]
pub struct FaultyHttp {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl FaultyHttp {
    /// Starts a server that asks `script` for the answer to each request, in order of arrival.
    ///
    /// # Errors
    /// The loopback has no port to give.
    pub async fn start(script: impl FnMut(&Received) -> Answer + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let requests = Arc::default();
        let play = Arc::new(Play { requests: Arc::clone(&requests), script: Mutex::new(Box::new(script)), stopped });
        Ok(Self { address, requests, stop, server: tokio::spawn(serve(listener, play)) })
    }

    /// The URL of a path that begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.requests).clone()
    }

    /// Takes no more requests, gives the answers that are due without further delay, hangs up on those that would never end,
    /// and returns every request that came.
    pub async fn stop(mut self) -> Vec<Received> {
        self.stop.send_replace(true);
        // A panic in it is one of the script's, which the client has seen as a closed connection.
        let _ = (&mut self.server).await;
        self.requests()
    }
}

impl Drop for FaultyHttp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Script = Box<dyn FnMut(&Received) -> Answer + Send>;

/// What the connections share.
struct Play {
    requests: Arc<Mutex<Vec<Received>>>,
    script: Mutex<Script>,
    stopped: watch::Receiver<bool>,
}

/// Hyper's way to close a connection without an answer is an error of the service.
#[derive(Debug, thiserror::Error)]
#[error("the script hangs up")]
struct HangUp;

async fn serve(listener: TcpListener, play: Arc<Play>) {
    let mut stopped = play.stopped.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(converse(stream, Arc::clone(&play)));
            }
        }
    }
    drop(listener);
    let last_words = async { while connections.join_next().await.is_some() {} };
    // A client that neither reads nor goes is left behind.
    let _ = tokio::time::timeout(Duration::from_secs(STOP_SECS), last_words).await;
}

/// One connection, until either side ends it.
async fn converse(stream: TcpStream, play: Arc<Play>) {
    let mut stopped = play.stopped.clone();
    let service = service_fn(|request| answer(request, Arc::clone(&play)));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // Errors are what this server is for.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, play: Arc<Play>) -> Result<Response<Body>, HangUp> {
    let (head, incoming) = request.into_parts();
    let place = {
        let mut requests = lock(&play.requests);
        requests.push(Received {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers,
            body: Bytes::new(),
            complete: false,
        });
        requests.len() - 1
    };
    let (body, complete) = collect(incoming).await;
    let received = {
        let mut requests = lock(&play.requests);
        requests[place].body = body;
        requests[place].complete = complete;
        requests[place].clone()
    };
    let answer = lock(&play.script)(&received);
    let mut stopped = play.stopped.clone();
    tokio::select! {
        () = wait(&answer) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    answer.response(stopped).ok_or(HangUp)
}

async fn wait(answer: &Answer) {
    SystemClock::new().sleep(answer.delay).await;
    if answer.ending == Ending::Silent {
        pending().await
    }
}

async fn collect(incoming: Incoming) -> (Bytes, bool) {
    let mut body = Vec::new();
    let mut stream = Body::new(incoming).into_data_stream();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else {
            return (body.into(), false);
        };
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    (body.into(), true)
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
