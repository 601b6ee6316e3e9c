//! What SIGHUP to a receiver takes up of a configuration that was changed, and that the rest is told, field by field.

use highwater_testkit::certificates::{Authority, Paper, Terms};

use super::house::{Caller, Code, House, TOKEN};
use super::sha256;
use crate::rig::wait_until;

const PING: &str = "POST /v1/ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";

/// The same receiver with other TLS, and tables behind it.
fn configure(house: &House, head: &str, tls: &str, tables: &str) {
    let (port, token) = (house.port, sha256(TOKEN));
    house.rig.write(
        "highwater.toml",
        &format!(
            "[receiver]\nlisten = \"127.0.0.1:{port}\"\n{head}\n\
             [receiver.tls]\ncert = \"pki/receiver.pem\"\nkey = \"pki/receiver.key\"\n{tls}\n\
             [[receiver.tokens]]\nname = \"lab-1\"\nsha256 = \"{token}\"\nhosts = [\"lab-1\"]\n{tables}"
        ),
    );
}

const HEAD: &str = "root = \"received\"\nlimits.free = \"1 MB\"\n";

/// The status of a ping on a connection that is open: 0 where nothing came.
fn ping(caller: &mut Caller, headers: &str) -> u16 {
    caller.say(format!("{PING}{headers}\r\n"));
    caller.one_answer().0
}

/// The status of a ping on a connection of its own, 0 where there is none.
fn met(house: &House, paper: Option<&Paper>, headers: &str) -> u16 {
    house.caller(paper).map_or(0, |mut caller| {
        caller.say(format!("{PING}Connection: close\r\n{headers}\r\n"));
        caller.answer().0
    })
}

#[test]
fn a_list_of_revoked_certificates_that_sighup_brings_counts_at_once() {
    let mut house = House::new("", "");
    let terms = |serial: u8| Terms { serial, ..Terms::default() };
    let good = house.hosts.client("lab-1", terms(2)).unwrap();
    let revoked = house.hosts.client("lab-1", terms(9)).unwrap();
    house.pki("crl.pem", &house.hosts.revoking(&[9]).unwrap());
    let without = "client-ca = \"pki/ca.pem\"\n";
    configure(&house, HEAD, without, "");
    house.open();
    let mut open = house.caller(Some(&revoked)).unwrap();
    assert_eq!((ping(&mut open, ""), met(&house, Some(&revoked), "")), (200, 200));

    configure(&house, HEAD, &format!("{without}crl = \"pki/crl.pem\"\n"), "");
    house.signal("HUP");
    wait_until("a list that counts", || met(&house, Some(&revoked), "") == 0);
    assert_eq!(ping(&mut open, ""), 401, "nor is one let go on that is connected");
    assert_eq!(met(&house, Some(&good), ""), 200);
    assert!(!house.log().contains("waits for a restart"), "{}", house.log());

    // One that cannot be used takes nothing away, and is told by its field.
    house.pki("none.pem", "nothing\n");
    configure(&house, HEAD, &format!("{without}crl = \"pki/none.pem\"\n"), "");
    house.signal("HUP");
    wait_until("a list that is none", || house.log().contains("the old ones stay"));
    assert!(house.log().contains("receiver.tls.crl") && house.log().contains("none.pem"), "{}", house.log());
    assert_eq!((met(&house, Some(&revoked), ""), met(&house, Some(&good), "")), (0, 200));
    // The files that are in use are read again as ever.
    house.pki("crl.pem", &house.hosts.revoking(&[2]).unwrap());
    wait_until("the list that is in use", || met(&house, Some(&good), "") == 0);
    assert_eq!(house.close(), Some(0));
}

#[test]
fn another_authority_and_another_word_on_certificates_are_taken_up_by_sighup() {
    let mut house = House::new("", "");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let old = house.hosts.client("lab-1", Terms::default()).unwrap();
    configure(&house, HEAD, "client-ca = \"pki/ca.pem\"\nclient-certs = \"optional\"\n", "");
    house.open();
    let mut by_token = house.caller(None).unwrap();
    let mut by_paper = house.caller(Some(&old)).unwrap();
    assert_eq!((ping(&mut by_token, &bearer), ping(&mut by_paper, "")), (200, 200));

    configure(&house, HEAD, "client-ca = \"pki/ca.pem\"\nclient-certs = \"required\"\n", "");
    house.signal("HUP");
    wait_until("a certificate that must be there", || met(&house, None, &bearer) == 0);
    assert_eq!(ping(&mut by_token, &bearer), 401, "who is connected without one has none either");
    assert_eq!((ping(&mut by_paper, ""), met(&house, Some(&old), "")), (200, 200));

    let others = Authority::new("others").unwrap();
    house.pki("others.pem", &others.pem());
    configure(&house, HEAD, "client-ca = \"pki/others.pem\"\n", "");
    house.signal("HUP");
    wait_until("the other authority", || met(&house, Some(&old), "") == 0);
    assert_eq!(ping(&mut by_paper, ""), 401);
    let new = others.client("lab-1", Terms::default()).unwrap();
    assert_eq!(met(&house, Some(&new), ""), 200);

    // Without any authority a certificate is worth nothing, also one that was shown before.
    let mut by_paper = house.caller(Some(&new)).unwrap();
    assert_eq!(ping(&mut by_paper, ""), 200);
    configure(&house, HEAD, "", "");
    house.signal("HUP");
    wait_until("tokens alone", || met(&house, None, &bearer) == 200);
    assert_eq!(ping(&mut by_paper, ""), 401);
    assert!(!house.log().contains("waits for a restart"), "{}", house.log());
    assert_eq!(house.close(), Some(0));
}

#[test]
fn what_sighup_cannot_take_up_is_told_by_its_field() {
    let mut house = House::new("", "");
    let ca = "client-ca = \"pki/ca.pem\"\nclient-certs = \"optional\"\n";
    configure(&house, HEAD, ca, "");
    let (_, _) = Code::new(&house.rig.path("code"), 1);
    house.open();
    assert_eq!(house.put("ep-1", "", b"bytes").0, 201);
    let told = |field: &str| {
        let log = house.log();
        let lines = log.lines().filter(|line| line.contains(&format!("`{field}`")) && line.contains("restart"));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        assert!(lines.iter().all(|line| line.contains("ERROR") && line.contains("systemctl restart ")), "{lines:?}");
        lines.len()
    };
    let gate = "[receiver.gate]\nrepository = \"code\"\n";
    configure(&house, HEAD, ca, gate);
    house.signal("HUP");
    wait_until("the gate", || told("receiver.gate") == 1);
    assert_eq!(house.put("ep-2", "", b"bytes").0, 201, "it is not judged yet");
    assert_eq!(house.log().matches("waits for a restart").count(), 1, "{}", house.log());

    let port = house.port;
    let head = "root = \"elsewhere\"\nlimits.free = \"1 MB\"\nlimits.size = \"3 B\"\ndigest-header = \"x-sum\"\n";
    configure(&house, head, ca, "");
    let other = house.rig.read("highwater.toml").replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
    house.rig.write("highwater.toml", &other);
    house.signal("HUP");
    wait_until("the size", || told("receiver.limits.size") == 1);
    let fields = ["listen", "root", "digest-header", "gate"].map(|field| told(&format!("receiver.{field}")));
    assert_eq!(fields, [1, 1, 1, 1], "{}", house.log());
    assert_eq!(house.put("ep-3", "", b"bytes").0, 201);

    // TLS itself, where there is some, does not go by a signal.
    let token = sha256(TOKEN);
    house.rig.write(
        "highwater.toml",
        &format!("[receiver]\nlisten = \"127.0.0.1:{port}\"\n{HEAD}[[receiver.tokens]]\nname = \"lab-1\"\nsha256 = \"{token}\"\nhosts = [\"lab-1\"]\n"),
    );
    house.signal("HUP");
    wait_until("no TLS", || told("receiver.tls") == 1);
    assert_eq!(house.put("ep-4", "", b"bytes").0, 201);
    // As it was is nothing to tell of.
    let before = house.log().matches("waits for a restart").count();
    configure(&house, HEAD, ca, "");
    house.signal("HUP");
    wait_until("the old one", || house.log().matches("are read again").count() >= 4);
    assert_eq!(house.log().matches("waits for a restart").count(), before, "{}", house.log());
    assert_eq!(house.close(), Some(0));
}
