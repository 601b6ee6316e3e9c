//! Certificates that ended, or whose signer was revoked, while a receiver runs.

use std::time::Duration;

use highwater_engine::clock::SystemClock;
use rcgen::{CertificateParams, date_time_ymd};

use super::World;

/// Of whoever signs below the root a list says too whether it is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_by_one_whose_own_is_revoked_gets_no_connection() {
    let world = World::new();
    let between = world.clients.between("between", 9);
    let mut lab1 = between.host(&["lab1"], 2);
    lab1.certificate.push_str(&between.pem());
    let lists = |of_root: &[u8]| world.clients.revoke(of_root) + &between.revoke(&[]);
    world.write("crl.pem", &lists(&[]));
    let rig = world.rig(|_| {}).await;
    let put = async |episode| world.put(&rig, Some(&lab1), episode, None).await.map(|answer| answer.status);
    assert_eq!(put("lab1/a").await, Some(201));
    world.write("crl.pem", &lists(&[9]));
    assert!(rig.tls.clone().unwrap().reload().unwrap());
    assert_eq!(put("lab1/b").await, None);
    // And one of which no list says it is not known.
    world.write("crl.pem", &between.revoke(&[]));
    assert!(rig.tls.clone().unwrap().reload().unwrap());
    assert_eq!(put("lab1/c").await, None);
}

/// Each connection shows its certificate, and each request is of one that still holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ended_meanwhile_is_refused_on_an_open_connection_and_on_the_next() {
    let world = World::new();
    let rig = world.rig(|_| {}).await;
    let mut short = CertificateParams::new(vec!["lab1".to_owned()]).unwrap();
    let ends = SystemClock::shared().now().as_second() + 3;
    short.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends.cast_unsigned());
    let client = world.client(Some(&world.clients.sign(&short)));
    let mut open = world.connect_by(&rig, &client).await.unwrap();
    assert_eq!(open.ask("PUT", "/v1/episodes/lab1/a", &[], b"bytes").await.status, 201);
    let mut next = world.connect_by(&rig, &client).await.unwrap();
    assert_eq!(next.ask("PUT", "/v1/episodes/lab1/b", &[], b"bytes").await.status, 201);
    assert_eq!(next.stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full), "none is resumed");
    while SystemClock::shared().now().as_second() <= ends {
        SystemClock::shared().sleep(Duration::from_millis(50)).await;
    }
    let over = open.ask("PUT", "/v1/episodes/lab1/c", &[], b"bytes").await;
    assert_eq!((over.status, over.code().as_str()), (401, "no-identity"), "{over:?}");
    let refused = match world.connect_by(&rig, &client).await {
        Ok(mut late) => late.ask_if_let("PUT", "/v1/episodes/lab1/d", &[], b"bytes").await.is_none(),
        Err(_) => true,
    };
    assert!(refused, "it is over");
    assert_eq!(rig.rows().len(), 2);
}
