//! A base on a file system that is mounted to read alone: it is read, whatever the last call before that was.

use highwater_testkit::bind_mount::BindMount;
use highwater_testkit::small_disk::SmallDisk;

use crate::rig::Rig;

/// Room for a base of a few documents.
const DISK_BYTES: u64 = 32 << 20;

/// Every command that only reads.
const READS: [&[&str]; 8] = [
    &["list"],
    &["list", "--json"],
    &["search", "tidal"],
    &["query", "tidal", "range"],
    &["lint", "--verify"],
    &["status"],
    &["log"],
    &["visualize", "--out", "drawn.html", "--force"],
];

#[test]
fn a_base_that_is_mounted_to_read_alone_is_read_whatever_was_called_last() {
    let test = "a_base_that_is_mounted_to_read_alone_is_read_whatever_was_called_last";
    let Ok(disk) = SmallDisk::mount(DISK_BYTES).inspect_err(|not_here| not_here.say(test)) else { return };
    let rig = Rig::new("");
    rig.write("one.md", "# One\n\nThe tidal range is the height between high water and low water.\n");
    rig.write("two.md", "# Two\n\nThe tidal range is measured at the Harbour Office.\n");
    // What has a place in an address of a file, and another meaning there.
    let notes = disk.path().join("no?t%41es #1");
    let notes = notes.to_str().unwrap();
    let kb = |args: &[&str]| rig.run(&[&["kb"], args, &["--kb", notes]].concat());
    rig.ok(&["kb", "init", notes]);
    for last in [&["add", "one.md"][..], &["add", "two.md"], &["list"], &["remove", "two"]] {
        assert_eq!(kb(last).code, 0, "{last:?}");
        let had: Vec<_> = READS.iter().take(2).map(|read| kb(read).stdout).collect();
        // As a writer leaves it.
        assert_eq!(kb(&["gc"]).code, 0);
        disk.set_read_only(true).unwrap();
        for read in READS {
            let ended = kb(read);
            assert_eq!(ended.code, 0, "{read:?} after {last:?}: {ended:?}");
        }
        assert_eq!(READS.iter().take(2).map(|read| kb(read).stdout).collect::<Vec<_>>(), had, "after {last:?}");
        let refused = kb(&["add", "one.md"]);
        assert!(refused.code == 1 && refused.stderr.contains("ead-only"), "{refused:?}");
        disk.set_read_only(false).unwrap();
    }
}

#[test]
fn a_change_that_is_committed_and_not_written_is_told_of_a_base_that_is_mounted_to_read_alone() {
    let test = "a_change_that_is_committed_and_not_written_is_told_of_a_base_that_is_mounted_to_read_alone";
    let Ok(disk) = SmallDisk::mount(DISK_BYTES).inspect_err(|not_here| not_here.say(test)) else { return };
    let rig = Rig::new("");
    rig.write("one.md", "# One\n\nThe tidal range is the height between high water and low water.\n");
    let notes = disk.path().join("notes");
    let notes = notes.to_str().unwrap();
    let kb = |args: &[&str]| rig.run(&[&["kb"], args, &["--kb", notes]].concat());
    rig.ok(&["kb", "init", notes]);
    assert_eq!(kb(&["add", "one.md"]).code, 0);
    let page = disk.path().join("notes/wiki/index.md");
    // What is mounted in its place can be read, and not be replaced.
    let mount = BindMount::mount(&page, &page).unwrap();
    let refused = kb(&["undo"]);
    assert!(refused.code == 1 && refused.stderr.contains("HW-KB-022"), "{refused:?}");
    drop(mount);
    disk.set_read_only(true).unwrap();
    let linted = kb(&["lint"]);
    assert!(linted.code == 4 && linted.stdout.contains("unapplied"), "{linted:?}");
    let refused = kb(&["lint", "--fix"]);
    assert!(refused.code == 1 && refused.stderr.contains("ead-only"), "{refused:?}");
    disk.set_read_only(false).unwrap();
    assert_eq!(kb(&["lint", "--fix"]).code, 0);
}
