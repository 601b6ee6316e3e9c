//! Power loss after answers of a receiver (R9): whatever was answered with 201 is there when the disk is mounted again, its bytes and
//! its row. As root, on ext4 and XFS; named as not run elsewhere.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use highwater_testkit::power_loss::{Disk, FileSystem};
use serde_json::Value;

use super::{free_port, listening, put, receiver, rows, sha256, stored};
use crate::rig::{Rig, dice, pause, wait_until};

/// Cuts on each file system.
const CUTS: usize = 6;
const UPLOADERS: usize = 4;
const BYTES_MAX: usize = 200_000;

#[test]
fn r09_what_was_answered_is_there_after_the_power_went() {
    const TEST: &str = "r09_what_was_answered_is_there_after_the_power_went";
    for file_system in FileSystem::ALL {
        match Disk::mount(file_system) {
            Ok(disk) => survives(&disk, &mut dice(TEST)),
            Err(not_here) => not_here.say(&format!("{TEST} on {}", file_system.name())),
        }
    }
}

fn survives(disk: &Disk, dice: &mut fastrand::Rng) {
    let (rig, port, root) = (Rig::new(""), free_port(), disk.path().join("received"));
    fs::create_dir(&root).unwrap();
    rig.write("highwater.toml", &receiver(port, &root));
    // The directory itself is the operator's.
    fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    let mut answered: Vec<(String, String)> = Vec::new();
    for cut in 0..CUTS {
        let receiver = listening(&rig, port);
        let after = Duration::from_millis(dice.u64(50..600));
        let seeds: Vec<u64> = (0..UPLOADERS).map(|_| dice.u64(..)).collect();
        let dark = AtomicBool::new(false);
        let told: Vec<(String, String)> = std::thread::scope(|scope| {
            let uploads = seeds.iter().enumerate().map(|(uploader, seed)| {
                let (name, dark) = (format!("ep-{cut}-{uploader}"), &dark);
                scope.spawn(move || uploaded(port, &name, fastrand::Rng::with_seed(*seed), dark))
            });
            let uploads: Vec<_> = uploads.collect();
            pause(after);
            dark.store(true, Ordering::SeqCst);
            disk.cut_power().unwrap();
            receiver.kill_9();
            uploads.into_iter().flat_map(|upload| upload.join().unwrap()).collect()
        });
        wait_until("a disk that is mounted again", || disk.restore_power().is_ok());
        answered.extend(told);
        assert_there(&root, &answered, cut);
    }
    assert!(answered.len() > CUTS * UPLOADERS, "hardly anything was answered: {}", answered.len());
    // What was torn is set aside when the next receiver starts, and the rows are whole lines.
    let receiver = listening(&rig, port);
    assert_eq!(put(port, "last", b"bytes"), Some(201));
    receiver.kill_9();
    assert_eq!(rows(&root).iter().filter(|row| row["episode_id"] == "last").count(), 1);
    eprintln!("{} answers, {CUTS} power cuts", answered.len());
}

/// Uploads one episode after the other until nobody answers; what was answered with 201, and the hash of what was sent.
///
/// Nobody hears an answer once the power is gone. Here the machine goes on, and a sync that was under way when the file system was shut
/// down may say that all is well, of any program: what is answered from then on does not count.
fn uploaded(port: u16, name: &str, mut dice: fastrand::Rng, dark: &AtomicBool) -> Vec<(String, String)> {
    let mut answered = Vec::new();
    for n in 0.. {
        let episode = format!("{name}-{n}");
        let body: Vec<u8> = (0..dice.usize(1..BYTES_MAX)).map(|_| dice.u8(..)).collect();
        match put(port, &episode, &body) {
            Some(201) if dark.load(Ordering::SeqCst) => break,
            Some(201) => answered.push((episode, sha256(&body))),
            Some(500..) | None => break,
            Some(status) => panic!("{episode}: {status}"),
        }
    }
    answered
}

fn assert_there(root: &Path, answered: &[(String, String)], cut: usize) {
    let text = fs::read_to_string(root.join("index.jsonl")).unwrap();
    // The last line may be torn: nobody was told of it.
    let rows: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (episode, hash) in answered {
        let bytes = fs::read(stored(root, episode)).unwrap_or_else(|error| panic!("cut {cut}, {episode}: {error}"));
        assert_eq!(sha256(bytes), *hash, "cut {cut}, {episode}");
        let of_it: Vec<&Value> = rows.iter().filter(|row| row["episode_id"] == episode.as_str()).collect();
        assert_eq!((of_it.len(), of_it[0]["sha256"].as_str()), (1, Some(hash.as_str())), "cut {cut}, {episode}");
    }
}
