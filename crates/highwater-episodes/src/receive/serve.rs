//! The server under a receiver. Owns connections: how many there are, who is at their other end, how long they may be idle, and how they
//! end, so that a client which is still sending reads its answer.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use highwater_engine::clock::SharedClock;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::CertificateError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::identity::{Peer, names_of, no_longer};
use super::problem::DRAIN_BYTES_MAX;
use super::settings::ReceiverSettings;
use super::tls::{Shown, TlsKeeper};

/// How long uploads in hand may take once the server is told to end.
pub const STOP_SECS: u64 = 30;
/// How long a client that is still sending is listened to after its answer.
pub const LINGER_SECS: u64 = 10;
/// How long a handshake may take, where the head of a request may not take less.
const HANDSHAKE_SECS: u64 = 15;
/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// Pause where no more connections can be had just now, such as for want of descriptors.
const ACCEPT_PAUSE_MILLIS: u64 = 100;
/// How much may wait in the kernel for a client to read it, before more is written.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 * 1024;
/// What is dropped at a time of what a client still sends.
const LINGER_BUFFER_BYTES: usize = 16 * 1024;

/// Where a receiver listens, and how.
#[derive(Debug)]
pub struct Doors {
    /// Where.
    pub listener: TcpListener,
    /// With which TLS; `None`: plain HTTP.
    pub tls: Option<Arc<TlsKeeper>>,
    /// Connections at once.
    pub connections_max: usize,
    /// How long the head of a request may take, and a connection be idle.
    pub head_time: Duration,
    /// How long an answer may stand still that its client does not read.
    pub idle_time: Duration,
    /// Time.
    pub clock: SharedClock,
}

impl Doors {
    /// Those of these settings.
    #[must_use]
    pub fn of(
        listener: TcpListener,
        tls: Option<Arc<TlsKeeper>>,
        settings: &ReceiverSettings,
        clock: SharedClock,
    ) -> Self {
        Self {
            listener,
            tls,
            connections_max: settings.limits.connections.as_usize(),
            head_time: settings.limits.head_time.get(),
            idle_time: settings.limits.idle_time.get(),
            clock,
        }
    }
}

/// Serves until `shutdown`, then lets what is in hand end, for [`STOP_SECS`] at most. Dropping it closes all at once.
///
/// # Errors
/// Never once it listens; kept for servers that can fail.
pub async fn serve(doors: Doors, router: Router, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let Doors { listener, tls, connections_max, head_time, idle_time, clock } = doors;
    let mut shutdown = pin!(shutdown);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < connections_max => match accepted {
                Ok((stream, address)) => {
                    let door = Door { router: router.clone(), head_time, idle_time, stopped: stopped.clone() };
                    connections.spawn(door.let_in(stream, address, tls.clone()));
                }
                Err(error) if is_the_clients(&error) => {}
                // For want of descriptors or memory: those that are there go on, and give some back.
                Err(error) => {
                    tracing::warn!(error = %error, "no connection can be accepted just now");
                    clock.sleep(Duration::from_millis(ACCEPT_PAUSE_MILLIS)).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let last_words = async { while connections.join_next().await.is_some() {} };
    // Whoever neither sends nor goes is left behind.
    let _ = tokio::time::timeout(Duration::from_secs(STOP_SECS), last_words).await;
    Ok(())
}

/// Whether a client was gone before it was let in.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Whether a certificate was refused since nobody says whether it is revoked.
fn lacks_list(error: &io::Error) -> bool {
    let found = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(found, Some(rustls::Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)))
}

/// Whether a connection ended since its client did not read what it was answered.
fn is_unread(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

struct Door {
    router: Router,
    head_time: Duration,
    idle_time: Duration,
    stopped: watch::Receiver<bool>,
}

impl Door {
    async fn let_in(self, stream: TcpStream, address: SocketAddr, tls: Option<Arc<TlsKeeper>>) {
        // A small answer is not held back for more to come.
        let _ = stream.set_nodelay(true);
        // Else one that reads slowly may seem to read nothing: the kernel tells of room once a third of a large buffer is free.
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
        let Some(tls) = tls else {
            return self.converse(stream, Peer { address, certificate: None }, None).await;
        };
        let met = tls.current();
        let handshake = TlsAcceptor::from(Arc::clone(&met)).accept(stream);
        let mut stopped = self.stopped.clone();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.head_time.min(Duration::from_secs(HANDSHAKE_SECS)), handshake) => shaken,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificate = chain.first().and_then(|certificate| names_of(certificate));
                let shown = tls.shown(met, chain);
                self.converse(stream, Peer { address, certificate }, Some(shown)).await;
            }
            Ok(Err(error)) if lacks_list(&error) => tracing::warn!(
                %address,
                "a client's certificate is refused since `crl` has no list by who signed it, or by who signed that one: have that authority write one, \
                 and add it"
            ),
            Ok(Err(error)) => tracing::info!(%address, error = %error, "no TLS with a client"),
            Err(_) => tracing::info!(%address, "a client took too long over TLS"),
        }
    }

    /// One connection, until either side ends it.
    async fn converse(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        shown: Option<Shown>,
    ) {
        let Self { router, head_time, idle_time, mut stopped } = self;
        // Who does not read its answer would keep its place among the connections for ever.
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(idle_time));
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            // Who says that nothing more comes may still wait for an answer.
            .half_close(true);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let refused = shown.as_ref().and_then(|shown| shown.check().err());
            request.extensions_mut().insert(peer.clone());
            let mut router = router.clone();
            // Boxed, so that the connection can be taken apart at its end.
            Box::pin(async move {
                match refused {
                    Some(error) => {
                        tracing::info!(address = %peer.address, %error, "a certificate is not accepted any more");
                        Ok(no_longer(&error).into_response())
                    }
                    None => router.call(request).await,
                }
            })
        });
        let mut connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
                _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                    stopping = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        // One who said nothing for too long has nothing to read, and one who read nothing does not. Any other failure is the client's affair,
        // and may have an answer.
        if !ended.is_err_and(|error| error.is_timeout() || is_unread(&error)) {
            linger(connection.into_parts().io.into_inner()).await;
        }
    }
}

/// Ends our side, and reads what a client still sends: closing on it would take from it an answer that it has not read yet.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let drain = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let (mut buffer, mut left) = (vec![0; LINGER_BUFFER_BYTES], DRAIN_BYTES_MAX);
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            let Some(rest) = left.checked_sub(read as u64) else { return };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(LINGER_SECS), drain).await;
}
