//! Disks that fill up, turn read-only and lose power. As root; named as not run elsewhere.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use highwater_testkit::power_loss::{Disk, FileSystem};
use highwater_testkit::program::{Program, wait_until};
use highwater_testkit::small_disk::SmallDisk;

const LIMIT: Duration = Duration::from_secs(60);

/// Set for a test's own child process; see [`a_killed_test_leaves_no_mount_and_no_loop_device`].
const AS_CHILD: &str = "HIGHWATER_TEST_DISKS_CHILD";

fn write_synced(directory: &Path, name: &str, content: &[u8]) {
    let mut file = File::create(directory.join(name)).unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
    File::open(directory).unwrap().sync_all().unwrap();
}

#[test]
fn what_was_synced_survives_a_power_cut_and_the_rest_does_not() {
    for file_system in FileSystem::ALL {
        let disk = match Disk::mount(file_system) {
            Ok(disk) => disk,
            Err(not_here) => {
                not_here.say("what_was_synced_survives_a_power_cut_and_the_rest_does_not");
                continue;
            }
        };
        let content = vec![b'x'; 1 << 20];
        write_synced(disk.path(), "synced", &content);
        fs::write(disk.path().join("unsynced"), &content).unwrap();
        disk.lose_power().unwrap();
        assert!(fs::read(disk.path().join("synced")).unwrap() == content, "{file_system:?} lost what was synced");
        let unsynced = fs::read(disk.path().join("unsynced")).unwrap_or_default();
        assert!(unsynced != content, "{file_system:?} did not lose its power");
        // And it can be written again.
        write_synced(disk.path(), "later", b"later");
    }
}

#[test]
fn whoever_writes_while_the_power_is_off_gets_an_error() {
    let disk = match Disk::mount(FileSystem::Ext4) {
        Ok(disk) => disk,
        Err(not_here) => return not_here.say("whoever_writes_while_the_power_is_off_gets_an_error"),
    };
    let mut file = File::create(disk.path().join("file")).unwrap();
    disk.cut_power().unwrap();
    let written = file.write_all(b"late").and_then(|()| file.sync_all());
    assert_eq!(written.unwrap_err().raw_os_error(), Some(nix::errno::Errno::EIO as i32));
    assert!(disk.restore_power().is_err(), "the file is still open");
    drop(file);
    disk.restore_power().unwrap();
}

#[test]
fn a_small_disk_fills_up_and_is_freed() {
    let disk = match SmallDisk::mount(256 * 1024) {
        Ok(disk) => disk,
        Err(not_here) => return not_here.say("a_small_disk_fills_up_and_is_freed"),
    };
    let file = disk.path().join("file");
    disk.fill().unwrap();
    assert_eq!(fs::write(&file, [0; 4096]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.free().unwrap();
    fs::write(&file, [0; 4096]).unwrap();
}

#[test]
fn a_small_disk_turns_read_only_and_back() {
    let disk = match SmallDisk::mount(256 * 1024) {
        Ok(disk) => disk,
        Err(not_here) => return not_here.say("a_small_disk_turns_read_only_and_back"),
    };
    let file = disk.path().join("file");
    disk.set_read_only(true).unwrap();
    assert_eq!(fs::write(&file, "x").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    disk.set_read_only(false).unwrap();
    fs::write(&file, "x").unwrap();
}

#[tokio::test]
async fn a_killed_test_leaves_no_mount_and_no_loop_device() {
    if std::env::var_os(AS_CHILD).is_some() {
        let disk = Disk::mount(FileSystem::Ext4).unwrap();
        let small = SmallDisk::mount(4096).unwrap();
        println!("\nmounts {} {}", disk.path().display(), small.path().display());
        std::future::pending::<()>().await;
    }
    if let Err(not_here) = Disk::mount(FileSystem::Ext4) {
        return not_here.say("a_killed_test_leaves_no_mount_and_no_loop_device");
    }
    let mut child = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_leaves_no_mount_and_no_loop_device", "--nocapture"])
        .env(AS_CHILD, "1")
        .start()
        .unwrap();
    child.wait_for_stdout(LIMIT, |out| out.contains("mounts ") && out.ends_with('\n')).await.unwrap();
    let out = child.stdout();
    let mut words = out.trim().rsplit(' ');
    let (small, disk) = (words.next().unwrap(), words.next().unwrap());
    let image = Path::new(disk).parent().unwrap().join("image");
    let mounts = || fs::read_to_string("/proc/mounts").unwrap();
    let loops =
        || String::from_utf8(std::process::Command::new("losetup").arg("--all").output().unwrap().stdout).unwrap();
    let image_name = image.parent().unwrap().file_name().unwrap().to_str().unwrap();
    assert!(mounts().contains(small) && mounts().contains(disk) && loops().contains(image_name));
    child.kill_9(LIMIT).await.unwrap();
    wait_until(LIMIT, "the clean-up", || {
        !mounts().contains(small) && !mounts().contains(disk) && !loops().contains(image_name) && !image.exists()
    })
    .await
    .unwrap();
}
