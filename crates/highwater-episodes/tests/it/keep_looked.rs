//! What lets a shipped episode go is looked at here, too: what lies there when it goes is what was sent, and is what the receiver was asked for.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use highwater_testkit::not_here::NotHere;

use crate::keep::{DAY_SECS, Lab, PROBLEM};
use crate::resume::{Foreign, say};

/// Puts a copy in the place of a directory, as retiring to another file system does: no look shows that it is what was sent.
fn copied(dir: &Path) {
    let aside = dir.with_file_name(".aside");
    fs::rename(dir, &aside).unwrap();
    assert!(Command::new("cp").arg("-a").args([&aside, &dir.to_path_buf()]).status().unwrap().success());
    fs::remove_dir_all(aside).unwrap();
}

/// As that of a disk that is mounted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn r10_one_that_comes_to_its_place_while_it_is_looked_for_is_asked_for_before_it_goes() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    fs::create_dir(lab.host.path("shipped/another")).unwrap();
    fs::remove_file(lab.rig.path("episodes/lab/ep.tar.zst")).unwrap();
    lab.clock.jump_secs(11 * DAY_SECS);
    let (there, aside, note) =
        (lab.host.path("shipped/ep"), lab.host.path("shipped/.aside"), lab.host.path("outbox/.shelf.json"));
    let is_over = Arc::new(AtomicBool::new(false));
    let comes_and_goes = std::thread::spawn({
        let (there, aside, is_over) = (there.clone(), aside.clone(), Arc::clone(&is_over));
        move || {
            // Where it is gone, this is over.
            while !is_over.load(Ordering::Relaxed)
                && fs::rename(&there, &aside).and_then(|()| fs::rename(&aside, &there)).is_ok()
            {}
        }
    });
    for _ in 0..40 {
        // What is not there is gone through.
        let _ = fs::remove_file(&note);
        lab.host.pass().await;
    }
    is_over.store(true, Ordering::Relaxed);
    comes_and_goes.join().unwrap();
    assert!(there.join("telemetry.csv").is_file(), "it was removed, and nobody was asked for it");
}

#[tokio::test]
async fn r10_what_the_receiver_loses_while_files_are_read_here_stays() {
    let mut lab = Lab::new().await;
    lab.ship("ep", 100).await;
    copied(&lab.host.path("shipped/ep"));
    let content = lab.stored_as("ep", "content_sha256");
    let answers = AtomicUsize::new(0);
    let far = Foreign::new(move |head, _| {
        let is_read = head.contains("x-episode-verify");
        if is_read && answers.fetch_add(1, Ordering::Relaxed) > 0 {
            return say(404, PROBLEM);
        }
        say(200, &format!("X-Episode-Content-Sha256: {content}\r\nX-Episode-Verified: read\r\n"))
    });
    lab.meets(far.await);
    let report = lab.later(11).await;
    assert_eq!(lab.shipped(), ["ep"], "{:?}", report.notes);
    assert!(report.notes.iter().any(|note| note.contains("(ep)")), "{:?}", report.notes);
}

/// It is read for as long as its files are large, and what was read already may be written to then.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn r10_what_a_person_writes_in_one_while_it_is_read_stays() {
    const LARGE_BYTES: usize = 48 << 20;
    for case in ["append", "by rename", "a new file", "in a new directory"] {
        let lab = Lab::new().await;
        lab.host.record("ep", "x", None);
        for name in ["a.md", "z.bin"] {
            fs::write(lab.host.path("episodes/ep").join(name), "recorded\n").unwrap();
        }
        File::options()
            .write(true)
            .open(lab.host.path("episodes/ep/z.bin"))
            .unwrap()
            .set_len(LARGE_BYTES as u64)
            .unwrap();
        lab.host.drains(1).await;
        let shipped = lab.host.path("shipped/ep");
        copied(&shipped);
        let edit = std::thread::spawn({
            let dir = shipped.clone();
            move || {
                let is_read = || {
                    let mut open = fs::read_dir("/proc/self/fd").unwrap().flatten();
                    open.any(|fd| fs::read_link(fd.path()).is_ok_and(|path| path == dir.join("z.bin")))
                };
                while !is_read() {
                    std::thread::yield_now();
                }
                edit(&dir, case);
            }
        });
        lab.clock.jump_secs(11 * DAY_SECS);
        let mut notes = lab.host.pass().await.notes;
        edit.join().unwrap();
        let stays = || Command::new("grep").arg("-rq").arg("mine").arg(&shipped).status().unwrap().success();
        assert!(stays(), "{case}: {notes:?}");
        // Nor does it go later.
        notes.extend(lab.later(2).await.notes);
        assert!(stays(), "{case}: {notes:?}");
        // By the reading or by the look after it.
        assert!(notes.iter().any(|note| note.contains("no longer what was sent")), "{case}: {notes:?}");
    }
}

#[tokio::test]
async fn what_is_in_the_way_of_removing_is_named_with_what_to_do() {
    let lab = Lab::new().await;
    lab.ship("ep", 100).await;
    let removing = lab.host.path("shipped/.removing");
    let elsewhere = lab.host.path("elsewhere");
    fs::create_dir_all(elsewhere.join("ep")).unwrap();
    lab.clock.jump_secs(11 * DAY_SECS);
    for (case, found) in [("a file", "is no directory"), ("a symlink", "is a symlink")] {
        if case == "a file" {
            fs::write(&removing, "").unwrap();
        } else {
            symlink(&elsewhere, &removing).unwrap();
        }
        let report = lab.host.pass().await;
        assert_eq!(lab.shipped(), ["ep"], "{case}: {:?}", report.notes);
        let told = format!("nothing can be removed by way of {}: it {found}; move it away", removing.display());
        assert!(report.notes.iter().any(|note| note.contains(&told)), "{case}: {:?}", report.notes);
        fs::remove_file(&removing).unwrap();
    }
    assert!(elsewhere.join("ep").is_dir());
    lab.host.pass().await;
    assert_eq!(lab.shipped(), Vec::<String>::new());
}

/// What is mounted in it is somebody's original.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn r10_what_is_mounted_in_an_episode_is_not_removed_with_it() {
    let lab = Lab::new().await;
    let (original, inside) = (lab.host.path("original"), lab.host.path("episodes/ep/v"));
    lab.host.record("ep", "x", None);
    fs::create_dir(&original).unwrap();
    fs::write(original.join("video"), "the original").unwrap();
    fs::create_dir(&inside).unwrap();
    let mounted = Command::new("mount").arg("--bind").args([&original, &inside]).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        return NotHere("nothing can be mounted".to_owned()).say("mounts in an episode");
    }
    lab.host.drains(1).await;
    lab.clock.jump_secs(11 * DAY_SECS);
    let report = lab.host.pass().await;
    let unmounted = Command::new("umount").arg(lab.host.path("shipped/ep/v")).status();
    assert!(original.join("video").is_file(), "{:?}", report.notes);
    assert_eq!(lab.shipped(), ["ep"]);
    assert!(report.notes.iter().any(|note| note.contains("unmount it")), "{:?}", report.notes);
    assert!(unmounted.unwrap().success());
}

fn edit(dir: &Path, case: &str) {
    match case {
        "append" => File::options().append(true).open(dir.join("a.md")).unwrap().write_all(b"mine\n").unwrap(),
        "by rename" => {
            fs::write(dir.join(".new"), "mine").unwrap();
            fs::rename(dir.join(".new"), dir.join("a.md")).unwrap();
        }
        "a new file" => fs::write(dir.join("b.md"), "mine\n").unwrap(),
        _ => {
            fs::create_dir(dir.join("notes")).unwrap();
            fs::write(dir.join("notes/b.md"), "mine\n").unwrap();
        }
    }
}
