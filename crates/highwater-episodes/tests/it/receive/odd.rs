//! What is no file, in the place of an episode: nothing is concluded from it, and whoever sends is put off until a person moved it away.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::report::ExitCode;
use highwater_episodes::receive::gate::Off;
use highwater_testkit::sim_clock::SimClock;

use super::rig::{Answer, Rig, TOKEN};
use crate::life::Host;

/// Between two passes.
const PAUSE: Duration = Duration::from_secs(60);

/// Of a body: of this much a copy is begun before the rest came.
const PART_BYTES: usize = 1 << 20;

/// What makes something at a path.
type Make = fn(&Path);

/// Each kind of thing that is no file.
fn odd_things() -> [(&'static str, Make); 4] {
    [
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a symlink", |path| symlink("/etc/passwd", path).unwrap()),
        ("a symlink", |path| symlink("nowhere", path).unwrap()),
        ("a pipe, a socket or a device", |path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ]
}

fn is_put_off(answer: &Answer, path: &Path, found: &str, belongs: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (507, "place-taken"), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let told = format!("{} is {found}, where {belongs} belongs", path.display());
    assert_eq!(answer.json()["detail"].as_str(), Some(told.as_str()));
    assert!(answer.json()["remediation"].as_str().unwrap().contains("away"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_what_has_something_odd_in_its_place_is_put_off_until_it_is_moved_away() {
    for (found, make) in odd_things() {
        let rig = Rig::new().await;
        assert_eq!(rig.put("lab/b", &[], b"b|").await.status, 201);
        let (file, aside) = (rig.path("episodes/lab/b.tar.zst"), rig.path("aside"));
        // One that has a row, of which the very bytes or others are sent, and one that has none.
        fs::rename(&file, &aside).unwrap();
        make(&file);
        is_put_off(&rig.put("lab/b", &[], b"b|").await, &file, found, "a file");
        is_put_off(&rig.put("lab/b", &[], b"other|").await, &file, found, "a file");
        let bare = rig.path("episodes/lab/c.tar.zst");
        make(&bare);
        is_put_off(&rig.put("lab/c", &[], b"c|").await, &bare, found, "a file");
        // In parts, and to read.
        let pairs = [("host", "lab"), ("episode", "b")];
        is_put_off(&rig.post(2, &pairs).await, &file, found, "a file");
        is_put_off(&rig.get("/v1/episodes/lab/b").await, &file, found, "a file");
        // Of a whole host.
        let host = rig.path("episodes/lab2");
        make(&host);
        if found != "a directory" {
            is_put_off(&rig.put("lab2/a", &[], b"a|").await, &host, found, "a directory");
            let _ = fs::remove_file(&host);
        }
        assert!(fs::symlink_metadata(&file).is_ok(), "nothing takes it away");
        for odd in [&file, &bare] {
            fs::rename(odd, rig.path(&format!("was-{}", odd.file_name().unwrap().display()))).unwrap();
        }
        assert_eq!(rig.put("lab/c", &[], b"c|").await.status, 201);
        assert_eq!(rig.put("lab/b", &[], b"b|").await.status, 201);
        assert_eq!(rig.put("lab2/a", &[], b"a|").await.status, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_disk_went_away_is_put_off_and_nothing_is_put_in_its_mount_point() {
    let rig = Rig::new().await;
    let (episodes, disk) = (rig.path("episodes"), rig.path("disk"));
    let mut client = rig.connect().await;
    let head = format!(
        "PUT /v1/episodes/lab/a HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
        2 * PART_BYTES
    );
    client.say(head).await;
    client.say(vec![7; PART_BYTES]).await;
    // It was let in, and is being copied: only the round finds that another directory is there now.
    while fs::read_dir(episodes.join(".staging")).unwrap().count() == 0 {
        tokio::task::yield_now().await;
    }
    fs::rename(&episodes, &disk).unwrap();
    fs::create_dir(&episodes).unwrap();
    client.say(vec![7; PART_BYTES]).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-ready"), "{answer:?}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(episodes.to_str().unwrap()) && detail.contains("is its disk mounted?"), "{detail}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!((fs::read_dir(&episodes).unwrap().count(), rig.rows().len()), (0, 0));
    fs::remove_dir(&episodes).unwrap();
    fs::rename(&disk, &episodes).unwrap();
    assert_eq!(rig.put("lab/a", &[], b"a|b|").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipper_puts_off_what_has_something_odd_in_its_place_and_sends_the_rest() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let clock = SimClock::running("2026-11-21T12:00:00Z".parse().unwrap());
    let host = Host::at(&rig, clock.shared());
    host.record("a", "first", None);
    host.record("b", "second", None);
    fs::create_dir_all(rig.path("episodes/lab/a.tar.zst")).unwrap();
    let mut passes = 0;
    while !rig.path("episodes/lab/b.tar.zst").exists() {
        passes += 1;
        assert!(passes < 20, "{:?}", host.told().await);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.review), (ExitCode::Checkpoint, 0), "{}", report.message);
        clock.advance(PAUSE);
    }
    assert!(passes <= 2, "it is sent with the one that is put off, or in the pass after it");
    let told = host.told().await;
    assert!(told.iter().any(|told| told.contains("is a directory, where a file belongs")), "{told:?}");
    fs::remove_dir(rig.path("episodes/lab/a.tar.zst")).unwrap();
    while host.names("shipped").len() < 2 {
        passes += 1;
        assert!(passes < 30, "{:?}", host.told().await);
        host.pass().await;
        clock.advance(PAUSE);
    }
    assert!(rig.path("episodes/lab/a.tar.zst").is_file());
}
