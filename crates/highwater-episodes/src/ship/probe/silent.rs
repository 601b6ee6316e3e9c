//! Whether whoever accepts a connection speaks TLS at all. Owns that it is asked for nothing but its first word: whose certificate it shows
//! is the client's to judge.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Receiver;

/// How long it may take to say its first word of TLS, in seconds; after [a whole wait](super::PROBE_SECS) that came to nothing.
pub(super) const HELLO_SECS: u64 = 5;

/// Whether it accepts a connection, and then says nothing of TLS. What ends the connection, or shows whatever certificate, said something.
pub(super) async fn is_silent(receiver: &Receiver) -> bool {
    let base = &receiver.base;
    let host = base.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let (Some(port), Ok(name)) = (base.port_or_known_default(), ServerName::try_from(host.to_owned())) else {
        return false;
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Ok(builder) = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() else {
        return false;
    };
    // It trusts nobody, so that no handshake comes to its end.
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let wait = Duration::from_secs(HELLO_SECS);
    let Ok(Ok(stream)) = tokio::time::timeout(wait, TcpStream::connect((host, port))).await else { return false };
    tokio::time::timeout(wait, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.is_err()
}
