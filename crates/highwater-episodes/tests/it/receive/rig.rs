//! A receiver on a port of its own in a directory of its own, and a client that says exactly what a test wants it to say.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::{SharedClock, SystemClock};
use highwater_engine::settings::{ByteSize, FilePath};
use highwater_episodes::archive::{ArchiveContent, Extent};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::Index;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::{Gate, Off};
use highwater_episodes::receive::settings::{HostRule, ReceiverSettings, TokenSettings};
use highwater_episodes::receive::tls::TlsKeeper;
use highwater_episodes::receive::{Doors, Foundation, Receiver, open_files, router, serve};
use highwater_episodes::store::{ContentHash, ContentHashError, MARK_FILE};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest wait for anything.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
/// What may write to `lab` and `lab2`.
pub(crate) const TOKEN: &str = "correct horse";
/// What may write to every host.
pub(crate) const MASTER: &str = "battery staple";

/// What an archive holds is the text before its first `|`: a stand-in for the reader of archives.
#[derive(Debug)]
pub(crate) struct Halves;

impl ContentHash for Halves {
    fn of(
        &self,
        _: &EpisodeId,
        archive: &mut (dyn io::Read + Send),
        _: Extent,
    ) -> Result<Sha256Digest, ContentHashError> {
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes).map_err(|error| ContentHashError(Box::new(error)))?;
        match bytes.split(|byte| *byte == b'|').next() {
            Some(held) if held.len() < bytes.len() => Ok(Sha256Digest::of(held)),
            _ => Err(ContentHashError("it has no end".into())),
        }
    }
}

/// The receiver under test.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) tls: Option<Arc<TlsKeeper>>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<io::Result<()>>,
    // Behind a mutex only so that tasks can share the rig.
    _held: std::sync::Mutex<Vec<Box<dyn highwater_engine::lock::Held>>>,
}

pub(crate) fn token(name: &str, text: &str, hosts: &[&str]) -> TokenSettings {
    let hosts = hosts.iter().map(|host| HostRule::try_from((*host).to_owned()).unwrap()).collect();
    TokenSettings { name: name.to_owned(), sha256: Sha256Digest::of(text.as_bytes()), hosts }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        Self::gated(Arc::new(Off), set).await
    }

    pub(crate) async fn gated(gate: Arc<dyn Gate>, set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        Self::start(tempfile::tempdir().unwrap(), gate, set).await
    }

    /// One that knows what archives hold.
    pub(crate) async fn real(gate: Arc<dyn Gate>, set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        Self::real_in(tempfile::tempdir().unwrap(), gate, set).await
    }

    pub(crate) async fn real_in(dir: TempDir, gate: Arc<dyn Gate>, set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        let content = Arc::new(ArchiveContent::default());
        Self::start_with(dir, gate, content, SystemClock::shared(), set, |index| index).await
    }

    /// In a directory that may hold something already.
    pub(crate) async fn start(dir: TempDir, gate: Arc<dyn Gate>, set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        Self::start_on(dir, gate, set, |index| index).await
    }

    /// With something between the receiver and its index.
    pub(crate) async fn start_on(
        dir: TempDir,
        gate: Arc<dyn Gate>,
        set: impl FnOnce(&mut ReceiverSettings),
        wrap: impl FnOnce(Arc<dyn Index>) -> Arc<dyn Index>,
    ) -> Self {
        Self::start_with(dir, gate, Arc::new(Halves), SystemClock::shared(), set, wrap).await
    }

    /// With another reader of archives.
    pub(crate) async fn reading_by(content: Arc<dyn ContentHash>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_with(dir, Arc::new(Off), content, SystemClock::shared(), |_| {}, |index| index).await
    }

    /// By a clock of the test's own.
    pub(crate) async fn clocked(dir: TempDir, clock: SharedClock, set: impl FnOnce(&mut ReceiverSettings)) -> Self {
        Self::start_with(dir, Arc::new(Off), Arc::new(Halves), clock, set, |index| index).await
    }

    async fn start_with(
        dir: TempDir,
        gate: Arc<dyn Gate>,
        content: Arc<dyn ContentHash>,
        clock: SharedClock,
        set: impl FnOnce(&mut ReceiverSettings),
        wrap: impl FnOnce(Arc<dyn Index>) -> Arc<dyn Index>,
    ) -> Self {
        let mut settings = ReceiverSettings {
            root: FilePath::new(dir.path()),
            listen: "127.0.0.1:0".parse().unwrap(),
            tokens: vec![token("lab", TOKEN, &["lab", "lab2"]), token("master", MASTER, &["*"])],
            ..ReceiverSettings::default()
        };
        settings.limits.free = ByteSize::mib(1);
        set(&mut settings);
        let tls = settings.tls.clone().map(|tls| Arc::new(TlsKeeper::open(tls).unwrap()));
        let opened = open_files(dir.path()).await.unwrap();
        let on = Foundation {
            store: Arc::new(opened.store),
            index: wrap(Arc::new(opened.index)),
            content: Some(content),
            gate,
            clock: clock.clone(),
        };
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let doors = Doors::of(listener, tls.clone(), &settings, clock);
        let receiver = Arc::new(Receiver::new(on, settings).unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Arc::clone(&receiver));
        let server = tokio::spawn(serve(doors, router, async {
            let _ = stopped.await;
        }));
        Self { dir, address, receiver, tls, stop: Some(stop), server, _held: std::sync::Mutex::new(opened.held) }
    }

    /// Ends it as SIGTERM does, and gives the directory back.
    pub(crate) async fn end(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(WAIT, &mut self.server).await.unwrap().unwrap().unwrap();
        self.dir
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own, with the token of `lab`.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.connect().await.ask(method, path, &with_token(TOKEN, headers), body).await
    }

    pub(crate) async fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask("PUT", &format!("/v1/episodes/{path}"), headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The keys of the rows, in their order.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("index.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every file below `episodes/` but copies that are being made.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        for host in std::fs::read_dir(self.path("episodes")).unwrap().map(Result::unwrap) {
            if [".staging", MARK_FILE].iter().any(|own| host.file_name() == *own) {
                continue;
            }
            for file in std::fs::read_dir(host.path()).unwrap().map(Result::unwrap) {
                found.push(format!("{}/{}", host.file_name().display(), file.file_name().display()));
            }
        }
        found.sort();
        found
    }

    /// That nothing at all was written.
    pub(crate) fn assert_nothing_written(&self) {
        assert_eq!(self.files(), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(self.path("episodes/.staging")).unwrap().count(), 0);
        assert_eq!(self.rows(), Vec::<Value>::new());
    }
}

pub(crate) fn with_token<'a>(token: &str, headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
    let mut all: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        all.push(("Authorization", format!("Bearer {token}")));
    }
    all
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        json["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> Answer {
        self.ask_if_let(method, path, headers, body).await.expect("an answer")
    }

    /// The same where the other side may end the connection instead.
    pub(crate) async fn ask_if_let(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: receiver\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let told = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !told("content-length") && !told("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        // An answer may come while this is still being sent, and sending may fail because of it.
        let _ = self.stream.write_all(&[head.as_bytes(), body].concat()).await;
        let answer = tokio::time::timeout(WAIT, self.read_answer(method == "HEAD")).await.expect("an answer in time");
        let other =
            headers.iter().find(|(name, _)| method == "POST" && name.eq_ignore_ascii_case("x-http-method-override"));
        if let Some(answer) = &answer {
            super::documented::holds(other.map_or(method, |(_, method)| method), path, answer);
        }
        answer
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads one answer.
    pub(crate) async fn answer(&mut self, without_body: bool) -> Answer {
        tokio::time::timeout(WAIT, self.read_answer(without_body)).await.expect("an answer in time").expect("an answer")
    }

    /// Waits until the other side ends the connection, and says what came before that.
    pub(crate) async fn until_closed(&mut self) -> String {
        let mut all = std::mem::take(&mut self.ahead);
        // A reset is an end too.
        let _ = tokio::time::timeout(WAIT, self.stream.read_to_end(&mut all)).await.expect("an end in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    async fn read_answer(&mut self, without_body: bool) -> Option<Answer> {
        let end = loop {
            match self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.ahead[..end].to_vec()).unwrap();
        self.ahead.drain(..end + 4);
        let mut lines = head.lines();
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if status == 100 {
            return Box::pin(self.read_answer(without_body)).await;
        }
        let of = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let length: usize = of("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        if !without_body && of("transfer-encoding").is_some() {
            body = self.read_chunks().await?;
        } else if !without_body {
            while self.ahead.len() < length {
                self.more().await?;
            }
            body = self.ahead.drain(..length).collect();
        }
        Some(Answer { status, headers, body })
    }

    async fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.ahead.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end,
                    None => self.more().await?,
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.ahead[..end]).ok()?, 16).ok()?;
            while self.ahead.len() < end + 2 + size + 2 {
                self.more().await?;
            }
            body.extend_from_slice(&self.ahead[end + 2..end + 2 + size]);
            self.ahead.drain(..end + 2 + size + 2);
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.ahead.extend_from_slice(&buffer[..read]);
                Some(())
            }
        }
    }
}
