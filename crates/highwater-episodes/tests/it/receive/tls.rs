//! Mutual TLS: who a certificate is, which are refused, and that files are read again without dropping a connection.

mod ended;

use std::sync::Arc;

use highwater_engine::clock::SystemClock;
use highwater_engine::name::ResourceName;
use highwater_engine::report::Reason;
use highwater_engine::settings::FilePath;
use highwater_episodes::name::HostId;
use highwater_episodes::receive::settings::{
    CertificateSettings, ClientCerts, HostRule, ReceiverSettings, TlsSettings,
};
use highwater_episodes::receive::tls::TlsKeeper;
use highwater_episodes::ship::probe::{Proof, probe};
use highwater_episodes::ship::{Receiver, ShipSettings, certificate_name};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::life::Host;

use super::rig::{Answer, Client, Rig, TOKEN, WAIT, token};

/// Someone who signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Paper {
    pub(crate) certificate: String,
    pub(crate) der: Vec<u8>,
    key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(Self::params(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// One that this one signed.
    fn between(&self, name: &str, serial: u8) -> Self {
        let mut params = Self::params(name);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, params: &CertificateParams) -> Paper {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Paper { certificate: certificate.pem(), der: certificate.der().to_vec(), key: key.serialize_pem() }
    }

    /// With these DNS names and this serial number.
    pub(crate) fn host(&self, names: &[&str], serial: u8) -> Paper {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "lab3");
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        self.sign(&params)
    }

    /// A list that revokes these.
    fn revoke(&self, serials: &[u8]) -> String {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// The files of a receiver and who signs what.
struct World {
    dir: TempDir,
    ours: Authority,
    clients: Authority,
}

impl World {
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
            ours: Authority::new("servers"),
            clients: Authority::new("clients"),
        };
        world.serve_as(1);
        world.write("ca.pem", &world.clients.pem());
        world.write("crl.pem", &world.clients.revoke(&[]));
        world
    }

    fn serve_as(&self, serial: u8) {
        let paper = self.ours.host(&["localhost"], serial);
        self.write("key.pem", &paper.key);
        self.write("cert.pem", &paper.certificate);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn file(&self, name: &str) -> FilePath {
        FilePath::new(self.dir.path().join(name))
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            cert: self.file("cert.pem"),
            key: self.file("key.pem"),
            client_ca: Some(self.file("ca.pem")),
            crl: Some(self.file("crl.pem")),
            client_certs: ClientCerts::Required,
        }
    }

    async fn rig(&self, set: impl FnOnce(&mut ReceiverSettings)) -> Rig {
        Rig::with(|settings| {
            settings.tls = Some(self.settings());
            set(settings);
        })
        .await
    }

    async fn connect(&self, rig: &Rig, paper: Option<&Paper>) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        self.connect_by(rig, &self.client(paper)).await
    }

    /// Connects once more with what this client knows of earlier connections.
    async fn connect_by(&self, rig: &Rig, client: &Arc<ClientConfig>) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(rig.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let shaken = TlsConnector::from(Arc::clone(client)).connect(name, stream);
        Ok(Client::new(tokio::time::timeout(WAIT, shaken).await.expect("a handshake in time")?))
    }

    fn client(&self, paper: Option<&Paper>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ours.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match paper {
            None => builder.with_no_client_auth(),
            Some(paper) => {
                let chain: Result<_, _> = CertificateDer::pem_slice_iter(paper.certificate.as_bytes()).collect();
                let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.unwrap(), key).unwrap()
            }
        })
    }

    /// A PUT; `None` where there is no connection to put on.
    async fn put(&self, rig: &Rig, paper: Option<&Paper>, path: &str, token: Option<&str>) -> Option<Answer> {
        let mut client = self.connect(rig, paper).await.ok()?;
        let head = token.map(|token| ("Authorization", format!("Bearer {token}")));
        let head: Vec<_> = head.into_iter().collect();
        let path = format!("/v1/episodes/{path}");
        let asked = client.ask_if_let("PUT", &path, &head, b"bytes");
        asked.await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_writes_to_the_host_of_its_name_and_where_it_was_let() {
    let world = World::new();
    let rig = world
        .rig(|settings| {
            let hosts = ["a", "b"].map(|host| HostRule::try_from(host.to_owned()).unwrap()).to_vec();
            settings.certificates = vec![CertificateSettings { name: "Gateway.example".to_owned(), hosts }];
        })
        .await;
    let lab1 = world.clients.host(&["lab1"], 2);
    let put = async |paper, path, token| world.put(&rig, Some(paper), path, token).await.unwrap();
    assert_eq!(put(&lab1, "lab1/a", None).await.status, 201);
    assert_eq!(put(&lab1, "lab2/a", None).await.code(), "foreign-host");
    assert_eq!(put(&lab1, "lab3/a", None).await.code(), "foreign-host", "its common name is not one of its names");
    let gateway = world.clients.host(&["gateway.example"], 3);
    assert_eq!(put(&gateway, "b/a", None).await.status, 201);
    assert_eq!(put(&gateway, "gateway.example/a", None).await.code(), "foreign-host");
    // One without DNS names is called by its common name.
    let old = world.clients.host(&[], 4);
    assert_eq!(put(&old, "lab3/a", None).await.status, 201);
    // A token beside it may only narrow, and must be right.
    assert_eq!(put(&old, "lab3/b", Some(TOKEN)).await.code(), "foreign-host");
    assert_eq!(put(&old, "lab/b", Some(TOKEN)).await.code(), "foreign-host");
    assert_eq!(put(&old, "lab3/b", Some("nope")).await.code(), "no-identity");
    assert_eq!(rig.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_good_gets_no_connection() {
    let world = World::new();
    world.write("crl.pem", &world.clients.revoke(&[9]));
    let rig = world.rig(|_| {}).await;
    let mut expired = CertificateParams::new(vec!["lab1".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut early = CertificateParams::new(vec!["lab1".to_owned()]).unwrap();
    early.not_before = date_time_ymd(3000, 1, 1);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["lab1".to_owned()]).unwrap().self_signed(&own_key).unwrap();
    let own = Paper { certificate: own.pem(), der: own.der().to_vec(), key: own_key.serialize_pem() };
    for (what, paper) in [
        ("none", None),
        ("expired", Some(world.clients.sign(&expired))),
        ("not yet", Some(world.clients.sign(&early))),
        ("revoked", Some(world.clients.host(&["lab1"], 9))),
        ("of another", Some(Authority::new("clients").host(&["lab1"], 2))),
        ("of the servers'", Some(world.ours.host(&["lab1"], 2))),
        ("its own", Some(own)),
    ] {
        let answer = world.put(&rig, paper.as_ref(), "lab1/a", Some(TOKEN)).await;
        assert!(answer.is_none(), "{what}: {answer:?}");
    }
    rig.assert_nothing_written();
    let mut plain = rig.connect().await;
    plain.say("PUT /v1/episodes/lab/a HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n").await;
    assert!(!plain.until_closed().await.contains("HTTP/1.1"), "there is no plain HTTP beside it");
    assert_eq!(world.put(&rig, Some(&world.clients.host(&["lab1"], 2)), "lab1/a", None).await.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_certificates_are_optional_a_token_does() {
    let world = World::new();
    let rig = world
        .rig(|settings| {
            settings.tls.as_mut().unwrap().client_certs = ClientCerts::Optional;
            settings.tokens.push(token("lab1", "third", &["lab1"]));
        })
        .await;
    assert_eq!(world.put(&rig, None, "lab/a", Some(TOKEN)).await.unwrap().status, 201);
    assert_eq!(world.put(&rig, None, "lab/b", None).await.unwrap().code(), "no-identity");
    let lab1 = world.clients.host(&["lab1"], 2);
    assert_eq!(world.put(&rig, Some(&lab1), "lab1/a", None).await.unwrap().status, 201);
    assert_eq!(world.put(&rig, Some(&lab1), "lab1/b", Some("third")).await.unwrap().status, 201);
    let foreign = Authority::new("clients").host(&["lab1"], 2);
    assert!(world.put(&rig, Some(&foreign), "lab1/c", Some("third")).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_met_by_the_next_connection_and_by_the_next_request_of_one_that_is_open() {
    let world = World::new();
    let rig = world.rig(|_| {}).await;
    let keeper = rig.tls.clone().unwrap();
    let lab1 = world.clients.host(&["lab1"], 7);
    let served =
        |client: &Client<TlsStream<TcpStream>>| client.stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let mut open = world.connect(&rig, Some(&lab1)).await.unwrap();
    assert_eq!(open.ask("PUT", "/v1/episodes/lab1/a", &[], b"bytes").await.status, 201);
    assert!(!keeper.reload().unwrap(), "nothing changed");
    // Who may read one is what kept it from being read, maybe.
    let key = world.dir.path().join("key.pem");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(key, mode).unwrap();
    assert!(keeper.reload().unwrap());
    // A certificate and its key that do not fit: the old ones stay, and that is told once.
    let other = world.ours.host(&["localhost"], 50);
    world.write("cert.pem", &other.certificate);
    assert!(keeper.reload().unwrap_err().to_string().contains("cert.pem"));
    assert!(!keeper.reload().unwrap());
    assert_eq!(served(&world.connect(&rig, Some(&lab1)).await.unwrap()), served(&open));
    world.write("key.pem", &other.key);
    assert!(keeper.reload().unwrap());
    let fresh = world.connect(&rig, Some(&lab1)).await.unwrap();
    assert_eq!(served(&fresh), other.der);
    // One that is good by the new files too goes on.
    assert_eq!(open.ask("PUT", "/v1/episodes/lab1/c", &[], b"bytes").await.status, 201);
    // Revoked meanwhile: nobody new by this certificate, and no more requests of who is connected.
    world.write("crl.pem", &world.clients.revoke(&[7]));
    assert!(keeper.reload().unwrap());
    assert!(world.put(&rig, Some(&lab1), "lab1/b", None).await.is_none());
    let refused = open.ask("PUT", "/v1/episodes/lab1/d", &[], b"bytes").await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "no-identity"), "{refused:?}");
    assert!(refused.header("connection").is_some_and(|said| said == "close"), "{refused:?}");
    assert_eq!(rig.rows().len(), 2);
}

#[test]
fn what_a_list_of_revoked_certificates_lacks_is_told_once_each_time_it_is_read() {
    let world = World::new();
    let keeper = TlsKeeper::open(world.settings()).unwrap();
    let told = |at: &str| keeper.lacks(at.parse().unwrap());
    assert_eq!(told("2026-11-23T10:00:00Z"), None);
    let over = told("4000-01-01T00:00:01Z").unwrap();
    assert!(over.contains("crl.pem ended at 4000-01-01T00:00:00Z") && over.contains("write its list again"), "{over}");
    assert_eq!(told("4000-01-01T00:00:02Z"), None, "once");
    world.write("crl.pem", &world.clients.revoke(&[7, 8]));
    assert!(keeper.reload().unwrap());
    assert!(told("4000-01-01T00:00:03Z").is_some(), "it is another one");
    world.write("crl.pem", &Authority::new("others").revoke(&[]));
    assert!(keeper.reload().unwrap());
    let others = told("2026-11-23T10:00:00Z").unwrap();
    assert!(others.contains("crl.pem has no list by who is in `client-ca`"), "{others}");
    assert_eq!(told("2026-11-23T10:00:00Z"), None);
    let without = TlsKeeper::open(TlsSettings { crl: None, ..world.settings() }).unwrap();
    assert_eq!(without.lacks("4000-01-01T00:00:03Z".parse().unwrap()), None);
}

#[test]
fn files_that_are_no_tls_say_which_and_what_was_expected() {
    let world = World::new();
    let open = |settings: TlsSettings| TlsKeeper::open(settings).map(drop).unwrap_err().to_string();
    world.write("empty.pem", "");
    let empty = world.file("empty.pem");
    let said = open(TlsSettings { cert: empty.clone(), ..world.settings() });
    assert!(said.ends_with("empty.pem holds no certificate chain"), "{said}");
    let said = open(TlsSettings { key: empty.clone(), ..world.settings() });
    assert!(said.ends_with("empty.pem cannot be read as a private key"), "{said}");
    for settings in [
        TlsSettings { client_ca: Some(empty.clone()), ..world.settings() },
        TlsSettings { crl: Some(empty.clone()), ..world.settings() },
        TlsSettings { crl: Some(world.file("nowhere.pem")), ..world.settings() },
        TlsSettings { cert: world.file("ca.pem"), ..world.settings() },
    ] {
        let said = open(settings);
        assert!(said.contains(".pem"), "{said}");
    }
}

/// What a probe comes to: the last step, whether it is good, and what was found.
async fn probed(world: &World, rig: &Rig, at: &str, tls: serde_json::Value) -> (String, bool, String) {
    let settings: ShipSettings = serde_json::from_value(serde_json::json!({
        "receiver": format!("{at}:{}/", rig.address.port()),
        "tls": tls,
    }))
    .unwrap();
    let mut settings = settings;
    settings.resolve(world.dir.path());
    let host = HostId::new("lab3.example").unwrap();
    let resource = ResourceName::new("receiver").unwrap();
    let receiver = Receiver::new(&settings, host, resource).unwrap();
    let probe = probe(&receiver, &SystemClock::shared(), settings.tls.certificate.is_some(), &[]).await;
    let last = probe.steps.iter().find(|step| step.proof != Proof::Good).or(probe.steps.last()).unwrap();
    (last.what.to_owned(), last.proof == Proof::Good, last.found.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_tls_has_a_name_in_a_probe() {
    let world = World::new();
    let rig = world.rig(|_| {}).await;
    world.write("servers.pem", &world.ours.pem());
    world.write("others.pem", &Authority::new("others").pem());
    let paper = |name: &str, paper: &Paper| {
        world.write(&format!("{name}.pem"), &paper.certificate);
        world.write(&format!("{name}.key"), &paper.key);
        serde_json::json!({ "ca": "servers.pem", "certificate": format!("{name}.pem"), "key": format!("{name}.key") })
    };
    let good = paper("good", &world.clients.host(&["lab3.example"], 7));
    let revoked = paper("revoked", &world.clients.host(&["lab3.example"], 8));
    let foreign = paper("foreign", &Authority::new("strangers").host(&["lab3.example"], 9));
    let elsewhere = paper("elsewhere", &world.clients.host(&["lab4.example"], 10));
    world.write("crl.pem", &world.clients.revoke(&[8]));
    rig.tls.as_ref().unwrap().reload().unwrap();
    let https = "https://localhost";
    let end = probed(&world, &rig, https, good.clone()).await;
    assert!(end.1 && end.0 == "gate", "{end:?}");
    for (at, tls, what, found) in [
        (https, serde_json::json!({ "ca": "others.pem" }), "tls", "UnknownIssuer"),
        ("https://127.0.0.1", good.clone(), "tls", "not valid for name"),
        (https, serde_json::json!({ "ca": "servers.pem" }), "certificate", "CertificateRequired"),
        (https, revoked, "certificate", "CertificateRevoked"),
        (https, foreign, "certificate", "UnknownCA"),
        (https, elsewhere, "host", "may write to lab4.example, not to lab3.example"),
    ] {
        let end = probed(&world, &rig, at, tls.clone()).await;
        assert!(!end.1 && end.0 == what && end.2.contains(found), "{at} {tls}: {end:?}");
    }
    rig.assert_nothing_written();
    let plain = Rig::new().await;
    let end = probed(&world, &plain, https, good).await;
    assert!(!end.1 && end.0 == "tls" && end.2.contains("does not speak TLS"), "{end:?}");

    let name = |file: &str| certificate_name(&world.dir.path().join(file)).unwrap();
    assert_eq!(name("good.pem"), Some(HostId::new("lab3.example").unwrap()));
    assert!(certificate_name(&world.dir.path().join("none.pem")).is_err());
    world.write("star.pem", &world.clients.host(&["*.example"], 3).certificate);
    assert_eq!(name("star.pem"), None, "what cannot be a host's name is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipper_takes_a_renewed_certificate_up_at_its_next_pass_and_half_a_pair_takes_nothing_away() {
    let world = World::new();
    let rig = world.rig(|_| {}).await;
    let mut host = Host::new(&rig);
    world.write("servers.pem", &world.ours.pem());
    let mut over = CertificateParams::new(vec!["lab".to_owned()]).unwrap();
    (over.not_before, over.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let (over, renewed) = (world.clients.sign(&over), world.clients.host(&["lab"], 7));
    let write = |paper: &Paper, is_whole: bool| {
        world.write("host.pem", &paper.certificate);
        if is_whole {
            world.write("host.key", &paper.key);
        }
    };
    write(&over, true);
    let settings = serde_json::json!({
        "receiver": format!("https://localhost:{}/", rig.address.port()),
        "host-id": "lab",
        "tls": { "ca": "servers.pem", "certificate": "host.pem", "key": "host.key" },
    });
    let mut settings: ShipSettings = serde_json::from_value(settings).unwrap();
    settings.resolve(world.dir.path());
    (host.settings.receiver, host.settings.tls, host.settings.token) = (settings.receiver, settings.tls, None);
    host.record("ep", "x", None);
    let ship = host.ship();
    let report = host.pass_of(&ship).await;
    assert_eq!(report.reason, Reason::Network, "{}", report.message);
    let says = "the receiver refuses this host's certificate: CertificateExpired; renew this host's certificate";
    assert!(report.message.contains(says), "{}", report.message);
    let told = report.notes.join("\n");
    assert!(told.contains("host.pem, ended at 2020-01-01") && told.contains("renew it"), "{told}");
    // One that is revoked only the receiver knows to be.
    write(&world.clients.host(&["lab"], 8), true);
    world.write("crl.pem", &world.clients.revoke(&[8]));
    rig.tls.as_ref().unwrap().reload().unwrap();
    let report = host.pass_of(&ship).await;
    let says = "CertificateRevoked; get this host another certificate: this one is revoked; the next pass takes";
    assert!(report.reason == Reason::Network && report.message.contains(says), "{}", report.message);
    write(&over, true);
    host.pass_of(&ship).await;
    // Whoever renews it writes one file, and then the other.
    write(&renewed, false);
    let report = host.pass_of(&ship).await;
    let told = report.notes.join("\n");
    assert_eq!(report.reason, Reason::Network, "{}", report.message);
    assert!(told.contains("cannot be used, so what it was stays in use"), "{told}");
    write(&renewed, true);
    let report = host.pass_of(&ship).await;
    assert_eq!((report.counts.done, report.notes.len()), (1, 0), "{}: {:?}", report.message, host.told().await);
    assert_eq!(rig.files(), ["lab/ep.tar.zst"]);
}
