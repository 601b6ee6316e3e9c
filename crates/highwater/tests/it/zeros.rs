//! An episode of zeros, which compresses more than a thousand times: what the packer makes, every reader of ours reads (R11).

use std::fs;

use crate::receive::{Running, config};
use crate::rig::Rig;
use crate::ship::job;

/// Beyond what is judged by its ratio.
const ZEROS: u64 = 80 << 20;

#[test]
fn r11_an_episode_of_zeros_is_stored_shown_verified_and_present_when_it_is_packed_otherwise() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir_all(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    let toml = job(&format!("http://{}", receiver.address), "recurring = true");
    rig.write("highwater.toml", &toml);
    let dir = rig.path("episodes/ep");
    fs::create_dir_all(&dir).unwrap();
    fs::File::create(dir.join("disk.img")).unwrap().set_len(ZEROS).unwrap();
    fs::write(dir.join("done.marker"), "").unwrap();
    rig.ok(&["ship", "send"]);
    let stored = rig.path("received/episodes/lab/ep.tar.zst");
    let first = fs::read(&stored).unwrap();
    assert!(first.len() as u64 * 1_000 < ZEROS, "{}", first.len());
    let told = rig.ok(&["episodes", "verify", "--root", "received"]);
    assert!(told.stdout.contains("1 "), "{told:?}");
    let shown = rig.ok(&["episodes", "show", "lab/ep", "--root", "received", "--json"]).json();
    assert_eq!((shown["agrees"].as_bool(), shown["stored"]["content_bytes"].as_u64()), (Some(true), Some(ZEROS)));
    for level in [9, 1] {
        fs::rename(rig.path("shipped/ep"), rig.path("episodes/ep")).unwrap();
        rig.write("highwater.toml", &toml.replace("recurring", &format!("compression.level = {level}\nrecurring")));
        rig.ok(&["ship", "send"]);
        assert!(rig.path("shipped/ep").exists(), "level {level}: it is there already, and no conflict");
    }
    assert_eq!(fs::read(&stored).unwrap(), first);
    let rows = || rig.read("received/index.jsonl").lines().count();
    assert_eq!((rows(), receiver.stop().code), (1, 0));
    // Without its seal nobody of ours made it, and it stays a bomb.
    let unsealed = &first[..first.len() - highwater_episodes::archive::SEAL_BYTES];
    fs::write(&stored, unsealed).unwrap();
    let shown = rig.run(&["episodes", "show", "lab/ep", "--root", "received", "--json"]);
    assert!(shown.code == 4 && shown.stdout.contains("more than 1000 times its size"), "{shown:?}");
}
