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

fn trusting(proxies: &[&str]) -> impl Fn(&mut ReceiverSettings) {
    move |settings| {
        settings.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        settings.identity_header = Some(serde_json::from_str("\"X-Client-Name\"").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_calls_by_the_certificate_or_by_name() {
    let rig = Rig::with(trusting(&["127.0.0.0/8"])).await;
    let der = Authority::new("clients").host(&["lab1"], 2).der;
    let field = format!(":{}:", BASE64_STANDARD.encode(der));
    assert_eq!(put(&rig, "lab1", &[("Client-Cert", &field)]).await.status, 201);
    assert_eq!(put(&rig, "lab2", &[("Client-Cert", &field)]).await.code(), "foreign-host");
    for (name, host) in
        [("lab4", "lab4"), ("CN=lab5,O=Lab", "lab5"), ("/O=Lab/CN=lab6", "lab6"), ("O=Lab, CN=lab7", "lab7")]
    {
        assert_eq!(put(&rig, host, &[("X-Client-Name", name)]).await.status, 201, "{name}");
    }
    // The certificate counts before the name.
    let both = [("Client-Cert", &*field), ("X-Client-Name", "lab8")];
    assert_eq!(put(&rig, "lab8", &both).await.code(), "foreign-host");
    for (what, headers) in [
        ("two certificates", vec![("Client-Cert", &*field), ("Client-Cert", &*field)]),
        ("two names", vec![("X-Client-Name", "lab8"), ("X-Client-Name", "lab8")]),
        ("no certificate", vec![("Client-Cert", ":AAAA:")]),
        ("no byte sequence", vec![("Client-Cert", "lab8")]),
        ("no name", vec![("X-Client-Name", "")]),
        ("two common names", vec![("X-Client-Name", "O=x,CN=lab9,CN=lab8")]),
        ("an escaped one", vec![("X-Client-Name", r"O=x\,CN=lab8")]),
        ("a name without a common one", vec![("X-Client-Name", "O=lab8")]),
        ("nothing", vec![]),
    ] {
        assert_eq!(put(&rig, "lab8", &headers).await.code(), "no-identity", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anyone_else_says_of_who_calls_is_not_heard() {
    let rig = Rig::with(trusting(&["10.0.0.1"])).await;
    let der = Authority::new("clients").host(&["lab1"], 2).der;
    let field = format!(":{}:", BASE64_STANDARD.encode(der));
    for header in [("Client-Cert", &*field), ("X-Client-Name", "lab1")] {
        assert_eq!(put(&rig, "lab1", &[header]).await.code(), "no-identity");
    }
    rig.assert_nothing_written();
}
