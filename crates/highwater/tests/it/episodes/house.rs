//! A receiver over mutual TLS and the lab hosts that send to it, each a process with a directory of its own. Owns the papers that they
//! show each other, the code that the gate judges, and a caller who says whatever a test wants said.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use highwater_testkit::certificates::{Authority, Paper, Terms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{free_port, names, rows, sha256};
use crate::rig::{Ended, Rig, signal};

/// The token that the receiver knows, of `lab-1`.
pub(super) const TOKEN: &str = "correct horse";
/// The commands that the gate hands out.
pub(super) const REMEDIATION: [&str; 2] = ["git -C /srv/lab pull --ff-only", "make -C /srv/lab install"];
/// Longest wait for a byte of an answer.
const READ: Duration = Duration::from_secs(60);

/// The receiver's place, and those who sign.
pub(super) struct House {
    pub(super) rig: Rig,
    pub(super) port: u16,
    /// Signs what servers show.
    pub(super) servers: Authority,
    /// Signs what hosts show.
    pub(super) hosts: Authority,
    receiver: Option<Child>,
}

impl House {
    /// A place where nothing runs yet; `more` goes into `[receiver]`, `tables` behind it.
    pub(super) fn new(more: &str, tables: &str) -> Self {
        let (servers, hosts) = (Authority::new("servers").unwrap(), Authority::new("hosts").unwrap());
        let house = Self { rig: Rig::new(""), port: free_port(), servers, hosts, receiver: None };
        fs::create_dir(house.rig.path("received")).unwrap();
        fs::create_dir(house.rig.path("pki")).unwrap();
        house.pki("ca.pem", &house.hosts.pem());
        house.pki("crl.pem", &house.hosts.revoking(&[]).unwrap());
        house.serves_as(&house.servers.server(Terms::default()).unwrap());
        house.configure(more, tables);
        house
    }

    pub(super) fn configure(&self, more: &str, tables: &str) {
        let (port, token) = (self.port, sha256(TOKEN));
        self.rig.write(
            "highwater.toml",
            &format!(
                "[receiver]\nlisten = \"127.0.0.1:{port}\"\nroot = \"received\"\n{more}\n\
                 [receiver.tls]\ncert = \"pki/receiver.pem\"\nkey = \"pki/receiver.key\"\nclient-ca = \"pki/ca.pem\"\n\
                 crl = \"pki/crl.pem\"\nclient-certs = \"optional\"\n\
                 [[receiver.tokens]]\nname = \"lab-1\"\nsha256 = \"{token}\"\nhosts = [\"lab-1\"]\n{tables}"
            ),
        );
    }

    pub(super) fn pki(&self, name: &str, text: &str) {
        self.rig.write(&format!("pki/{name}"), text);
    }

    pub(super) fn serves_as(&self, paper: &Paper) {
        paper.write(&self.rig.path("pki"), "receiver").unwrap();
    }

    /// Starts the receiver, and waits until it listens.
    pub(super) fn open(&mut self) {
        let errors = File::create(self.rig.path("receiver.err")).unwrap();
        let mut command = self.rig.command(&["-v", "receive", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.receiver = Some(child);
        assert!(line.contains("\"listens\""), "{line} {}", self.log());
    }

    /// SIGTERM; its exit code.
    pub(super) fn close(&mut self) -> Option<i32> {
        let mut child = self.receiver.take().unwrap();
        signal(&child, "TERM");
        child.wait().unwrap().code()
    }

    pub(super) fn signal(&self, name: &str) {
        signal(self.receiver.as_ref().unwrap(), name);
    }

    /// How much memory the receiver holds now, in MiB.
    pub(super) fn memory_mib(&self) -> u64 {
        super::memory_mib(self.receiver.as_ref().unwrap().id()).unwrap()
    }

    pub(super) fn root(&self) -> PathBuf {
        self.rig.path("received")
    }

    /// What it has logged since it was opened.
    pub(super) fn log(&self) -> String {
        self.rig.read("receiver.err")
    }

    /// All that is stored, with its bytes.
    pub(super) fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        let mut directories = vec![self.root()];
        while let Some(directory) = directories.pop() {
            for name in names(&directory) {
                let path = directory.join(name);
                if path.is_dir() {
                    directories.push(path);
                } else {
                    all.push((path.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        all.sort();
        all
    }

    /// The episodes that have a row.
    pub(super) fn indexed(&self) -> Vec<String> {
        let mut names: Vec<String> =
            rows(&self.root()).iter().map(|row| row["episode_id"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// A lab host that sends under this name, with a certificate in it.
    pub(super) fn host(&self, name: &str) -> Host {
        let host = Host { rig: Rig::new(""), port: self.port };
        host.rig.write("servers.pem", &self.servers.pem());
        self.hosts
            .client(name, Terms { serial: 2, ..Terms::default() })
            .unwrap()
            .write(host.rig.dir.path(), name)
            .unwrap();
        host.add_job("send", &format!("host-id = {name:?}\n{}", with_certificate(name)));
        host
    }

    /// Someone who speaks for himself.
    pub(super) fn caller(&self, paper: Option<&Paper>) -> io::Result<Caller> {
        Caller::connect(self.port, &self.servers, paper)
    }

    /// One request on a connection of its own: its status, and all that was said.
    pub(super) fn ask(
        &self,
        paper: Option<&Paper>,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String) {
        let mut caller = self.caller(paper).unwrap();
        let length = body.len();
        caller.say(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"));
        caller.say(body);
        caller.answer()
    }

    /// The same, of who has the token.
    pub(super) fn put(&self, episode: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{headers}");
        self.ask(None, "PUT", &format!("/v1/episodes/lab-1/{episode}"), &headers, body)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(child) = &mut self.receiver {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The fields of a job whose host shows this certificate.
pub(super) fn with_certificate(name: &str) -> String {
    format!("tls.ca = \"servers.pem\"\ntls.certificate = \"{name}.pem\"\ntls.key = \"{name}.key\"\n")
}

/// A lab host.
pub(super) struct Host {
    pub(super) rig: Rig,
    port: u16,
}

impl Host {
    /// A job with directories of its own: those of `send` are the usual ones.
    pub(super) fn add_job(&self, job: &str, more: &str) {
        let port = self.port;
        let directories = if job == "send" {
            String::new()
        } else {
            format!("episodes = \"{job}/episodes\"\noutbox = \"{job}/outbox\"\nshipped = \"{job}/shipped\"\n")
        };
        let before = self.rig.read("highwater.toml");
        let table = format!(
            "[job.{job}]\nkind = \"ship\"\nreceiver = \"https://localhost:{port}\"\nresources = [\"{job}\"]\n{directories}{more}\n\
             [resource.{job}]\nlock = \"file:{job}.lock\"\n"
        );
        self.rig.write("highwater.toml", &(before + &table));
    }

    /// Records a finished episode below a directory.
    pub(super) fn record(&self, below: &str, episode: &str, telemetry: &[u8], commit: Option<&str>) {
        let directory = self.rig.path(below).join(episode);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("telemetry.bin"), telemetry).unwrap();
        if let Some(commit) = commit {
            fs::write(directory.join("meta.json"), format!(r#"{{"code_version":{{"commit":"{commit}"}}}}"#)).unwrap();
        }
        fs::write(directory.join("done.marker"), "").unwrap();
    }

    /// One pass: its exit code, its reason and all that was printed.
    pub(super) fn pass(&self, job: &str) -> (i32, String, Ended) {
        let ended = self.rig.run(&["--json", "run", job]);
        let reason = ended.json()["reason"].as_str().unwrap_or_else(|| panic!("{ended:?}")).to_owned();
        (ended.code, reason, ended)
    }

    /// One pass that ends so.
    pub(super) fn passes(&self, job: &str, code: i32, reason: &str) -> Ended {
        let (is_code, is_reason, ended) = self.pass(job);
        assert_eq!((is_code, is_reason.as_str()), (code, reason), "{ended:?}\n{}", self.items(job));
        ended
    }

    pub(super) fn items(&self, job: &str) -> String {
        self.rig.run(&["--json", "items", job]).stdout
    }

    /// The outcome of an item, and why.
    pub(super) fn outcome(&self, job: &str, episode: &str) -> (String, String) {
        let items = self.items(job);
        let item = items.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let item = item.into_iter().find(|item| item["key"] == episode).unwrap_or_else(|| panic!("{episode}: {items}"));
        let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("detail"))
    }

    pub(super) fn names(&self, below: &str) -> Vec<String> {
        names(&self.rig.path(below)).into_iter().filter(|name| !name.starts_with('.')).collect()
    }
}

/// A connection over TLS, and whoever is at its other end.
pub(super) struct Caller(pub(super) StreamOwned<ClientConnection, TcpStream>);

impl Caller {
    fn connect(port: u16, servers: &Authority, paper: Option<&Paper>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(servers.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match paper {
            None => builder.with_no_client_auth(),
            Some(Paper { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(READ))?;
        socket.set_write_timeout(Some(READ))?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// The certificate that the other end showed.
    pub(super) fn shown(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Says so much; whoever hears it may have gone.
    pub(super) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).and_then(|()| self.0.flush());
    }

    /// All that is said until the other end closes: the status, 0 where there is none, and the text.
    pub(super) fn answer(&mut self) -> (u16, String) {
        let mut said = Vec::new();
        let mut buffer = [0; 4096];
        // One that closes without a word of TLS has said what it said.
        while let Ok(read @ 1..) = self.0.read(&mut buffer) {
            said.extend_from_slice(&buffer[..read]);
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        (said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), said)
    }

    /// One answer of known length on a connection that stays: its status and its head.
    pub(super) fn one_answer(&mut self) -> (u16, String) {
        let mut said = Vec::new();
        let mut byte = [0; 1];
        while !said.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            said.push(byte[0]);
        }
        let head = String::from_utf8(said).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        self.0.read_exact(&mut vec![0; length]).unwrap();
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap(), head)
    }
}

/// A repository of code.
pub(super) struct Code(PathBuf);

impl Code {
    /// One with so many commits; the oldest first.
    pub(super) fn new(directory: &Path, commits: usize) -> (Self, Vec<String>) {
        fs::create_dir(directory).unwrap();
        let code = Self(directory.to_owned());
        code.git(&["init", "--quiet", "--initial-branch=main"]);
        let commits = (0..commits).map(|_| code.commit()).collect();
        (code, commits)
    }

    /// The one that is there.
    pub(super) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// A copy of it elsewhere.
    pub(super) fn cloned(&self, directory: &Path) -> Self {
        self.git(&["clone", "--quiet", ".", directory.to_str().unwrap()]);
        Self(directory.to_owned())
    }

    pub(super) fn commit(&self) -> String {
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "one more"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=lab", "-c", "user.email=lab@example.org", "-c", "safe.directory=*"]);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let done = git.args(args).current_dir(&self.0).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}
