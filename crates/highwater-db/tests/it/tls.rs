//! TLS to a server that has it, in every mode, against certificates of every kind: accepted or refused as libpq's own psql does on
//! the same address.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use highwater_db::postgres::{Address, PostgresSession};
use highwater_db::session::FaultKind;
use highwater_testkit::postgres::Postgres;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate and its key, as PEM.
struct Papers {
    certificate: String,
    key: String,
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
}

fn issued(params: &CertificateParams, by: &Issuer<'_, KeyPair>) -> Papers {
    let key = KeyPair::generate().unwrap();
    Papers { certificate: params.signed_by(&key, by).unwrap().pem(), key: key.serialize_pem() }
}

/// One that is its own root, as `openssl req -x509` makes it.
fn self_made(mut params: CertificateParams) -> Papers {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Papers { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

struct World {
    server: Postgres,
    /// Outside of the server's reach: roots and clients' certificates.
    ours: tempfile::TempDir,
}

/// Who may come in how: by TLS alone, without it alone, and with a certificate in the role's name alone.
const RULES: &str = "hostssl all postgres 127.0.0.1/32 trust\n\
    hostnossl all postgres 127.0.0.1/32 trust\n\
    hostssl all tls_only 127.0.0.1/32 trust\n\
    hostnossl all plain_only 127.0.0.1/32 trust\n\
    hostssl all papers_only 127.0.0.1/32 trust clientcert=verify-full\n";

impl World {
    async fn new() -> Self {
        let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
        let psql = server.connect().await.unwrap();
        for role in ["tls_only", "plain_only", "papers_only"] {
            psql.batch_execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER")).await.unwrap();
        }
        let world = Self { server, ours: tempfile::tempdir().unwrap() };
        fs::write(world.server.data_directory().join("pg_hba.conf"), RULES).unwrap();
        world
    }

    /// From now on the server shows this, and trusts clients' certificates of this root.
    async fn show(&self, papers: &Papers, clients: &str) {
        let data = self.server.data_directory();
        let files =
            [("server.crt", &papers.certificate), ("server.key", &papers.key), ("clients.crt", &clients.to_owned())];
        for (name, text) in files {
            write(&data.join(name), text);
            if let Some((uid, gid)) = self.server.user() {
                chown(data.join(name), Some(uid), Some(gid)).unwrap();
            }
        }
        fs::write(data.join("postgresql.auto.conf"), "ssl = on\nssl_ca_file = 'clients.crt'\n").unwrap();
        self.server.restart_at_once().unwrap();
    }

    fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.ours.path().join(name);
        write(&path, text);
        path
    }

    fn url(&self, role: &str, host: &str, query: &str) -> String {
        format!("postgres://{role}@{host}:{}/postgres?{query}", self.server.port())
    }

    /// What libpq says of an address.
    fn libpq(&self, url: &str) -> Result<(), String> {
        let ended = Command::new(psql())
            .args(["-XAtc", "SELECT 1", url])
            .env_clear()
            // Nothing of this machine's user is to be found.
            .env("HOME", self.ours.path().join("home"))
            .output()
            .unwrap();
        if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// The psql that came with the server.
fn psql() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin/psql")).filter(|path| path.is_file()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| "psql".into())
}

/// What we say of an address; a refusal is one for ever, no checkpoint.
async fn ours(url: &str) -> Result<(), String> {
    let address: Address = url.parse().unwrap();
    match PostgresSession::open(&address).await {
        Ok(_) => Ok(()),
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::Denied, "{url}: {fault}");
            Err(fault.message)
        }
    }
}

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

#[tokio::test]
async fn each_mode_accepts_and_refuses_each_certificate_as_libpq_does() {
    let world = World::new().await;
    let (good_root, good) = authority("good");
    let (other_root, other) = authority("other");
    let shown = [
        ("good", issued(&params("db", &["localhost"]), &good)),
        ("by address", issued(&params("db", &["127.0.0.1"]), &good)),
        ("wrong name", issued(&params("db", &["db.example"]), &good)),
        ("unknown root", issued(&params("db", &["localhost"]), &other)),
        ("expired", issued(&expired(params("db", &["localhost"])), &good)),
        ("self-signed", self_made(params("localhost", &["localhost"]))),
        ("self-signed, wrong name", self_made(params("db.example", &["db.example"]))),
        ("self-signed, expired", self_made(expired(params("localhost", &["localhost"])))),
    ];
    let mine: String =
        shown.iter().filter(|(what, _)| what.starts_with("self")).map(|(_, papers)| &*papers.certificate).collect();
    let roots: Vec<(&str, String)> = [
        ("none", None),
        ("good", Some(world.keep("good.crt", &good_root))),
        ("other", Some(world.keep("other.crt", &other_root))),
        ("its own", Some(world.keep("self.crt", &mine))),
    ]
    .into_iter()
    .map(|(name, path)| (name, path.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default()))
    .collect();
    let mut different = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (what, papers) in &shown {
        world.show(papers, &good_root).await;
        for mode in MODES {
            for (root, query) in &roots {
                for (role, host) in [
                    ("postgres", "localhost"),
                    ("tls_only", "localhost"),
                    ("tls_only", "127.0.0.1"),
                    ("plain_only", "localhost"),
                ] {
                    // What no certificate changes is asked once.
                    if *what != "good" && (role == "plain_only" || mode == "disable") {
                        continue;
                    }
                    let url = world.url(role, host, &format!("sslmode={mode}{query}"));
                    let (theirs, ours) = (world.libpq(&url), ours(&url).await);
                    if theirs.is_ok() != ours.is_ok() {
                        different
                            .push(format!("{what}, {mode}, root {root}, {role}@{host}: libpq {theirs:?}, we {ours:?}"));
                    }
                    if ours.is_ok() { accepted += 1 } else { refused += 1 }
                }
            }
        }
    }
    assert_eq!(different, Vec::<String>::new());
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[tokio::test]
async fn a_certificate_of_the_clients_own_lets_it_in_and_another_does_not() {
    let world = World::new().await;
    let (root, good) = authority("good");
    let (_, other) = authority("other");
    world.show(&issued(&params("db", &["localhost"]), &good), &root).await;
    let root = world.keep("root.crt", &root);
    let mut told = Vec::new();
    for (name, papers) in [
        ("none", None),
        ("right", Some(issued(&params("papers_only", &[]), &good))),
        ("anothers", Some(issued(&params("ann", &[]), &good))),
        ("unknown", Some(issued(&params("papers_only", &[]), &other))),
        ("expired", Some(issued(&expired(params("papers_only", &[])), &good))),
    ] {
        let identity = papers.map(|papers| {
            let certificate = world.keep(&format!("{name}.crt"), &papers.certificate);
            let key = world.keep(&format!("{name}.key"), &papers.key);
            format!("&sslcert={}&sslkey={}", certificate.display(), key.display())
        });
        let query = format!("sslmode=verify-full&sslrootcert={}{}", root.display(), identity.unwrap_or_default());
        let url = world.url("papers_only", "localhost", &query);
        let (theirs, ours) = (world.libpq(&url), ours(&url).await);
        assert_eq!(theirs.is_ok(), ours.is_ok(), "{name}: libpq {theirs:?}, we {ours:?}");
        told.push((name, ours.is_ok()));
    }
    let expected = [("none", false), ("right", true), ("anothers", false), ("unknown", false), ("expired", false)];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_server_without_tls_and_files_that_are_not_there_are_refused_for_ever() {
    let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let url = |query: &str| format!("postgres://postgres@localhost:{}/postgres?{query}", server.port());
    for mode in ["disable", "allow", "prefer"] {
        ours(&url(&format!("sslmode={mode}"))).await.unwrap();
    }
    assert!(ours(&url("sslmode=require")).await.unwrap_err().contains("server does not support TLS"));
    let missing = ours(&url("sslmode=verify-full&sslrootcert=/nowhere/root.crt")).await.unwrap_err();
    assert!(missing.contains("/nowhere/root.crt cannot be read"), "{missing}");
    let missing = ours(&url("sslmode=require&sslcert=/nowhere/me.crt&sslkey=/nowhere/me.key")).await.unwrap_err();
    assert!(missing.contains("/nowhere/me.key cannot be read"), "{missing}");
    // A socket of this host needs none, as with libpq.
    let socket = server.socket_directory().display().to_string().replace('/', "%2F");
    let by_socket = format!("postgres://postgres@{socket}:{}/postgres?sslmode=verify-full", server.port());
    ours(&by_socket).await.unwrap();
}
