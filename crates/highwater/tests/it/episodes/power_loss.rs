//! Power loss after answers of a receiver (R9): whatever was answered with 201 is there when the disk is mounted again, its bytes and
//! its row. As root, on ext4 and XFS; named as not run elsewhere.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::prelude::*;
use highwater_testkit::power_loss::{Disk, FileSystem};
use serde_json::Value;

use super::{TOKEN, free_port, listening, put, receiver, request, rows, sha256, stored};
use crate::rig::{Rig, dice, pause, wait_until};

/// Cuts at any moment while some upload, on each file system.
const CUTS: usize = 6;
/// Uploads of which each is followed by a cut as soon as it is answered, on each file system.
const CUT_OFF: usize = 8;
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
                scope.spawn(move || uploaded_until_dark(port, &name, fastrand::Rng::with_seed(*seed), dark))
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
        assert_there(&root, &answered);
    }
    assert!(answered.len() > CUTS * UPLOADERS, "hardly anything was answered: {}", answered.len());
    for upload in 0..CUT_OFF {
        let receiver = listening(&rig, port);
        let (episode, body) = (format!("alone-{upload}"), body(dice));
        assert_eq!(uploaded(port, &episode, &body, upload % 2 == 0), Some(201), "{episode}");
        disk.cut_power().unwrap();
        receiver.kill_9();
        wait_until("a disk that is mounted again", || disk.restore_power().is_ok());
        answered.push((episode, sha256(&body)));
        assert_there(&root, &answered);
    }
    // What was torn is set aside when the next receiver starts, and the rows are whole lines.
    let receiver = listening(&rig, port);
    assert_eq!(put(port, "last", b"bytes"), Some(201));
    receiver.kill_9();
    assert_eq!(rows(&root).iter().filter(|row| row["episode_id"] == "last").count(), 1);
    eprintln!("{} answers, {} power cuts", answered.len(), CUTS + CUT_OFF);
}

fn body(dice: &mut fastrand::Rng) -> Vec<u8> {
    (0..dice.usize(1..BYTES_MAX)).map(|_| dice.u8(..)).collect()
}

/// What an upload is answered: by PUT as such, in parts as a PUT would have been.
fn uploaded(port: u16, episode: &str, body: &[u8], whole: bool) -> Option<u16> {
    if whole { put(port, episode, body) } else { in_parts(port, episode, body) }
}

/// Uploads in two parts; 201 where both were taken.
fn in_parts(port: u16, episode: &str, body: &[u8]) -> Option<u16> {
    let tus = format!("Authorization: Bearer {TOKEN}\r\nTus-Resumable: 1.0.0\r\n");
    let of = format!("host {},episode {}", BASE64_STANDARD.encode("lab-1"), BASE64_STANDARD.encode(episode));
    let created = format!("{tus}Upload-Length: {}\r\nUpload-Metadata: {of}\r\n", body.len());
    let (status, text) = request(port, "POST", "/v1/uploads", &created, b"")?;
    if status != 201 {
        return Some(status);
    }
    let location =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("location: ").map(str::to_owned))?;
    let path = location.find("/v1/uploads/").map(|at| location[at..].trim().to_owned())?;
    let half = body.len() / 2;
    for (offset, part) in [(0, &body[..half]), (half, &body[half..])] {
        let headers = format!("{tus}Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n");
        match request(port, "PATCH", &path, &headers, part)?.0 {
            204 => {}
            status => return Some(status),
        }
    }
    Some(201)
}

/// Uploads one episode after the other, by PUT and in parts, until nobody answers; what was answered with 201, and the hash of what was
/// sent.
///
/// Nobody hears an answer once the power is gone. Here the machine goes on, and a sync that was under way when the file system was shut
/// down may say that all is well, of any program: what is answered from then on does not count.
fn uploaded_until_dark(port: u16, name: &str, mut dice: fastrand::Rng, dark: &AtomicBool) -> Vec<(String, String)> {
    let mut answered = Vec::new();
    for n in 0.. {
        let episode = format!("{name}-{n}");
        let body = body(&mut dice);
        match uploaded(port, &episode, &body, n % 2 == 0) {
            Some(201) if dark.load(Ordering::SeqCst) => break,
            Some(201) => answered.push((episode, sha256(&body))),
            Some(500..) | None => break,
            Some(status) => panic!("{episode}: {status}"),
        }
    }
    answered
}

fn assert_there(root: &Path, answered: &[(String, String)]) {
    let text = fs::read_to_string(root.join("index.jsonl")).unwrap();
    // The last line may be torn: nobody was told of it.
    let rows: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (episode, hash) in answered {
        let bytes = fs::read(stored(root, episode)).unwrap_or_else(|error| panic!("{episode}: {error}"));
        assert_eq!(sha256(bytes), *hash, "{episode}");
        let of_it: Vec<&Value> = rows.iter().filter(|row| row["episode_id"] == episode.as_str()).collect();
        assert_eq!((of_it.len(), of_it[0]["sha256"].as_str()), (1, Some(hash.as_str())), "{episode}");
    }
}
