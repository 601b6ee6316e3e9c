//! Many at once.

use highwater_episodes::index::{Index, IndexLock, JsonlIndex};
use highwater_fs::RealFs;

use super::rig::Rig;
use crate::rows::{path, row};

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
