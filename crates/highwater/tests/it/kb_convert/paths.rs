//! What a document's path may be, and what it may lead to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use highwater_engine::clock::SystemClock;
use highwater_engine::contact::StopSignal;
use highwater_kb::convert::{ConvertError, Limits, Staged, Subprocess, Verdict};

use super::*;

#[test]
fn a_file_may_have_any_name() {
    for name in [&b"new\nline.txt"[..], b"-dash.txt", b"\xff\xfe.txt", b"sp ace; $(id).txt", b"--inside", b".txt"] {
        let desk = Desk::new();
        let name = OsStr::from_bytes(name);
        fs::write(desk.0.path("").join(name), "Tides\n").unwrap();
        let mut command = desk.command(&[]);
        command.arg("--").arg(name);
        let ended = desk.ended(&mut command);
        assert_eq!(ended.code, 0, "{name:?}: {ended:?}");
        assert_eq!(desk.0.read("out/text.md"), "Tides\n");
    }
}

#[test]
fn a_name_that_is_no_text_is_told_in_json_too() {
    let desk = Desk::new();
    let name = OsStr::from_bytes(b"new\nline\xff.txt");
    fs::write(desk.0.path("").join(name), "a\0b").unwrap();
    let mut command = desk.command(&["--json"]);
    command.arg(name);
    let ended = desk.ended(&mut command);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.json()["error"]["file"], "new\u{fffd}line\u{fffd}.txt");
}

#[test]
fn what_is_no_file_is_not_read() {
    let desk = Desk::with("secret.txt", b"secret\n");
    symlink("secret.txt", desk.0.path("link.txt")).unwrap();
    symlink("nowhere", desk.0.path("dangling.txt")).unwrap();
    fs::create_dir(desk.0.path("dir.txt")).unwrap();
    let _socket = UnixListener::bind(desk.0.path("socket.txt")).unwrap();
    assert_eq!(desk.0.sh("mkfifo pipe.txt").code, 0);
    for (name, says) in [
        ("link.txt", "it is a symlink: name the file itself"),
        ("dangling.txt", "it is a symlink: name the file itself"),
        ("dir.txt", "it is a directory, not a file"),
        ("pipe.txt", "it is a pipe, not a file"),
        ("socket.txt", "it is a socket, not a file"),
        ("/dev/zero", "it is a device, not a file"),
        ("none.txt", "it cannot be read: No such file or directory (os error 2)"),
    ] {
        assert_eq!(desk.refused(&[name]), says, "{name}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_tried_again() {
    // The kernel says that it has no bytes, and gives some.
    let desk = Desk::new();
    let ended = desk.convert(&["/proc/self/status"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("HW-KB-004") && ended.stderr.contains("it changed while it was read"), "{ended:?}");
    let error = Staged::copy("/proc/self/status".as_ref(), desk.0.dir.path(), &Limits::default()).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Moment);
}

#[test]
fn a_copy_is_hashed_and_goes_with_its_owner() {
    let desk = Desk::with("a.txt", b"abc");
    let into = desk.0.path("tmp");
    let staged = Staged::copy(&desk.0.path("a.txt"), &into, &Limits::default()).unwrap();
    assert_eq!(staged.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(staged.content.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    fs::write(desk.0.path("a.txt"), "another").unwrap();
    assert_eq!(fs::read(staged.document()).unwrap(), b"abc");
    drop(staged);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
    symlink("a.txt", desk.0.path("link.txt")).unwrap();
    let link = desk.0.path("link.txt");
    assert!(matches!(Staged::copy(&link, &into, &Limits::default()), Err(ConvertError::Symlink)));
    let open = fs::File::open(&link).unwrap();
    assert_eq!(
        Staged::copy_open(open, &link, &into, &Limits::default()).unwrap().bytes,
        7,
        "who opened it followed it"
    );
}

/// What comes of a conversion by a program of our own, which is given the arguments of a conversion.
fn by_script(script: &str) -> ConvertError {
    let desk = Desk::with("a.txt", b"abc");
    desk.0.script("convert", script);
    let limits = Limits { cpu_secs: 1, ..Limits::default() };
    let staged = Staged::copy(&desk.0.path("a.txt"), &desk.0.path("tmp"), &limits).unwrap();
    let conversion = Subprocess::new(&desk.0.path("convert"), limits, SystemClock::shared());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(conversion.convert(&staged, &StopSignal::default())).unwrap_err()
}

#[test]
fn the_end_of_a_conversion_is_told_in_words() {
    for (script, says, verdict) in [
        ("echo 'it is odd' >&2; exit 2", "it is odd", Verdict::Document),
        (
            "echo 'index out of bounds' >&2; exit 1",
            "its converter broke on it: exit 1, index out of bounds",
            Verdict::Document,
        ),
        ("kill -SEGV $$", "its converter broke on it: signal 11 (SIGSEGV) (core dumped)", Verdict::Document),
        ("kill -XCPU $$", "it took more than 1 s", Verdict::Document),
        (
            "echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$",
            "it needed more than 2048 MiB of memory",
            Verdict::Document,
        ),
        ("echo 'thread has overflowed its stack' >&2; kill -ABRT $$", "it is nested too deeply", Verdict::Document),
        ("exit 0", "its converter gave what cannot be used: ", Verdict::Document),
        ("sleep 600", "it took more than 4 s", Verdict::Document),
        ("sleep 600 & exec sleep 600", "it took more than 4 s", Verdict::Document),
    ] {
        let error = by_script(script);
        let told = error.to_string();
        assert!(told.starts_with(says.trim_end_matches(" (core dumped)")), "{script}: {told}");
        assert_eq!(error.verdict(), verdict, "{script}");
    }
}

#[test]
fn a_program_that_is_not_there_is_about_the_machine() {
    let desk = Desk::with("a.txt", b"abc");
    let staged = Staged::copy(&desk.0.path("a.txt"), &desk.0.path("tmp"), &Limits::default()).unwrap();
    let conversion = Subprocess::new(&desk.0.path("none"), Limits::default(), SystemClock::shared());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(conversion.convert(&staged, &StopSignal::default())).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Machine, "{error}");
}

#[test]
fn a_word_to_stop_ends_a_conversion_at_once() {
    let desk = Desk::with("a.txt", b"abc");
    desk.0.script("convert", "sleep 600");
    let staged = Staged::copy(&desk.0.path("a.txt"), &desk.0.path("tmp"), &Limits::default()).unwrap();
    let conversion = Subprocess::new(&desk.0.path("convert"), Limits::default(), SystemClock::shared());
    let stop = StopSignal::default();
    stop.raise();
    stop.raise();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(conversion.convert(&staged, &stop)).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Stop, "{error}");
}
