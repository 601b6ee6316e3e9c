//! Uploads that go on after a break: the protocol, what a crash leaves, what a client may try.

mod attacks;
mod breaks;
mod protocol;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use highwater_episodes::digest::Sha256Digest;
use tokio::net::TcpStream;

use super::rig::{Answer, Client, Rig, TOKEN, with_token};

pub(crate) const PART: (&str, &str) = ("Content-Type", "application/offset+octet-stream");
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

/// The metadata with these values.
pub(crate) fn metadata(pairs: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| format!("{key} {}", BASE64_STANDARD.encode(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join(",")
}

impl Rig {
    /// One request as a client of the protocol makes it.
    pub(crate) async fn tus(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![TUS];
        all.extend_from_slice(headers);
        self.ask(method, path, &all, body).await
    }

    /// Begins an upload; what is answered.
    pub(crate) async fn post(&self, size: usize, pairs: &[(&str, &str)]) -> Answer {
        let headers = [("Upload-Length", &*size.to_string()), ("Upload-Metadata", &*metadata(pairs))];
        self.tus("POST", "/v1/uploads", &headers, b"").await
    }

    /// Begins an upload of `lab`, without a word of its digest; its address.
    pub(crate) async fn begun(&self, episode: &str, size: usize) -> String {
        let begun = self.post(size, &[("host", "lab"), ("episode", episode)]).await;
        assert_eq!((begun.status, begun.header("upload-offset")), (201, Some("0")), "{begun:?}");
        begun.header("location").unwrap().to_owned()
    }

    pub(crate) async fn patch(&self, place: &str, offset: usize, body: &[u8]) -> Answer {
        self.tus("PATCH", place, &[PART, ("Upload-Offset", &offset.to_string())], body).await
    }

    /// Where an upload is.
    pub(crate) async fn offset(&self, place: &str) -> Option<usize> {
        let head = self.tus("HEAD", place, &[], b"").await;
        assert!(matches!(head.status, 200 | 404 | 410), "{head:?}");
        assert_eq!(head.header("cache-control"), Some("no-store"));
        head.header("upload-offset").map(|offset| offset.parse().unwrap())
    }

    /// A request whose body does not come to its end; the connection.
    pub(crate) async fn half(&self, place: &str, offset: usize, announced: usize, body: &[u8]) -> Client<TcpStream> {
        let headers = [TUS, PART, ("Upload-Offset", &*offset.to_string()), ("Content-Length", &*announced.to_string())];
        let mut head = format!("PATCH {place} HTTP/1.1\r\nHost: receiver\r\n");
        with_token(TOKEN, &headers).iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        let mut client = self.connect().await;
        client.say([head.as_bytes(), b"\r\n", body].concat()).await;
        client
    }

    /// What is left of uploads on the disk.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("episodes/.staging")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256Digest::of(bytes).to_string()
}
