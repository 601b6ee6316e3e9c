//! Many at once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use highwater_episodes::index::{
    Appended, Figures, Index, IndexError, IndexLock, JsonlIndex, Page, PageAsk, Row, StillHolds,
};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::receive::gate::Off;
use highwater_fs::RealFs;

use super::rig::{Rig, WAIT};
use crate::rows::{path, row};

/// An index whose appends wait until the test lets each of them go.
#[derive(Debug)]
struct Slow {
    index: Arc<dyn Index>,
    begun: Sender<usize>,
    let_go: Mutex<Receiver<()>>,
}

impl Index for Slow {
    fn find(&self, key: &EpisodeKey) -> Result<Option<Row>, IndexError> {
        self.index.find(key)
    }
    fn append_where(&self, rows: &[Row], holds: &mut StillHolds<'_>) -> Result<Vec<Appended>, IndexError> {
        let _ = self.begun.send(rows.len());
        self.let_go.lock().unwrap().recv_timeout(WAIT).unwrap();
        self.index.append_where(rows, holds)
    }
    fn page(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        self.index.page(ask)
    }
    fn figures(&self) -> Result<Figures, IndexError> {
        self.index.figures()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r09_no_answer_comes_before_its_round_and_all_that_wait_share_the_next() {
    let (begun, has_begun) = channel();
    let (let_go, may_go) = channel();
    let slow = |index| Slow { index, begun, let_go: Mutex::new(may_go) };
    let dir = tempfile::tempdir().unwrap();
    let rig = Arc::new(Rig::start_on(dir, Arc::new(Off), |_| {}, |index| Arc::new(slow(index))).await);
    let put = |n: usize| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.put(&format!("lab/ep-{n}"), &[], &body(n)).await.status })
    };
    let first = put(0);
    let (has_begun, rows) = tokio::task::spawn_blocking(move || {
        let rows = has_begun.recv_timeout(WAIT).unwrap();
        (has_begun, rows)
    })
    .await
    .unwrap();
    assert_eq!(rows, 1);
    let others: Vec<_> = (1..=20).map(put).collect();
    // All of them are in the store's staging, or wait; none is placed while the first round is being written.
    let staged = async {
        while std::fs::read_dir(rig.path("episodes/.staging")).unwrap().count() < 21 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, staged).await.unwrap();
    assert!(!first.is_finished() && others.iter().all(|other| !other.is_finished()));
    assert_eq!(rig.rows().len(), 0);
    let_go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), 201);
    // However many rounds the others come in: each is let go once it has begun.
    let rounds = tokio::task::spawn_blocking(move || {
        let (mut rows, mut rounds) = (0, 0);
        while rows < 20 {
            rows += has_begun.recv_timeout(WAIT).unwrap();
            rounds += 1;
            let_go.send(()).unwrap();
        }
        rounds
    });
    for other in others {
        assert_eq!(other.await.unwrap(), 201);
    }
    assert!(rounds.await.unwrap() <= 10, "twenty that wait share their syncs");
    assert_eq!(rig.rows().len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_one_episode_stores_it_once() {
    let rig = Rig::new().await;
    for round in 0..10 {
        let name = format!("lab/ep-{round}");
        let body = name.repeat(5_000).into_bytes();
        let answers = futures::future::join_all((0..10).map(|_| rig.put(&name, &[], &body))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [[200; 9].as_slice(), &[201]].concat(), "{answers:?}");
    }
    assert_eq!((rig.rows().len(), rig.files().len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_episodes_with_one_name_one_is_stored_and_the_other_is_told() {
    let rig = Rig::new().await;
    for round in 0..10 {
        let name = format!("lab/ep-{round}");
        let (one, other) = tokio::join!(rig.put(&name, &[], b"one|"), rig.put(&name, &[], b"other|"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{one:?} {other:?}");
    }
    assert_eq!((rig.rows().len(), rig.files().len()), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_rows_and_episodes_are_the_same_set_beside_another_who_indexes() {
    let rig = Rig::new().await;
    let root = rig.dir.path().to_owned();
    let beside = std::thread::spawn(move || {
        let lock = IndexLock::at(root.join("index.jsonl.lock"));
        let fs = RealFs::open(&root).unwrap();
        let (index, _) = JsonlIndex::open(fs, path("index.jsonl"), path("quarantine"), lock).unwrap();
        for n in 0..200_usize {
            let name = format!("lab/ep-{}", n % 100);
            index.append(&[row(&name, &body(n % 100))]).unwrap();
        }
    });
    for some in 0..10 {
        let puts = (0..10).map(|n| (some * 10 + n, format!("lab/ep-{}", some * 10 + n)));
        let puts = puts.map(|(n, name)| {
            let rig = &rig;
            async move { rig.put(&name, &[], &body(n)).await }
        });
        for answer in futures::future::join_all(puts).await {
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    }
    tokio::task::spawn_blocking(|| beside.join().unwrap()).await.unwrap();
    let mut keys: Vec<_> = rig.rows().iter().map(|row| row["episode_id"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    let rows = keys.len();
    keys.dedup();
    assert_eq!((rows, keys.len(), rig.files().len()), (100, 100, 100));
}

fn body(n: usize) -> Vec<u8> {
    format!("episode {n}|").repeat(100).into_bytes()
}
