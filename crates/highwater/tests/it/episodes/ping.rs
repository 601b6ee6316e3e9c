//! `ship --ping` between real processes over mutual TLS: whatever is wrong on the way has a name, and nothing is written anywhere.

use highwater_testkit::certificates::{Authority, Paper, Terms};

use super::house::{Code, Host, House, REMEDIATION, with_certificate};
use crate::rig::{Ended, wait_until};

/// The lines that need a fix: the word, what was found, and what to do.
fn fixes(ended: &Ended) -> Vec<(String, String, String)> {
    let json = ended.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let lines = json["findings"].as_array().unwrap_or_else(|| panic!("{ended:?}")).iter();
    lines
        .filter(|line| line["ok"] != true)
        .map(|line| (text(&line["what"]), text(&line["found"]), text(&line["fix"])))
        .collect()
}

/// A house that judges code, and a host of it that is well.
fn pair() -> (House, Host, Vec<String>) {
    let mut house = House::new(
        "limits.free = \"1 MB\"\n",
        &format!("[receiver.gate]\nrepository = \"code\"\nwindow = 1\nremediation = {REMEDIATION:?}\n"),
    );
    let (_, commits) = Code::new(&house.rig.path("code"), 2);
    house.open();
    let host = house.host("lab-1");
    host.record("episodes", "ep-1", b"x", Some(&commits[1]));
    (house, host, commits)
}

/// Pings, and expects one fix.
fn told(host: &Host, what: &str, found: &str, next: &str) {
    let ended = host.rig.run(&["ship", "send", "--ping", "--json"]);
    let fixes = fixes(&ended);
    assert!(ended.code == 4 && fixes.len() == 1, "{what}: {ended:?}");
    assert_eq!(fixes[0].0, what, "{ended:?}");
    assert!(fixes[0].1.contains(found) && fixes[0].2.contains(next), "{what}, {found}, {next}: {fixes:?}");
}

#[test]
fn a_receiver_that_does_not_show_who_signed_its_certificate_is_told_as_such() {
    let (mut house, host, _) = pair();
    let between = house.servers.between("in between").unwrap();
    let mut paper = between.server(Terms::default()).unwrap();
    assert_eq!(house.close(), Some(0));
    house.serves_as(&paper);
    house.open();
    told(
        &host,
        "tls",
        "its chain is not complete",
        "its operator puts it into the file of `receiver.tls.cert`, after its own",
    );
    assert_eq!(house.close(), Some(0));
    // As it is told.
    paper.certificate.push_str(&between.pem());
    house.serves_as(&paper);
    house.open();
    host.rig.ok(&["ship", "send", "--ping"]);
}

#[test]
fn what_is_wrong_on_the_way_has_a_name() {
    let (house, host, commits) = pair();
    let well = host.rig.ok(&["ship", "send", "--ping"]);
    for line in ["dns", "connect", "tls", "certificate", "host", "clock", "gate"] {
        assert!(
            well.stdout.contains(&format!("\nok   {line} ")) || well.stdout.starts_with(&format!("ok   {line} ")),
            "{line}: {well:?}"
        );
    }
    let nothing = house.stored();
    let config = host.rig.read("highwater.toml");
    let with = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}: {config}");
        host.rig.write("highwater.toml", &config.replace(from, to));
    };

    with("https://localhost", "https://no-such-host.invalid");
    told(&host, "dns", "no-such-host.invalid is not found", "receiver");

    // One of another name, and one that was made anew under the old name.
    for (name, found) in [("others", "UnknownIssuer"), ("servers", "BadSignature")] {
        host.rig.write("servers-of-others.pem", &Authority::new(name).unwrap().pem());
        with("servers.pem", "servers-of-others.pem");
        told(&host, "tls", found, "name in `tls.ca` the authority that signed");
    }

    let terms = |serial, until_year| Terms { serial, until_year };
    house.pki("crl.pem", &house.hosts.revoking(&[8]).unwrap());
    house.signal("HUP");
    wait_until("the list of revoked certificates", || house.log().contains("TLS are read again"));
    for (name, paper, found, next) in [
        ("revoked", house.hosts.client("lab-1", terms(8, 4000)).unwrap(), "CertificateRevoked", "this one is revoked"),
        ("expired", house.hosts.client("lab-1", terms(9, 2020)).unwrap(), "CertificateExpired", "renew this host's"),
        (
            "strange",
            Authority::new("others").unwrap().client("lab-1", terms(2, 4000)).unwrap(),
            "UnknownCA",
            "client-ca",
        ),
        (
            "of-old",
            Authority::new("hosts").unwrap().client("lab-1", terms(2, 4000)).unwrap(),
            "DecryptError",
            "client-ca",
        ),
        ("own", Paper::of_its_own("lab-1").unwrap(), "UnknownCA", "client-ca"),
    ] {
        paper.write(host.rig.dir.path(), name).unwrap();
        with(&with_certificate("lab-1"), &with_certificate(name));
        told(&host, "certificate", found, next);
    }

    // A list that says nothing of who signed it: nobody can know whether it is revoked.
    house.pki("crl.pem", &Authority::new("others").unwrap().revoking(&[]).unwrap());
    house.signal("HUP");
    wait_until("the list of others", || house.log().matches("TLS are read again").count() >= 2);
    with(&with_certificate("lab-1"), &with_certificate("lab-1"));
    told(&host, "certificate", "UnknownCA", "the receiver's `crl` lacks a list of who signed it");
    assert!(house.log().contains("refused since `crl` has no list by who signed it"), "{}", house.log());
    house.pki("crl.pem", &house.hosts.revoking(&[8]).unwrap());
    house.signal("HUP");
    wait_until("the right list", || house.log().matches("TLS are read again").count() >= 3);

    with(&with_certificate("lab-1"), "tls.ca = \"servers.pem\"\ntoken = \"incorrect horse\"\n");
    told(&host, "token", "401", "[[receiver.tokens]]");
    with(&with_certificate("lab-1"), "tls.ca = \"servers.pem\"\n");
    told(&host, "token", "401", "name a `token`, or a certificate");
    with("host-id = \"lab-1\"", "host-id = \"lab-2\"");
    told(&host, "host", "may write to lab-1, not to lab-2", "host-id");

    host.rig.write("highwater.toml", &config);
    host.record("episodes", "ep-2", b"x", Some(&commits[0]));
    told(
        &host,
        "gate",
        &format!("{} (ep-2) is out of date; the newest that is accepted is {}", commits[0], commits[1]),
        REMEDIATION[1],
    );

    assert!(house.stored() == nothing && host.names("outbox").is_empty(), "nothing is written");
    let expired = house.servers.server(terms(5, 2020)).unwrap();
    house.serves_as(&expired);
    house.signal("HUP");
    wait_until("an expired certificate", || house.log().matches("TLS are read again").count() == 4);
    told(&host, "tls", "expired", "renew the receiver's certificate");
}

#[test]
fn a_clock_that_is_wrong_has_a_name() {
    // The clock of a receiver is this machine's: another one is said by a far side that answers as a receiver does.
    const PONG: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n\
        {\"you\":\"lab\",\"hosts\":\"*\",\"clock\":\"2015-01-01T00:00:00Z\",\"gate\":{\"verdict\":\"accepted\"},\"pad\":\"12345\"}";
    let body = PONG.split_once("\r\n\r\n").unwrap().1;
    assert!(PONG.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    let (address, served) = crate::ship::far_side(PONG);
    let rig = crate::rig::Rig::new(&crate::ship::job(&address, ""));
    std::fs::create_dir(rig.path("episodes")).unwrap();
    let ended = rig.run(&["ship", "--ping", "--json"]);
    let fixes = fixes(&ended);
    assert!(ended.code == 4 && fixes.len() == 1, "{ended:?}");
    assert!(fixes[0].0 == "clock" && fixes[0].1.contains("ahead of the receiver's"), "{fixes:?}");
    assert!(fixes[0].2.contains("timedatectl"), "{fixes:?}");
    assert_eq!(crate::ship::asked(&address, served), 2, "the ping, and whether it is ready");
}

#[test]
fn a_certificate_that_was_renewed_without_its_key_is_told_as_one_of_which_the_other_is_on_its_way() {
    let (house, host, _) = pair();
    let renewed = house.hosts.client("lab-1", Terms { serial: 9, until_year: 4000 }).unwrap();
    let key = host.rig.read("lab-1.key");
    for (certificate, key) in [(renewed.certificate.clone(), key), (host.rig.read("lab-1.pem"), renewed.key.clone())] {
        Paper { certificate, key }.write(host.rig.dir.path(), "half").unwrap();
        let config = host.rig.read("highwater.toml");
        host.rig.write("highwater.toml", &config.replace(&with_certificate("lab-1"), &with_certificate("half")));
        told(&host, "certificate", "half.key is not the key of ", "the other may still be on its way");
        let pass = host.rig.run(&["ship", "send"]);
        assert!(pass.code == 2 && pass.stderr.contains("the other may still be on its way"), "{pass:?}");
        host.rig.write("highwater.toml", &config);
    }
    host.rig.ok(&["ship", "send"]);
}
