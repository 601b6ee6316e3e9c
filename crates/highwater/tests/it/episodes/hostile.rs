//! Archives that mean harm, where `highwater reindex` meets them: they are set aside with the reason, write nowhere else, and cost little.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{free_port, listening, memory_mib, names, put, receiver, rows, stored};
use crate::recorded::store;
use crate::rig::Rig;

/// What the bomb, and all else, may cost.
const MEMORY_MIB_MAX: u64 = 32;
const GIGABYTE: usize = 1 << 30;

/// The header of an entry.
fn header(kind: u8, path: &str, link: &str, bytes: usize) -> Vec<u8> {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{bytes:011o}\x0014000000000\0        ").as_bytes());
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

/// The archive of an episode `ep` with a file of its own and one more entry.
fn archive(kind: u8, path: &str, link: &str) -> Vec<u8> {
    let mut tar = header(b'0', "ep/telemetry.csv", "", 4);
    tar.extend_from_slice(b"t,x\n");
    tar.resize(1024, 0);
    tar.extend(header(kind, path, link, 0));
    tar.resize(tar.len() + 1024, 0);
    zstd::encode_all(&tar[..], 3).unwrap()
}

/// A gigabyte of zeros as an episode's file.
fn bomb() -> Vec<u8> {
    let mut bomb = zstd::Encoder::new(Vec::new(), 3).unwrap();
    bomb.write_all(&header(b'0', "ep/zeros", "", GIGABYTE)).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..GIGABYTE >> 20 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    bomb.finish().unwrap()
}

fn place(root: &Path, host: &str, bytes: &[u8]) {
    fs::create_dir_all(root.join(host)).unwrap();
    fs::write(root.join(host).join("ep.tar.zst"), bytes).unwrap();
}

#[test]
fn r14_archives_that_lead_elsewhere_are_set_aside_with_the_reason_and_write_nowhere() {
    let rig = Rig::new("no configuration");
    let root = rig.path("data/episodes");
    let victim = rig.path("victim");
    let absolute = victim.display().to_string();
    let hostile = [
        ("parent", archive(b'0', "ep/../../../victim", ""), "a component"),
        ("above", archive(b'0', "../victim", ""), "a component"),
        ("absolute", archive(b'0', &absolute, ""), "its path is absolute"),
        ("symlink", archive(b'2', "ep/link", &absolute), "it is a link"),
        ("hard-link", archive(b'1', "ep/link", "/etc/passwd"), "it is a link"),
        ("device", archive(b'4', "ep/sda", ""), "a device or a fifo"),
        ("null", archive(b'3', "ep/null", ""), "a device or a fifo"),
        ("fifo", archive(b'6', "ep/fifo", ""), "a device or a fifo"),
        ("another", archive(b'0', "other/file", ""), "not in a directory"),
        ("junk", b"this is no archive".to_vec(), "it is no zstd"),
        ("torn", archive(b'0', "ep/more", "")[..60].to_vec(), ""),
        ("bomb", bomb(), "more than 1000 times its size"),
    ];
    for (host, bytes, _) in &hostile {
        place(&root, host, bytes);
    }
    assert!((20_000..100_000).contains(&hostile[11].1.len()));
    // The same id of two hosts, a meta.json in the wrong place, a torn end of the index and a line that is none.
    store(&root, "lab-1/ep", "a", None);
    for n in 0..12 {
        store(&root, &format!("well/ep-{n}"), "well", None);
    }
    store(&root, "lab-2/ep", "b", Some(&"ab".repeat(20)));
    let mut deep = header(b'0', "ep/deep/meta.json", "", 0);
    deep.resize(512 + 1024, 0);
    place(&root, "lab-3", &zstd::encode_all(&deep[..], 3).unwrap());
    rig.write("data/index.jsonl", "no line of ours\n{\"episode_id\":\"to");

    let args = ["reindex", "--episodes-root", "data/episodes", "-P", "1"];
    let mut child = rig.start(&args);
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = memory_mib(child.id()).unwrap_or(0).max(peak);
        std::thread::yield_now();
    }
    let ended = crate::rig::end(child);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("15 done") && ended.stdout.contains("12 review"), "{ended:?}");
    assert!((1..MEMORY_MIB_MAX).contains(&peak), "{peak} MiB");
    let items =
        rig.ok(&["--ledger", "data/index.jsonl.highwater.db", "--json", "items", "reindex", "--outcome", "review"]);
    for (host, _, why) in &hostile {
        let line = items.stdout.lines().find(|line| line.contains(&format!("\"{host}/ep\""))).unwrap();
        assert!(line.contains(why), "{host}: {line}");
        assert!(!root.join(host).join("ep.tar.zst").exists(), "{host}");
    }
    let aside = names(&rig.path("data/quarantine"));
    assert_eq!(
        aside.iter().filter(|name| name.starts_with("ep.") && name.ends_with(".reason")).count(),
        12,
        "{aside:?}"
    );
    assert_eq!(names(rig.dir.path()), ["data", "highwater.toml"], "nothing was unpacked");
    let lines = rig.read("data/index.jsonl");
    let keys: Vec<_> =
        lines.lines().skip(1).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let keys: Vec<_> = keys.iter().map(|row| (row["host_id"].as_str().unwrap(), row.get("commit").is_some())).collect();
    assert_eq!(keys[..3], [("lab-1", false), ("lab-2", true), ("lab-3", false)], "{lines}");
    assert!(lines.starts_with("no line of ours\n"), "what is none is kept: {lines}");
}

#[test]
fn r10_beside_a_receiver_under_load_rows_and_episodes_are_one_set() {
    const BEFORE: usize = 120;
    const UPLOADERS: usize = 4;
    let (rig, port) = (Rig::new(""), free_port());
    let root = rig.path("received");
    rig.write("highwater.toml", &receiver(port, &root));
    for n in 0..BEFORE {
        store(&root.join("episodes"), &format!("lab-1/old-{n}"), &"x".repeat(n), None);
    }
    // The same names on another host, what is no episode, and an index that ends in a torn line.
    for n in 0..12 {
        store(&root.join("episodes"), &format!("lab-2/old-{n}"), "another's", None);
    }
    for (host, bytes) in
        [("junk", b"no archive".to_vec()), ("bomb", bomb()), ("link", archive(b'2', "ep/link", "/etc"))]
    {
        place(&root.join("episodes"), host, &bytes);
    }
    fs::write(root.join("index.jsonl"), "{\"episode_id\":\"to").unwrap();
    let running = listening(&rig, port);
    let over = AtomicBool::new(false);
    let uploaded: usize = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..UPLOADERS)
            .map(|uploader| {
                let over = &over;
                scope.spawn(move || {
                    let mut uploaded: usize = 0;
                    while !over.load(Ordering::Relaxed) {
                        // Each is sent twice.
                        let name = format!("new-{uploader}-{}", uploaded / 2);
                        assert!(matches!(put(port, &name, name.as_bytes()), Some(200 | 201)));
                        uploaded += 1;
                    }
                    uploaded.div_ceil(2)
                })
            })
            .collect();
        // Interrupted at any moment, and to its end.
        for millis in [30, 90, 200] {
            let doomed = rig.doom(&["reindex", "-P", "2"]);
            crate::rig::pause(std::time::Duration::from_millis(millis));
            doomed.kill_9();
        }
        let more: [&[&str]; 4] = [&["--host", "lab-2"], &[], &["--verify"], &[]];
        let ended: Vec<_> = more.map(|more| rig.run(&[&["reindex", "-P", "2"], more].concat())).into();
        let dry = rig.run(&["reindex", "--dry-run"]);
        assert!([0, 3].contains(&dry.code), "{dry:?}");
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(|ended| ended.code == 0), "{ended:?}");
        uploads.into_iter().map(|upload| upload.join().unwrap()).sum()
    });
    rig.ok(&["reindex"]);
    let key = |row: &serde_json::Value| ["host_id", "episode_id"].map(|field| row[field].as_str().unwrap().to_owned());
    let rows: Vec<_> = rows(&root).iter().map(key).collect();
    let unique: BTreeSet<_> = rows.iter().cloned().collect();
    let episodes: BTreeSet<_> = names(&root.join("episodes"))
        .into_iter()
        .filter(|host| !host.starts_with('.'))
        .flat_map(|host| {
            let of_host = names(&root.join("episodes").join(&host)).into_iter();
            of_host.map(move |name| [host.clone(), name.strip_suffix(".tar.zst").unwrap().to_owned()])
        })
        .collect();
    assert_eq!((rows.len(), &unique), (episodes.len(), &episodes), "each has one row");
    assert!(uploaded > UPLOADERS && episodes.len() == BEFORE + 12 + uploaded, "{uploaded}");
    assert!(stored(&root, "old-0").exists());
    drop(running);
}
