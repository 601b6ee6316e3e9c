//! Behind a proxy that ends TLS: whose word counts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use highwater_episodes::receive::settings::ReceiverSettings;

use super::rig::{Answer, Rig};
use super::tls::Authority;

async fn put(rig: &Rig, host: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let path = format!("/v1/episodes/{host}/ep");
    rig.connect().await.ask("PUT", &path, &headers, b"bytes").await
}

fn trusting(proxies: &[&str], header: Option<&str>) -> impl Fn(&mut ReceiverSettings) {
    move |settings| {
        settings.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        settings.identity_header = header.map(|header| serde_json::from_str(&format!("\"{header}\"")).unwrap());
    }
}

/// A certificate of this host's as `Client-Cert` has it.
fn certificate_of(host: &str) -> String {
    format!(":{}:", BASE64_STANDARD.encode(Authority::new("clients").host(&[host], 2).der))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_calls_by_the_certificate() {
    for header in [None, Some("Client-Cert")] {
        let rig = Rig::with(trusting(&["127.0.0.0/8"], header)).await;
        let field = certificate_of("lab1");
        assert_eq!(put(&rig, "lab1", &[("Client-Cert", &field)]).await.status, 201);
        assert_eq!(put(&rig, "lab2", &[("Client-Cert", &field)]).await.code(), "foreign-host");
        for (what, headers) in [
            ("two certificates", vec![("Client-Cert", &*field), ("Client-Cert", &*field)]),
            ("no certificate", vec![("Client-Cert", ":AAAA:")]),
            ("no byte sequence", vec![("Client-Cert", "lab8")]),
            ("a name where none is looked at", vec![("X-Client-Name", "lab8")]),
            ("nothing", vec![]),
        ] {
            assert_eq!(put(&rig, "lab8", &headers).await.code(), "no-identity", "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_calls_by_name_and_what_else_it_passes_on_is_not_heard() {
    let rig = Rig::with(trusting(&["127.0.0.0/8"], Some("X-Client-Name"))).await;
    for (name, host) in
        [("lab4", "lab4"), ("CN=lab5,O=Lab", "lab5"), ("O=a/CN=lab8,CN=lab6", "lab6"), ("O=Lab, CN=lab7", "lab7")]
    {
        assert_eq!(put(&rig, host, &[("X-Client-Name", name)]).await.status, 201, "{name}");
    }
    // Such a proxy does not know the other header, and passes on what its client sent in it.
    let forged = certificate_of("lab8");
    for (what, headers) in [
        ("a certificate beside a name", vec![("Client-Cert", &*forged), ("X-Client-Name", "lab9")]),
        ("several", vec![("Client-Cert", &*forged), ("Client-Cert", &*forged), ("X-Client-Name", "lab9")]),
    ] {
        assert_eq!(put(&rig, "lab8", &headers).await.code(), "foreign-host", "{what}");
        assert!(put(&rig, "lab9", &headers).await.status < 300, "{what}");
    }
    for (what, headers) in [
        ("a certificate alone", vec![("Client-Cert", &*forged)]),
        ("two names", vec![("X-Client-Name", "lab8"), ("X-Client-Name", "lab8")]),
        ("no name", vec![("X-Client-Name", "")]),
        ("two common names", vec![("X-Client-Name", "O=x,CN=lab9,CN=lab8")]),
        ("an escaped one", vec![("X-Client-Name", r"O=x\,CN=lab8")]),
        ("a name without a common one", vec![("X-Client-Name", "O=lab8")]),
        ("what looks like one in another part", vec![("X-Client-Name", "O=x/CN=lab8")]),
        ("parts that cannot be told apart", vec![("X-Client-Name", "/O=x/CN=lab8")]),
        ("nothing", vec![]),
    ] {
        assert_eq!(put(&rig, "lab8", &headers).await.code(), "no-identity", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anyone_else_says_of_who_calls_is_not_heard() {
    let field = certificate_of("lab1");
    for known in [None, Some("X-Client-Name")] {
        let rig = Rig::with(trusting(&["10.0.0.1"], known)).await;
        for header in [("Client-Cert", &*field), ("X-Client-Name", "lab1")] {
            assert_eq!(put(&rig, "lab1", &[header]).await.code(), "no-identity");
        }
        rig.assert_nothing_written();
    }
}
