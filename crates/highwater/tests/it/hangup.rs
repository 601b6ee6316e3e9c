//! SIGHUP before the first line of a process that stays: it ends nothing, and the files are read once more.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::receive::{Running, config};
use crate::rig::{Rig, end, pause, signal, wait_until};
use crate::ship::job;

/// So many signals, and so long from one to the next: 0 to 200 ms after the process began to read.
const SIGNALS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(10);

/// A configuration that is there once the test writes it.
fn pipe(rig: &Rig) {
    mknodat(CWD, rig.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Waits until a process reads its configuration.
fn reader(pipe: &Path) -> File {
    let mut found = None;
    wait_until("a process that reads its configuration", || {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        found = OpenOptions::new().write(true).custom_flags(flags).open(pipe).ok();
        found.is_some()
    });
    found.unwrap()
}

/// Sends it SIGHUP again and again while it reads its configuration; it lives.
fn hang_up(child: &mut Child) {
    for _ in 0..SIGNALS {
        signal(child, "HUP");
        pause(BETWEEN);
    }
    assert_eq!(child.try_wait().unwrap(), None, "it ended");
}

#[test]
fn a_receiver_that_is_hung_up_before_it_listens_goes_on_and_reads_its_tokens_once_more() {
    let rig = Rig::new("");
    std::fs::create_dir(rig.path("received")).unwrap();
    pipe(&rig);
    let mut child = rig.start(&["receive", "--json", "--config", "pipe"]);
    let mut first = reader(&rig.path("pipe"));
    hang_up(&mut child);
    first.write_all(config(&[("first", "lab")]).as_bytes()).unwrap();
    drop(first);
    let receiver = Running::of(child);
    // Told so early it reads the file, as at any other time.
    reader(&rig.path("pipe")).write_all(config(&[("second", "lab")]).as_bytes()).unwrap();
    wait_until("the second token", || receiver.put("lab/a", "second", "bytes") == 201);
    assert_eq!(receiver.put("lab/a", "first", "bytes"), 401);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_shipper_that_is_hung_up_before_its_first_line_goes_on_and_reads_its_configuration_once_more() {
    let rig = Rig::new("");
    std::fs::create_dir(rig.path("episodes")).unwrap();
    pipe(&rig);
    let mut child = rig.start(&["ship", "--daemon", "--config", "pipe"]);
    let told = job("http://127.0.0.1:1", "");
    let mut first = reader(&rig.path("pipe"));
    hang_up(&mut child);
    first.write_all(told.as_bytes()).unwrap();
    drop(first);
    wait_until("a pass", || rig.path("outbox").exists());
    reader(&rig.path("pipe")).write_all(told.as_bytes()).unwrap();
    signal(&child, "TERM");
    let ended = end(child);
    assert!(ended.code == 0 && ended.stderr.contains("ended by a signal"), "{ended:?}");
    assert_eq!(ended.stderr.matches("sends what is finished").count(), 2, "{ended:?}");
}
