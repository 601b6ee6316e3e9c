//! Limits: sizes, the disk, how many at once, how slow.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::settings::{ByteSize, DurationText, Whole};
use highwater_episodes::receive::gate::Off;
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_testkit::bind_mount::BindMount;
use highwater_testkit::small_disk::SmallDisk;

use super::rig::{Rig, TOKEN, WAIT};

fn head(path: &str, more: &str) -> String {
    format!("PUT /v1/episodes/{path} HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer {TOKEN}\r\n{more}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_that_is_too_large_is_refused_before_and_while_it_is_read() {
    let rig = Rig::with(|settings| settings.limits.size = "100 kB".parse().unwrap()).await;
    assert_eq!(rig.put("lab/fits", &[], &[7; 100_000]).await.status, 201);
    let large = rig.put("lab/large", &[], &[7; 100_001]).await;
    assert_eq!((large.status, large.code().as_str()), (413, "too-large"));
    // At once: nothing of the body was sent.
    let mut client = rig.connect().await;
    client.say(head("lab/large", "Content-Length: 9000000000\r\n")).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    let mut client = rig.connect().await;
    client.say(head("lab/large", "Expect: 100-continue\r\nContent-Length: 200000\r\n")).await;
    assert_eq!(client.answer(false).await.status, 413);
    // Of unknown length: as soon as it is too much.
    let mut client = rig.connect().await;
    client.say(head("lab/large", "Transfer-Encoding: chunked\r\n")).await;
    for _ in 0..30 {
        client.say([b"1000\r\n", &[7; 4096][..], b"\r\n"].concat()).await;
    }
    client.say("0\r\n\r\n").await;
    assert_eq!(client.answer(false).await.status, 413);
    assert_eq!(rig.files(), ["lab/fits.tar.zst"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_still_sends_when_refused_reads_the_answer() {
    let rig = Rig::with(|settings| settings.limits.size = ByteSize::mib(1)).await;
    // 6 MiB are read and dropped, and the connection goes on; of 12 MiB so much that the answer comes through.
    let mut client = rig.connect().await;
    let bearer = [("Authorization", format!("Bearer {TOKEN}"))];
    let body = vec![0; 6 << 20];
    assert_eq!(client.ask("PUT", "/v1/episodes/lab/a", &bearer, &body).await.status, 413);
    assert_eq!(client.ask("PUT", "/v1/episodes/lab/b", &bearer, b"small").await.status, 201);
    for _ in 0..5 {
        assert_eq!(rig.put("lab/a", &[], &vec![0; 12 << 20]).await.status, 413);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_stay_free_on_the_disk_stays_free() {
    let rig = Rig::with(|settings| settings.limits.free = "1000TB".parse().unwrap()).await;
    let full = rig.put("lab/a", &[], b"bytes").await;
    assert_eq!((full.status, full.code().as_str()), (507, "disk-full"));
    assert!(full.header("retry-after").is_some());
    assert_eq!(rig.get("/readyz").await.status, 503);
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_stay_free_stays_free_where_the_episodes_are_a_disk_of_their_own() {
    const TEST: &str = "what_must_stay_free_stays_free_where_the_episodes_are_a_disk_of_their_own";
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("episodes")).unwrap();
    let disk = SmallDisk::mount(2 << 20).and_then(|disk| {
        let mount = BindMount::mount(disk.path(), &dir.path().join("episodes"))?;
        Ok((mount, disk))
    });
    let (mount, disk) = match disk {
        Ok(mounted) => mounted,
        Err(not_here) => return not_here.say(TEST),
    };
    let rig = Rig::start(dir, Arc::new(Off), |settings| settings.limits.free = ByteSize::mib(1)).await;
    assert_eq!(rig.put("lab/a", &[], b"bytes").await.status, 201);
    let large = rig.put("lab/b", &[], &vec![7; 3 << 19]).await;
    assert_eq!((large.status, large.code().as_str()), (507, "disk-full"));
    disk.fill().unwrap();
    // How much room there is was asked a moment ago.
    let full = async {
        while rig.get("/readyz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, full).await.unwrap();
    assert!(rig.get("/readyz").await.text().contains("its disk is as full as it may be"));
    let dir = rig.end().await;
    drop((mount, disk, dir));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_uploads_in_hand_have_announced_is_not_free_any_more() {
    let free = rustix::fs::statvfs(std::env::temp_dir()).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
    let size = ByteSize::mib(1 << 30);
    let rig = Rig::with(|settings| settings.limits.size = size).await;
    // Two that fit each by itself and not together; what others write to this disk meanwhile is far less than the difference.
    let most = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", free / 4 * 3);
    let mut first = rig.connect().await;
    first.say(head("lab/a", &most)).await;
    let mut said = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut first.stream, &mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100", "it is asked to go on once it has its place");
    let mut second = rig.connect().await;
    second.say(head("lab/b", &most)).await;
    assert_eq!(second.answer(false).await.status, 507);
    drop(first);
    // With its place it gives back what it announced.
    let given_back = async {
        loop {
            let mut third = rig.connect().await;
            third.say(head("lab/c", &most)).await;
            tokio::io::AsyncReadExt::read_exact(&mut third.stream, &mut said).await.unwrap();
            if &said == b"HTTP/1.1 100" {
                break;
            }
        }
    };
    tokio::time::timeout(super::rig::WAIT, given_back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_uploads_than_fit_are_told_when_to_come_again() {
    let rig = Rig::with(|settings| settings.limits.uploads = Whole::new(1).unwrap()).await;
    let mut first = rig.connect().await;
    first.say(head("lab/a", "Expect: 100-continue\r\nContent-Length: 5\r\n")).await;
    let mut said = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut first.stream, &mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    let busy = rig.put("lab/b", &[], b"bytes").await;
    assert_eq!((busy.status, busy.code().as_str()), (503, "busy"));
    assert_eq!(busy.header("retry-after"), Some("10"));
    first.say("bytes").await;
    assert_eq!(first.answer(false).await.status, 201);
    assert_eq!(rig.put("lab/b", &[], b"bytes").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_drips_into_all_of_its_uploads_keeps_no_other_host_out() {
    let set = |settings: &mut ReceiverSettings| settings.limits.uploads_per_host = Whole::new(2).unwrap();
    let rig = Rig::with(set).await;
    let mut drips = Vec::new();
    for name in ["lab/a", "lab/b"] {
        let mut drip = rig.connect().await;
        drip.say(head(name, "Expect: 100-continue\r\nContent-Length: 5\r\n")).await;
        let mut said = [0; 25];
        tokio::io::AsyncReadExt::read_exact(&mut drip.stream, &mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n", "{name}");
        drip.say("b").await;
        drips.push(drip);
    }
    let busy = rig.put("lab/c", &[], b"bytes").await;
    assert_eq!((busy.status, busy.code().as_str(), busy.header("retry-after")), (503, "busy", Some("10")));
    assert_eq!(rig.put("lab2/c", &[], b"bytes").await.status, 201);
    drips[0].say("ytes").await;
    assert_eq!(drips[0].answer(false).await.status, 201);
    assert_eq!(rig.put("lab/c", &[], b"bytes").await.status, 201, "its place is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stands_still_or_drips_for_ever_gives_its_place_up() {
    let rig = Rig::with(|settings| {
        settings.limits.idle_time = DurationText::millis(300);
        settings.limits.upload_time = DurationText::secs(2);
    })
    .await;
    let mut still = rig.connect().await;
    still.say(head("lab/a", "Content-Length: 100\r\n")).await;
    still.say("half").await;
    let answer = tokio::time::timeout(Duration::from_secs(30), still.answer(false)).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (408, "too-slow"));
    let mut drips = rig.connect().await;
    drips.say(head("lab/b", "Content-Length: 100000\r\n")).await;
    let mut every = tokio::time::interval(Duration::from_millis(100));
    let (mut read, mut write) = tokio::io::split(drips.stream);
    let dripping = tokio::spawn(async move {
        loop {
            every.tick().await;
            if tokio::io::AsyncWriteExt::write_all(&mut write, b"x").await.is_err() {
                return;
            }
        }
    });
    let mut start = [0; 12];
    let reading = tokio::io::AsyncReadExt::read_exact(&mut read, &mut start);
    tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
    dripping.abort();
    rig.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let rig = Rig::new().await;
    let mut client = rig.connect().await;
    client.say(head("lab/a", "Content-Length: 2000000\r\n")).await;
    client.say(vec![1; 1_500_000]).await;
    drop(client);
    // Its copy goes when the receiver learns of it.
    let gone = async {
        while std::fs::read_dir(rig.path("episodes/.staging")).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::rig::WAIT, gone).await.unwrap();
    assert_eq!(rig.put("lab/b", &[], b"bytes").await.status, 201);
    assert_eq!(rig.files(), ["lab/b.tar.zst"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_hand_ends_before_the_receiver_does() {
    let rig = Rig::new().await;
    let mut client = rig.connect().await;
    client.say(head("lab/a", "Expect: 100-continue\r\nContent-Length: 5\r\n")).await;
    let mut said = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut said).await.unwrap();
    let address = rig.address;
    let ending = tokio::spawn(rig.end());
    // Nobody new is let in.
    let closed = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(super::rig::WAIT, closed).await.unwrap();
    client.say("bytes").await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.header("connection")), (201, Some("close")));
    drop(client);
    let dir = tokio::time::timeout(super::rig::WAIT, ending).await.unwrap().unwrap();
    assert!(dir.path().join("episodes/lab/a.tar.zst").exists());
}

/// Else whoever does not read what it asks for keeps others out for ever, without a name.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_its_answers_keeps_nobody_out() {
    let rig = Rig::with(|settings| {
        settings.limits.connections = Whole::new(1).unwrap();
        settings.limits.idle_time = DurationText::secs(1);
    })
    .await;
    let mut client = rig.connect().await;
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: r\r\n\r\n".repeat(400);
    client.say(&asked).await;
    let other = tokio::time::timeout(WAIT, rig.get("/healthz")).await.expect("it is let in");
    assert_eq!(other.status, 200);
}
