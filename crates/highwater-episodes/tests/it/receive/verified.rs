//! Who lets go of a copy asks a receiver that reads its own just then: a row is no proof of the file.

use std::fs;
use std::io::Read;
use std::sync::{Arc, Mutex};

use highwater_engine::report::ExitCode;
use highwater_episodes::archive::Extent;
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::receive::gate::Off;
use highwater_episodes::store::{ContentHash, ContentHashError};

use super::resumable::hex;
use super::rig::{Halves, Rig};
use crate::life::Host;

const VERIFY: &[(&str, &str)] = &[("X-Episode-Verify", "read")];

/// Does something once, while an archive is read.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl ContentHash for Meanwhile {
    fn of(
        &self,
        episode: &EpisodeId,
        archive: &mut (dyn Read + Send),
        extent: Extent,
    ) -> Result<Sha256Digest, ContentHashError> {
        let content = Halves.of(episode, archive, extent);
        if let Some(act) = self.0.lock().unwrap().take() {
            act();
        }
        content
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_head_that_asks_for_it_is_answered_by_what_is_read_and_not_by_the_row() {
    let rig = Rig::new().await;
    let (at, sent) = ("/v1/episodes/lab/a", b"one|level 3");
    let quoted = format!("\"{}\"", hex(sent));
    assert_eq!(rig.put("lab/a", &[], sent).await.status, 201);
    let read = rig.ask("HEAD", at, VERIFY, b"").await;
    assert_eq!((read.status, read.header("x-episode-verified")), (200, Some("read")));
    assert_eq!((read.header("etag"), read.header("content-length")), (Some(&*quoted), Some("11")));
    let content = Sha256Digest::of(b"one").to_string();
    assert_eq!(read.header("x-episode-content-sha256"), Some(&*content), "its row does not know it");
    let plain = rig.ask("HEAD", at, &[], b"").await;
    assert_eq!((plain.status, plain.header("x-episode-verified")), (200, None), "the row is told as ever");
    for damaged in [&b"onE|level 3"[..], b"on", b""] {
        fs::write(rig.path("episodes/lab/a.tar.zst"), damaged).unwrap();
        assert_eq!(rig.ask("HEAD", at, VERIFY, b"").await.status, 409, "{damaged:?}");
        assert_eq!(rig.ask("HEAD", at, &[], b"").await.status, 200);
    }
    assert!(rig.get("/metrics").await.text().contains("\nhighwater_receiver_found_damaged_total 3\n"));
    fs::remove_file(rig.path("episodes/lab/a.tar.zst")).unwrap();
    assert_eq!(rig.ask("HEAD", at, VERIFY, b"").await.status, 404);
}

/// A large one is read for minutes: what was read has to stand there still when it is told.
#[tokio::test(flavor = "multi_thread")]
async fn r09_a_receiver_does_not_answer_for_what_changed_while_it_was_read() {
    for (case, then) in [
        ("removed", 404),
        ("another over it", 409),
        ("written to", 409),
        ("withdrawn", 410),
        ("its first row", 200),
        ("nothing", 200),
    ] {
        let reading = Arc::new(Meanwhile::default());
        let rig = Rig::reading_by(Arc::clone(&reading) as Arc<dyn ContentHash>).await;
        assert_eq!(rig.put("lab/a", &[], b"one|level 3").await.status, 201);
        let (stored, index) = (rig.path("episodes/lab/a.tar.zst"), rig.path("index.jsonl"));
        let mut row = rig.rows()[0].clone();
        row["withdrawn"] = "lens cap".into();
        let received = fs::read_to_string(&index).unwrap();
        let withdrawn = format!("{received}{row}\n");
        if case == "its first row" {
            fs::write(&index, "").unwrap();
        }
        let act = move || match case {
            "removed" => fs::remove_file(&stored).unwrap(),
            "another over it" => {
                let other = stored.with_extension("other");
                fs::write(&other, b"two|level 3").unwrap();
                fs::rename(other, &stored).unwrap();
            }
            "written to" => fs::write(&stored, b"two|level 3").unwrap(),
            "withdrawn" => fs::write(&index, withdrawn).unwrap(),
            "its first row" => fs::write(&index, received).unwrap(),
            _ => {}
        };
        *reading.0.lock().unwrap() = Some(Box::new(act));
        let ask = || rig.ask("HEAD", "/v1/episodes/lab/a", VERIFY, b"");
        let said = ask().await;
        let expected = if case == "nothing" { (200, None) } else { (503, Some("10")) };
        assert_eq!((said.status, said.header("retry-after")), expected, "{case}: {said:?}");
        assert_eq!(said.header("x-episode-content-sha256").is_some(), case == "nothing", "{case}: {said:?}");
        // Asked again, it says what there is.
        assert_eq!(ask().await.status, then, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_what_has_no_row_is_read_too_and_told_as_what_it_is() {
    let rig = Rig::new().await;
    assert_eq!(rig.put("lab/a", &[], b"a|").await.status, 201);
    for (stored, content) in [(&b"b|level 3"[..], Some(&b"b"[..])), (b"cut", None), (b"", None)] {
        fs::write(rig.path("episodes/lab/b.tar.zst"), stored).unwrap();
        let read = rig.ask("HEAD", "/v1/episodes/lab/b", VERIFY, b"").await;
        assert_eq!((read.status, read.header("x-episode-verified")), (200, Some("read")), "{read:?}");
        let quoted = format!("\"{}\"", hex(stored));
        assert_eq!(read.header("etag"), Some(&*quoted));
        assert_eq!(read.header("repr-digest"), Some(&*Sha256Digest::of(stored).to_field()));
        assert_eq!(read.header("content-length"), Some(&*stored.len().to_string()));
        let content = content.map(|content| Sha256Digest::of(content).to_string());
        assert_eq!(read.header("x-episode-content-sha256"), content.as_deref(), "{stored:?}");
    }
}

/// What was withdrawn and made free, and then stored anew, is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_asks_for_it_is_answered_by_no_row_of_a_name_that_was_made_free() {
    let rig = Rig::new().await;
    let at = "/v1/episodes/lab/a";
    let asked = async |headers| rig.ask("HEAD", at, headers, b"").await.status;
    assert_eq!(asked(VERIFY).await, 404, "nobody was ever told of it");
    assert_eq!(rig.put("lab/a", &[], b"one|").await.status, 201);
    let mut row = rig.rows()[0].clone();
    row["removed"] = "lens cap".into();
    row["withdrawn"] = "no more: its name was made free".into();
    row["received_at_wall"] = "3000-01-01T00:00:00Z".into();
    let mut index = fs::OpenOptions::new().append(true).open(rig.path("index.jsonl")).unwrap();
    std::io::Write::write_all(&mut index, format!("{row}\n").as_bytes()).unwrap();
    fs::remove_file(rig.path("episodes/lab/a.tar.zst")).unwrap();
    assert_eq!((asked(VERIFY).await, asked(&[]).await), (404, 404), "its name is free");
    assert_eq!(rig.put("lab/a", &[], b"another|").await.status, 201);
    assert_eq!((asked(VERIFY).await, asked(&[]).await), (200, 200));
    fs::remove_file(rig.path("episodes/lab/a.tar.zst")).unwrap();
    assert_eq!(asked(VERIFY).await, 404);
}

/// Of several under a name one was withdrawn: who has another of them keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_that_an_episode_was_withdrawn_names_which() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("ep", "1,2", None);
    host.drains(1).await;
    let mut row = rig.rows()[0].clone();
    let text = |field: &str| row[field].as_str().unwrap().to_owned();
    let (quoted, content) = (format!("\"{}\"", text("sha256")), text("content_sha256"));
    row["withdrawn"] = "lens cap".into();
    let before = fs::read(rig.path("index.jsonl")).unwrap();
    let index = [&before[..], format!("{row}\n").as_bytes()].concat();
    fs::write(rig.path("index.jsonl"), index).unwrap();
    for (method, headers) in [("HEAD", VERIFY), ("HEAD", &[]), ("GET", &[])] {
        let said = rig.ask(method, "/v1/episodes/lab/ep", headers, b"").await;
        assert_eq!((said.status, said.header("etag")), (410, Some(&*quoted)), "{method} {said:?}");
        assert_eq!(said.header("x-episode-content-sha256"), Some(&*content), "{method}");
    }
    // Somebody takes the tombstone out.
    fs::write(rig.path("index.jsonl"), before).unwrap();
    let said = rig.ask("HEAD", "/v1/episodes/lab/ep", VERIFY, b"").await;
    assert_eq!((said.status, said.header("etag")), (410, Some(&*quoted)), "{said:?}");
    assert_eq!(said.header("x-episode-content-sha256"), Some(&*content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_directory_gets_its_receipt_by_what_the_receiver_reads() {
    for is_damaged in [false, true] {
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let host = Host::new(&rig);
        host.record("ep", "1,2", None);
        host.drains(1).await;
        if is_damaged {
            // As large as before: its row does not show it.
            let stored = rig.path("episodes/lab/ep.tar.zst");
            let mut bytes = fs::read(&stored).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(stored, bytes).unwrap();
        }
        // The ledger is lost; it is packed, and moved there by hand before the next pass, as by one that was killed after it retired it.
        let mut host = Host::new(&rig);
        host.record("ep", "1,2", None);
        let receiver = host.settings.receiver.clone();
        host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        host.pass().await;
        fs::rename(host.path("episodes/ep"), host.path("shipped/ep")).unwrap();
        host.settings.receiver = receiver;
        let report = host.pass().await;
        let counts = (report.counts.done, report.counts.review);
        let expected = if is_damaged { (0, 1) } else { (1, 0) };
        assert_eq!((report.exit, counts), (ExitCode::Drained, expected), "{}", report.message);
        let told = host.told().await;
        assert_eq!(told[0].contains("the receiver has it"), !is_damaged, "{told:?}");
    }
}
