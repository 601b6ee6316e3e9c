//! A receiver whose TLS files are exchanged while uploads are in hand.

use highwater_testkit::certificates::{Authority, Terms};

use super::house::{Caller, House};
use crate::rig::wait_until;

const BODY_BYTES: usize = 4 << 20;

fn begin(caller: &mut Caller, episode: &str, bytes: usize) {
    caller.say(format!(
        "PUT /v1/episodes/lab-1/{episode} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
    ));
}

#[test]
fn an_upload_in_hand_goes_on_while_certificate_key_authority_and_revocations_are_exchanged() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "");
    let serial = |serial: u8| Terms { serial, ..Terms::default() };
    let old = house.hosts.client("lab-1", serial(2)).unwrap();
    let revoked = house.hosts.client("lab-1", serial(9)).unwrap();
    house.open();
    let body: Vec<u8> = (0..BODY_BYTES).map(|at| (at % 251) as u8).collect();
    let (half, rest) = body.split_at(BODY_BYTES / 2);
    let mut uploads: Vec<Caller> = [&old, &revoked].map(|paper| house.caller(Some(paper)).unwrap()).into();
    for (caller, episode) in uploads.iter_mut().zip(["first", "second"]) {
        begin(caller, episode, BODY_BYTES);
        caller.say(half);
    }
    let first = uploads[0].shown();

    // A new certificate without its key, as in the middle of being copied: the old ones stay, and that is told once.
    let fresh = house.servers.server(serial(77)).unwrap();
    house.pki("receiver.pem", &fresh.certificate);
    let told = || house.log().matches("cannot be used; the old ones stay").count();
    wait_until("files that do not fit", || told() == 1);
    assert!(house.log().contains("receiver.pem") && house.log().contains("ERROR"), "{}", house.log());
    assert_eq!(house.caller(Some(&old)).unwrap().shown(), first);

    // The whole of it: another key, another authority beside the old one, and a certificate that is taken back.
    let others = Authority::new("other hosts").unwrap();
    let new = others.client("lab-1", serial(3)).unwrap();
    let met = |paper| {
        house.caller(Some(paper)).map(|mut caller| {
            caller.say("POST /v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            (caller.shown(), caller.answer().0)
        })
    };
    assert!(met(&new).map_or(true, |(_, status)| status == 0), "nobody knows them yet");
    house.pki("ca.pem", &(house.hosts.pem() + &others.pem()));
    house.pki("crl.pem", &(house.hosts.revoking(&[9]).unwrap() + &others.revoking(&[]).unwrap()));
    house.serves_as(&fresh);
    wait_until("the new authority", || met(&new).is_ok_and(|(_, status)| status == 200));
    let (shown, status) = met(&old).unwrap();
    assert!(
        shown != first && status == 200,
        "whoever comes now meets the new certificate, and the old hosts are still let in"
    );
    assert!(met(&revoked).map_or(true, |(_, status)| status == 0), "but the one that is taken back");

    // What was in hand meets none of that: the rest comes, and more on the same connection, but for what is taken back.
    for (caller, (episode, then)) in uploads.iter_mut().zip([("first", 201), ("second", 401)]) {
        caller.say(rest);
        assert_eq!(caller.one_answer().0, 201, "{episode}");
        begin(caller, &format!("{episode}-more"), 5);
        caller.say("bytes");
        assert_eq!(caller.one_answer().0, then, "{episode}");
    }
    assert_eq!(house.indexed(), ["first", "first-more", "second"]);
    assert!(std::fs::read(super::stored(&house.root(), "first")).unwrap() == body);

    // By SIGHUP at once; one that is no list of revoked certificates changes nothing.
    house.pki("crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    house.signal("HUP");
    wait_until("a list that is none", || house.log().matches("the old ones stay").count() >= 2);
    assert_eq!(met(&new).unwrap().1, 200);
    assert!(met(&revoked).map_or(true, |(_, status)| status == 0), "nor does it let anybody in");
    drop(uploads);
    assert_eq!(house.close(), Some(0));
}
