//! R9 of what was stored long ago: nobody is told that an episode is there before it was read.

use std::fs;
use std::sync::Arc;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::receive::gate::Off;

use super::resumable::hex;
use super::rig::{Rig, WAIT};

const FILE: &str = "episodes/lab/a.tar.zst";

/// One byte of what is stored is another one than it was, as a disk leaves it.
fn damage(rig: &Rig, bytes: &[u8]) {
    let mut damaged = bytes.to_vec();
    damaged[1] ^= 1;
    fs::write(rig.path(FILE), damaged).unwrap();
}

/// What lies in quarantine, without the reasons.
fn aside(rig: &Rig) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(rig.path("quarantine")) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_none_or(|suffix| suffix != "reason"));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_stored_episode_that_is_damaged_is_not_called_present_but_mended_by_the_good_one() {
    let rig = Rig::new().await;
    let sent = b"one|level 3";
    assert_eq!(rig.put("lab/a", &[], sent).await.status, 201);
    for (at, damaged) in [&b"onE|level 3"[..], b"on", b"", b"one|level 3 and more"].into_iter().enumerate() {
        fs::write(rig.path(FILE), damaged).unwrap();
        let again = rig.put("lab/a", &[], sent).await;
        assert_eq!((again.status, &again.json()["repaired"]), (200, &true.into()), "{again:?}");
        assert_eq!(again.json()["sha256"], hex(sent));
        assert_eq!(fs::read(rig.path(FILE)).unwrap(), sent, "what was told is so");
        assert_eq!(aside(&rig)[at], damaged, "what was damaged is kept");
    }
    let reason = fs::read_to_string(rig.path("quarantine/a.tar.zst.0.reason")).unwrap();
    assert!(reason.contains("damaged: its row says sha256"), "{reason}");
    assert_eq!(rig.rows().len(), 1);
    // Copies are swept after the answers.
    let swept = async {
        while !rig.left().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, swept).await.unwrap();
    assert_eq!(rig.put("lab/a", &[], sent).await.json()["repaired"], false, "and now it is there");
    let metrics = rig.get("/metrics").await.text();
    assert!(metrics.contains("uploads_total{end=\"mended\"} 4"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_the_same_episode_packed_otherwise_mends_too_and_another_one_is_told_of_the_damage() {
    let rig = Rig::new().await;
    let content = Sha256Digest::of(b"one").to_string();
    let said = [("X-Episode-Content-Sha256", &*content)];
    assert_eq!(rig.put("lab/a", &said, b"one|level 3").await.status, 201);
    damage(&rig, b"one|level 3");
    let other = rig.put("lab/a", &[], b"two|level 3").await;
    assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
    let detail = format!("what is stored is damaged: its row says sha256 {}", hex(b"one|level 3"));
    assert_eq!(other.json()["detail"], detail);
    assert_eq!(aside(&rig).len(), 0, "what cannot mend it leaves it where it is");
    let repacked = rig.put("lab/a", &[], b"one|level 19").await;
    assert_eq!((repacked.status, repacked.json()["repaired"].as_bool()), (200, Some(true)), "{repacked:?}");
    assert_eq!(fs::read(rig.path(FILE)).unwrap(), b"one|level 19");
    let rows = rig.rows();
    assert_eq!((rows.len(), &rows[1]["sha256"]), (2, &hex(b"one|level 19").into()));
    assert_eq!(rows[1]["content_sha256"], content);
    assert_eq!(rig.put("lab/a", &[], b"one|level 19").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_by_an_upload_in_parts_what_is_damaged_is_sent_whole_and_mended() {
    let rig = Rig::new().await;
    let sent = b"one|level 3";
    let pairs = [("host", "lab"), ("episode", "a"), ("sha256", &*hex(sent))];
    assert_eq!(rig.put("lab/a", &[], sent).await.status, 201);
    let present = rig.post(sent.len(), &pairs).await;
    assert_eq!(present.header("upload-offset"), Some("11"), "what is whole is not sent again");
    damage(&rig, sent);
    let begun = rig.post(sent.len(), &pairs).await;
    assert_eq!((begun.status, begun.header("upload-offset")), (201, Some("0")), "its bytes are wanted");
    let place = begun.header("location").unwrap();
    assert_eq!(rig.patch(place, 0, sent).await.status, 204);
    assert_eq!(fs::read(rig.path(FILE)).unwrap(), sent);
    assert_eq!(aside(&rig).len(), 1);
    // Also for who says nothing of its digest.
    damage(&rig, sent);
    let place = rig.begun("a", sent.len()).await;
    assert_eq!(rig.patch(&place, 0, sent).await.status, 204);
    assert_eq!((fs::read(rig.path(FILE)).unwrap(), aside(&rig).len()), (sent.to_vec(), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_who_send_what_is_damaged_here_mend_it_once() {
    let rig = Rig::new().await;
    let sent = b"one|".repeat(50_000);
    assert_eq!(rig.put("lab/a", &[], &sent).await.status, 201);
    damage(&rig, &sent);
    let answers = futures::future::join_all((0..10).map(|_| rig.put("lab/a", &[], &sent))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(fs::read(rig.path(FILE)).unwrap(), sent);
    assert_eq!((aside(&rig).len(), rig.rows().len()), (1, 1), "none that was whole is set aside");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_by_hand_under_another_row_is_told_by_its_own_bytes() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[], b"one|3").await.status, 201);
    // As long, so only its bytes tell.
    fs::write(rig.path(FILE), b"two|3").unwrap();
    let same = rig.put("lab/a", &[], b"two|3").await;
    assert_eq!((same.status, same.json()["repaired"].as_bool()), (200, Some(true)), "{same:?}");
    assert_eq!(rig.rows()[1]["sha256"], hex(b"two|3"));
    let dir = rig.end().await;
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    assert_eq!(rig.put("lab/a", &[], b"two|3").await.status, 200);
}
