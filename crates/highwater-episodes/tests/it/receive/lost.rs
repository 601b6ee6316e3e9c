//! Rows that are lost, and files that are: what is sent under their names meanwhile, and that it ends without a restart.

use std::fs;
use std::sync::Arc;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::{Index, IndexLock, JsonlIndex, Row};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::store::{FileStore, Store as _};
use highwater_episodes::withdraw::{Name, withdraw};
use highwater_fs::{RealFs, RelPath};

use super::resumable::hex;
use super::rig::Rig;
use crate::rows::{key, path};

/// The index as another process has it.
fn index(rig: &Rig) -> JsonlIndex<RealFs> {
    let fs = RealFs::open(rig.dir.path()).unwrap();
    let lock = IndexLock::at(rig.path("index.jsonl.lock"));
    JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), lock).unwrap().0
}

/// As `episodes withdraw` does, beside the receiver.
fn withdraws(rig: &Rig, of: &EpisodeKey) {
    let store = FileStore::open(RealFs::open(rig.dir.path()).unwrap(), &RelPath::root(), path("quarantine")).unwrap();
    withdraw(&store, &index(rig), of, "lens cap", Name::Kept, "2026-11-21T10:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(store.stat(of).unwrap(), None);
}

async fn is_withdrawn(rig: &Rig, episode: &str, told: &str) {
    for body in [&b"one|level 3"[..], b"two|level 3"] {
        let put = rig.put(episode, &[], body).await;
        assert_eq!((put.status, put.code().as_str()), (409, "withdrawn"), "{told}");
        let pairs = [("host", "lab"), ("episode", episode.split_once('/').unwrap().1), ("sha256", &*hex(body))];
        assert_eq!(rig.post(body.len(), &pairs).await.code(), "withdrawn", "{told}");
    }
    assert_eq!(rig.get(&format!("/v1/episodes/{episode}")).await.status, 410, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_what_was_withdrawn_is_not_taken_again_because_its_tombstone_was_taken_out() {
    let mut rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[], b"one|level 3").await.status, 201);
    assert_eq!(rig.put("lab/b", &[], b"b|").await.status, 201);
    withdraws(&rig, &key("lab/a"));
    is_withdrawn(&rig, "lab/a", "with its tombstone").await;
    let file = rig.path("index.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    let without: String = whole.split_inclusive('\n').filter(|line| !line.contains("withdrawn")).collect();
    // In place, as an editor does; then the whole file is renamed, as for a log.
    for (what, is_renamed) in [("edited in place", false), ("renamed", true)] {
        if is_renamed {
            fs::rename(&file, rig.path("index.jsonl.1")).unwrap();
        } else {
            fs::write(&file, &without).unwrap();
        }
        let list = rig.get("/v1/episodes").await;
        assert_eq!((list.status, list.code().as_str()), (503, "index-edited"), "{what}");
        let ready = rig.get("/readyz").await;
        assert!(ready.status == 503 && ready.text().contains("withdrawn episode"), "{what}: {}", ready.text());
        assert!(ready.text().contains("put the lines back") && ready.text().contains("--prune"), "{}", ready.text());
        is_withdrawn(&rig, "lab/a", what).await;
        // Started again it knows that still.
        let dir = rig.end().await;
        rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
        is_withdrawn(&rig, "lab/a", "started again").await;
        assert_eq!(rig.get("/v1/episodes").await.status, 503, "{what}");
        // The lines are put back: it ends by itself.
        fs::write(&file, &whole).unwrap();
        assert_eq!((rig.get("/v1/episodes").await.status, rig.get("/readyz").await.status), (200, 200), "{what}");
        assert!(!rig.path("index.jsonl.lost").exists());
        is_withdrawn(&rig, "lab/a", "back").await;
    }
    // Withdrawn once more is a tombstone again.
    fs::write(&file, &without).unwrap();
    assert_eq!(rig.get("/readyz").await.status, 503);
    withdraws(&rig, &key("lab/a"));
    assert_eq!((rig.get("/v1/episodes").await.status, rig.get("/readyz").await.status), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_lost_with_its_file_lets_the_same_in_and_nothing_else_until_it_is_given_up() {
    let rig = Rig::new().await;
    for (episode, body) in [("lab/a", &b"a|1"[..]), ("lab/b", b"b|1"), ("lab/c", b"c|1")] {
        assert_eq!(rig.put(episode, &[], body).await.status, 201);
    }
    let file = rig.path("index.jsonl");
    let rest: String =
        fs::read_to_string(&file).unwrap().split_inclusive('\n').filter(|line| line.contains("\"c\"")).collect();
    fs::write(&file, rest).unwrap();
    for episode in ["a", "b"] {
        fs::remove_file(rig.path(&format!("episodes/lab/{episode}.tar.zst"))).unwrap();
    }
    assert!(rig.get("/readyz").await.text().contains("2 rows were taken out"));
    for _ in 0..2 {
        let other = rig.put("lab/a", &[], b"other|1").await;
        assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
        let detail = other.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("`highwater reindex --prune`") && detail.contains("`retry`"), "{detail}");
    }
    assert_eq!(rig.files(), ["lab/c.tar.zst"], "nothing of it was stored");
    assert_eq!(rig.put("lab/a", &[], b"a|1").await.status, 201, "the very episode is what was missed");
    assert!(rig.get("/readyz").await.text().contains("1 row was taken out"));
    // As `reindex --prune` does in a process of its own.
    assert_eq!(index(&rig).give_up_lost().unwrap(), 2, "as many as the receiver told");
    assert_eq!((rig.get("/v1/episodes").await.status, rig.get("/readyz").await.status), (200, 200));
    assert_eq!(rig.put("lab/b", &[], b"other|1").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_other_content_does_not_take_the_place_of_a_file_that_is_gone_and_the_same_mends_it() {
    let rig = Rig::new().await;
    let content = Sha256Digest::of(b"one").to_string();
    let said = [("X-Episode-Content-Sha256", &*content)];
    assert_eq!(rig.put("lab/a", &said, b"one|level 3").await.status, 201);
    let stored = rig.path("episodes/lab/a.tar.zst");
    fs::remove_file(&stored).unwrap();
    let other = rig.put("lab/a", &[], b"two|level 3").await;
    assert_eq!((other.status, other.code().as_str()), (409, "conflict"));
    let told = other.json();
    assert_eq!((&told["stored_sha256"], &told["sha256"]), (&hex(b"one|level 3").into(), &hex(b"two|level 3").into()));
    assert_eq!((&told["stored_content_sha256"], told["detail"].is_string()), (&content.clone().into(), true));
    assert!(!stored.exists() && rig.rows().len() == 1);
    // The same, packed otherwise; then in the very bytes.
    let repacked = rig.put("lab/a", &[], b"one|level 19").await;
    assert_eq!((repacked.status, repacked.json()["repaired"].as_bool()), (200, Some(true)), "{repacked:?}");
    assert_eq!(fs::read(&stored).unwrap(), b"one|level 19");
    fs::remove_file(&stored).unwrap();
    assert_eq!(rig.put("lab/a", &[], b"one|level 19").await.status, 201);
    // By an upload in parts, too.
    fs::remove_file(&stored).unwrap();
    let place = rig.begun("a", 11).await;
    assert_eq!(rig.patch(&place, 0, b"two|level 3").await.code(), "conflict");
    assert!(!stored.exists());
    let rows: Vec<Row> = rig.rows().into_iter().map(|row| serde_json::from_value(row).unwrap()).collect();
    assert_eq!((rows.len(), rows[1].content_sha256.map(|sha256| sha256.to_string())), (2, Some(content)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_episode_and_has_no_row_is_told_with_what_takes_it_out_of_the_way() {
    let rig = Rig::new().await;
    fs::create_dir(rig.path("episodes/lab")).unwrap();
    fs::write(rig.path("episodes/lab/a.tar.zst"), "junk").unwrap();
    let told = rig.put("lab/a", &[], b"one|level 3").await;
    assert_eq!((told.status, told.code().as_str()), (409, "conflict"));
    for member in ["detail", "remediation"] {
        let text = told.json()[member].as_str().unwrap().to_owned();
        assert!(text.contains("`highwater reindex`") && text.contains("retry`"), "{member}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_only_in_the_index_that_it_began_in() {
    let rig = Rig::new().await;
    for (episode, body) in [("lab/a", &b"a|1"[..]), ("lab/b", b"b|1"), ("lab/c", b"c|1")] {
        rig.put(episode, &[], body).await;
    }
    let next = rig.get("/v1/episodes").await.json()["next"].as_str().unwrap().to_owned();
    rig.put("lab/d", &[], b"d|1").await;
    let more = rig.get(&format!("/v1/episodes?cursor={next}")).await.json();
    assert_eq!(more["episodes"].as_array().unwrap().len(), 1);
    let file = rig.path("index.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    let rest: String = whole.split_inclusive('\n').skip(1).collect();
    fs::write(rig.path("new"), rest).unwrap();
    fs::rename(rig.path("new"), &file).unwrap();
    assert_eq!(rig.get(&format!("/v1/episodes?cursor={next}")).await.code(), "index-edited");
    // It has its row again, behind the others.
    assert_eq!(rig.put("lab/a", &[], b"a|1").await.status, 200);
    for cursor in [&next, next.split_once('-').unwrap().0] {
        let told = rig.get(&format!("/v1/episodes?cursor={cursor}")).await;
        assert_eq!((told.status, told.code().as_str()), (410, "cursor-outdated"), "{cursor}");
        assert!(told.json()["remediation"].as_str().unwrap().contains("begin anew"));
    }
    let anew = rig.get("/v1/episodes?cursor=0").await.json();
    assert_eq!((anew["episodes"].as_array().unwrap().len(), &anew["complete"]), (4, &true.into()));
}
