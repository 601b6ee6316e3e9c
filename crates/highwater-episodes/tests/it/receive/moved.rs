//! The receiver's directory is moved away while it runs: what lies below the configured path is another one, or nothing. Nothing is
//! received then, nor told of what was moved.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use highwater_episodes::index::{Appended, Figures, Index, IndexError, Page, PageAsk, Row, StillHolds};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::receive::gate::Off;

use super::rig::{Answer, Rig, TOKEN};

/// Of a body: of this much a copy is begun before the rest came.
const PART_BYTES: usize = 1 << 20;
const VERIFY: &[(&str, &str)] = &[("X-Episode-Verify", "read")];

/// What is put in the place of what was moved away.
type Put = fn(&Path);

fn puts() -> [(&'static str, Put); 3] {
    [
        ("nothing", |_| {}),
        ("an empty directory", |root| fs::create_dir(root).unwrap()),
        ("an older copy", |root| {
            assert!(
                Command::new("cp").arg("-a").arg(root.with_extension("older")).arg(root).status().unwrap().success()
            );
        }),
    ]
}

/// A root of a receiver, with a backup of an earlier time beside it, that can be moved away.
struct Root {
    _around: tempfile::TempDir,
    root: PathBuf,
    moved: PathBuf,
}

impl Root {
    fn new(rig: &Rig) -> Self {
        let around = tempfile::tempdir().unwrap();
        Self { root: rig.dir.path().to_path_buf(), moved: around.path().join("moved"), _around: around }
    }

    fn back_up(&self) {
        let older = self.root.with_extension("older");
        assert!(Command::new("cp").arg("-a").arg(&self.root).arg(older).status().unwrap().success());
    }

    fn move_away(&self, put: Put) {
        fs::rename(&self.root, &self.moved).unwrap();
        put(&self.root);
    }

    /// What is at the path goes, and what was moved away is there again.
    fn put_back(&self) {
        let _ = fs::remove_dir_all(&self.root);
        fs::rename(&self.moved, &self.root).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.root.with_extension("older"));
    }
}

fn is_not_ready(answer: &Answer, root: &Path) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-ready"), "{answer:?}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(root.to_str().unwrap()), "{detail}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let remediation = answer.json()["remediation"].as_str().unwrap_or_default().to_owned();
    assert!(remediation.contains("put it back") && remediation.contains("restart the receiver"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_directory_was_moved_away_takes_and_tells_nothing_until_it_is_back() {
    for (what, put) in puts() {
        let rig = Rig::new().await;
        let root = Root::new(&rig);
        assert_eq!(rig.put("lab/a", &[], b"a|").await.status, 201);
        root.back_up();
        assert_eq!(rig.put("lab/b", &[], b"b|").await.status, 201);
        root.move_away(put);
        // How much room there is was asked a moment ago, and what is asked now is not told by that.
        is_not_ready(&rig.put("lab/c", &[], b"c|").await, &root.root);
        is_not_ready(&rig.put("lab/b", &[], b"b|").await, &root.root);
        let ready = rig.get("/readyz").await;
        assert_eq!((ready.status, ready.code().as_str()), (503, "not-ready"), "{what}: {ready:?}");
        for (method, path, headers) in [
            ("GET", "/v1/episodes/lab/a", &[][..]),
            ("GET", "/v1/episodes/lab/c", &[]),
            ("GET", "/v1/episodes", &[]),
            ("POST", "/v1/ping", &[]),
        ] {
            is_not_ready(&rig.ask(method, path, headers, b"").await, &root.root);
        }
        is_not_ready(&rig.post(2, &[("host", "lab"), ("episode", "c")]).await, &root.root);
        for headers in [&[][..], VERIFY] {
            for episode in ["a", "b", "c"] {
                let told = rig.ask("HEAD", &format!("/v1/episodes/lab/{episode}"), headers, b"").await;
                assert_eq!(told.status, 503, "{what}: {told:?}");
            }
        }
        let stored = fs::read_dir(root.moved.join("episodes/lab")).unwrap().count();
        assert_eq!(stored, 2, "{what}: nothing is stored in what was moved away");
        assert!(!root.root.join("episodes/lab/c.tar.zst").exists(), "{what}");
        root.put_back();
        assert_eq!(rig.get("/readyz").await.status, 200, "{what}");
        assert_eq!(rig.put("lab/c", &[], b"c|").await.status, 201, "{what}");
        assert_eq!(rig.rows().len(), 3, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_directory_was_moved_away_is_put_off() {
    for (what, put) in puts() {
        let rig = Rig::new().await;
        let root = Root::new(&rig);
        root.back_up();
        let mut client = rig.connect().await;
        let head = format!(
            "PUT /v1/episodes/lab/a HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
            2 * PART_BYTES
        );
        client.say(head).await;
        client.say(vec![7; PART_BYTES]).await;
        while fs::read_dir(rig.path("episodes/.staging")).unwrap().count() == 0 {
            tokio::task::yield_now().await;
        }
        root.move_away(put);
        client.say(vec![7; PART_BYTES]).await;
        is_not_ready(&client.answer(false).await, &root.root);
        assert!(!root.moved.join("episodes/lab").exists(), "{what}");
        root.put_back();
        assert_eq!((rig.rows().len(), rig.put("lab/a", &[], b"a|").await.status), (0, 201), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_that_was_begun_before_the_directory_was_moved_away_is_put_off() {
    for (what, put) in puts() {
        let rig = Rig::new().await;
        let root = Root::new(&rig);
        root.back_up();
        let begun = rig.begun("a", 4).await;
        root.move_away(put);
        is_not_ready(&rig.patch(&begun, 0, b"a|").await, &root.root);
        assert_eq!(rig.tus("HEAD", &begun, &[], b"").await.status, 503, "{what}");
        root.put_back();
        assert_eq!(rig.patch(&begun, 0, b"a|bc").await.status, 204, "{what}");
        assert_eq!(rig.rows().len(), 1, "{what}");
        root.move_away(put);
        assert_eq!(
            rig.tus("HEAD", &begun, &[], b"").await.status,
            503,
            "{what}: it is told of no more that it is stored"
        );
        root.put_back();
    }
}

/// An index after whose append, which is the last thing of a round, something happens.
struct Then {
    index: Arc<dyn Index>,
    then: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl std::fmt::Debug for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

impl Index for Then {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        self.index.find(key)
    }
    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        let appended = self.index.append_where(rows, holds);
        if let Some(then) = self.then.get() {
            then();
        }
        appended
    }
    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        self.index.page(ask)
    }
    fn figures(&self) -> Result<Figures, IndexError> {
        self.index.figures()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_in_a_directory_that_is_moved_away_before_the_answer_is_not_acknowledged() {
    for body in [&b"new|"[..], b"old|"] {
        let then: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>> = Arc::default();
        let wrap = |index| Arc::new(Then { index, then: Arc::clone(&then) }) as Arc<dyn Index>;
        let rig = Rig::start_on(tempfile::tempdir().unwrap(), Arc::new(Off), |_| {}, wrap).await;
        assert_eq!(rig.put("lab/a", &[], b"old|").await.status, 201);
        let root = Root::new(&rig);
        let (from, to) = (root.root.clone(), root.moved.clone());
        let _ = then.set(Box::new(move || {
            let _ = fs::rename(&from, &to);
        }));
        let name = if body == b"new|" { "lab/b" } else { "lab/a" };
        is_not_ready(&rig.put(name, &[], body).await, &root.root);
        root.put_back();
    }
}
