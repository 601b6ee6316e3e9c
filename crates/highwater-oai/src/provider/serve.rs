//! The server under a provider. Owns connections: how many there are, and how they end.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// No more connections than this at once; others wait to be accepted.
pub const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take over the head of a request.
const HEAD_SECS: u64 = 30;
/// How long clients may take over their answers once the server is told to end.
pub const STOP_SECS: u64 = 5;

/// Serves until `shutdown`, then lets running answers end, for [`STOP_SECS`] at most. Dropping it closes all at once.
///
/// # Errors
/// The listener takes no more connections.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let mut shutdown = pin!(shutdown);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), stopped.clone()));
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => return Err(error),
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let last_words = async { while connections.join_next().await.is_some() {} };
    // Whoever neither reads nor goes is left behind.
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

/// One connection, until either side ends it.
async fn converse(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECS));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // A connection that fails is the client's affair, or a fault's.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
