//! A full disk says nothing of a document: the call ends with exit 1 and what is full, and once there is space again the same call goes on.

use std::fs;
use std::path::Path;

use highwater_testkit::documents::docx_of;
use highwater_testkit::small_disk::SmallDisk;

use crate::rig::Rig;

const DISK_BYTES: u64 = 16 << 20;
/// What is left for a conversion: its copy fits, its answer does not.
const LEFT_BYTES: u64 = 2 << 20;
/// So many paragraphs are more than that.
const PARAGRAPHS: usize = 60_000;

fn small_disk(test: &str) -> Option<SmallDisk> {
    SmallDisk::mount(DISK_BYTES).inspect_err(|not_here| not_here.say(test)).ok()
}

/// A document that is small, and says much.
fn long() -> Vec<u8> {
    // Of words that repeat too often a converter says that they were made to hurt it.
    let word = |n: usize| format!("{:08x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff);
    let said: String = (0..PARAGRAPHS)
        .map(|n| format!("<w:p><w:r><w:t>Gauge {} measured {} m of water.</w:t></w:r></w:p>", word(n), n % 7))
        .collect();
    docx_of(&said)
}

/// Leaves so much of a disk.
fn leave(disk: &SmallDisk, bytes: u64) {
    let used: u64 = used(disk.path());
    let ballast = DISK_BYTES.saturating_sub(used + bytes);
    fs::write(disk.path().join("ballast"), vec![0; usize::try_from(ballast).unwrap()]).unwrap();
}

fn used(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let of = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => used(&entry.path()),
        false => entry.metadata().unwrap().len().next_multiple_of(4096),
    };
    entries.map(of).sum()
}

#[test]
fn r05_a_document_is_not_blamed_for_a_full_disk() {
    let Some(disk) = small_disk("r05_a_document_is_not_blamed_for_a_full_disk") else { return };
    let rig = Rig::new("");
    let kb = disk.path().join("notes").display().to_string();
    rig.ok(&["kb", "init", &kb]);
    fs::create_dir(rig.path("in")).unwrap();
    rig.write("in/a.md", "# A\n\nWords.\n");
    rig.ok(&["kb", "add", "in", "--kb", &kb]);
    fs::write(rig.path("in/long.docx"), long()).unwrap();
    leave(&disk, LEFT_BYTES);
    for _ in 0..2 {
        let ended = rig.run(&["kb", "add", "in", "--kb", &kb]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("HW-KB-002") && ended.stderr.contains("No space left on device"), "{ended:?}");
        assert!(ended.stderr.contains("next: free space on the disk of "), "{ended:?}");
        assert!(!format!("{ended:?}").contains("for you to look at"), "{ended:?}");
    }
    fs::remove_file(disk.path().join("ballast")).unwrap();
    let ended = rig.ok(&["kb", "add", "in", "--kb", &kb]);
    assert!(!format!("{ended:?}").contains("for you to look at"), "{ended:?}");
    let listed = rig.ok(&["kb", "list", "--kb", &kb, "--json"]).stdout;
    assert!(listed.contains("\"name\":\"long\""), "{listed}");
}

#[test]
fn a_conversion_and_a_graph_that_a_full_disk_ends_say_so() {
    let Some(disk) = small_disk("a_conversion_and_a_graph_that_a_full_disk_ends_say_so") else { return };
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    fs::write(rig.path("long.docx"), long()).unwrap();
    leave(&disk, LEFT_BYTES);
    let mut convert = rig.command(&["kb", "convert", "long.docx", "--to", "out"]);
    let ended: crate::rig::Ended = convert.env("TMPDIR", disk.path()).output().unwrap().into();
    assert!(ended.code == 1 && ended.stderr.contains("HW-KB-002"), "{ended:?}");
    assert!(ended.stderr.contains("No space left on device"), "{ended:?}");
    disk.fill().unwrap();
    let graph = disk.path().join("graph.html");
    let ended = rig.run(&["kb", "visualize", "--kb", "notes", "--out", &graph.display().to_string()]);
    assert!(ended.code == 1 && ended.stderr.contains("HW-KB-033"), "{ended:?}");
    assert!(ended.stderr.contains("No space left on device"), "{ended:?}");
    assert!(ended.stderr.contains("next: free space on the disk of "), "{ended:?}");
    assert!(!graph.exists());
}
