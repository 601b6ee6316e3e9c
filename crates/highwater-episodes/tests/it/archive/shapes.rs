//! What may lie in an episode, in all its shapes, and what may not.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use highwater_episodes::archive::{CompressionSettings, PackError, Packer, TreeLimits};

use super::rig::{Episode, set_mtime};

#[test]
fn names_of_all_kinds_come_back() {
    let episode = Episode::empty();
    let long = "n".repeat(255);
    let deep = ["d".repeat(200), "e".repeat(200), "f".repeat(100)].join("/");
    let names: [&[u8]; 12] = [
        b"\xff\xfe not utf-8",
        b"with\nnewline",
        b"-rf",
        b"a b\tc\\d\"e'",
        "Grüße 日本".as_bytes(),
        long.as_bytes(),
        deep.as_bytes(),
        b"a",
        b"a-b",
        b"a.d/x",
        b"...",
        b"\x01\x7f",
    ];
    for name in names {
        episode.file(OsStr::from_bytes(name), name);
    }
    let (bytes, packed) = episode.pack();
    let read = episode.read(&bytes).unwrap();
    assert_eq!((read.content_sha256, read.files), (packed.content.content_sha256, names.len() as u64));
}

#[test]
fn an_episode_of_nothing_is_one() {
    let episode = Episode::empty();
    let (bytes, packed) = episode.pack();
    let read = episode.read(&bytes).unwrap();
    assert_eq!((packed.content.look.files, packed.content.look.bytes, &packed.content.meta), (0, 0, &None));
    assert_eq!((read.content_sha256, read.entries), (packed.content.content_sha256, 1));
    let docs = include_str!("../../../../../docs/episodes-format.md");
    assert!(
        docs.contains(&read.content_sha256.to_string()),
        "the page gives the hash of nothing: {:?}",
        read.content_sha256
    );
}

#[test]
fn times_at_both_ends_come_back() {
    let episode = Episode::empty();
    for (name, secs) in [("old", -5), ("zero", 0), ("far", 1 << 33)] {
        episode.file(name, name);
        set_mtime(&episode.path(name), secs, 7);
    }
    let kept = std::os::unix::fs::MetadataExt::mtime(&fs::metadata(episode.path("old")).unwrap());
    assert_eq!(kept, -5, "the disk of this test knows no time before 1970");
    let (bytes, packed) = episode.pack();
    assert_eq!(episode.read(&bytes).unwrap().content_sha256, packed.content.content_sha256);
}

#[test]
fn a_sparse_file_is_packed_as_the_zeros_that_it_says() {
    let episode = Episode::empty();
    File::create(episode.path("sparse")).unwrap().set_len(50 << 20).unwrap();
    set_mtime(&episode.path("sparse"), 5, 0);
    let (bytes, packed) = episode.pack();
    let sparse = packed.content.content_sha256;
    assert!(bytes.len() < 100_000);
    assert_eq!(episode.read(&bytes).unwrap().content_sha256, sparse);
    fs::write(episode.path("sparse"), vec![0; 50 << 20]).unwrap();
    set_mtime(&episode.path("sparse"), 5, 0);
    assert_eq!(episode.pack().1.content.content_sha256, sparse);
}

#[test]
fn a_symlink_in_the_place_of_the_episode_is_refused_with_a_slash_behind_it_too() {
    let episode = Episode::recorded();
    let link = episode.outside().join("link");
    std::os::unix::fs::symlink(episode.root(), &link).unwrap();
    let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
    for path in [link.clone(), link.join(""), link.join(".")] {
        let error = packer.pack(&path, &episode.id, std::io::sink()).unwrap_err();
        assert!(matches!(error, PackError::Root { kind: "a symlink", .. }), "{path:?}: {error}");
    }
    let error = packer.pack(&episode.path("run.sh"), &episode.id, std::io::sink()).unwrap_err();
    assert!(error.to_string().ends_with("is a file, expected the directory of an episode"), "{error}");
    for path in ["/", "", "..", "/nowhere/at/all"] {
        packer.pack(Path::new(path), &episode.id, std::io::sink()).unwrap_err();
    }
    // A symlink on the way to it is the operator's business.
    let parent = episode.outside().join("parent");
    std::os::unix::fs::symlink(episode.outside(), &parent).unwrap();
    packer.pack(&parent.join("ep-7"), &episode.id, std::io::sink()).unwrap();
}

#[test]
fn what_has_no_place_in_an_episode_is_named() {
    let said = |make: &dyn Fn(&Path)| {
        let episode = Episode::recorded();
        make(&episode.path("telemetry/odd"));
        let error = episode.refusal().to_string();
        assert!(error.contains("/ep-7/telemetry/odd\" is"), "{error}");
        error
    };
    let error = said(&|path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap());
    assert!(error.ends_with("is a symlink; an episode holds files and directories alone"), "{error}");
    said(&|path| std::os::unix::fs::symlink("/etc", path).unwrap());
    assert!(said(&|path| drop(UnixListener::bind(path).unwrap())).contains("is a socket"));
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    assert!(said(&fifo).contains("is a fifo"));
}

#[test]
fn an_episode_of_too_much_is_refused_with_its_limit() {
    let episode = Episode::recorded();
    let limits = TreeLimits::default();
    for (limits, what) in [
        (TreeLimits { entries: 8, ..limits }, "8 files and directories"),
        (TreeLimits { path_bytes: 22, ..limits }, "22 bytes in a path"),
        (TreeLimits { paths_bytes: 100, ..limits }, "100 bytes in all paths"),
        (TreeLimits { depth: 1, ..limits }, "1 directories below each other"),
        (TreeLimits { bytes: 900_000, ..limits }, "900000 bytes"),
    ] {
        let mut packer = Packer::new(&CompressionSettings::default(), limits).unwrap();
        let error = packer.pack(&episode.root(), &episode.id, std::io::sink()).unwrap_err();
        assert!(error.to_string().ends_with(&format!("an episode has at most {what}")), "{error}");
    }
    let bytes = episode.pack().1.content.look.bytes;
    let exact = TreeLimits { entries: 9, path_bytes: 23, depth: 2, bytes, ..limits };
    let mut packer = Packer::new(&CompressionSettings::default(), exact).unwrap();
    packer.pack(&episode.root(), &episode.id, std::io::sink()).unwrap();
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let episode = Episode::recorded();
    episode.mode("telemetry/raw.bin", 0);
    if File::open(episode.path("telemetry/raw.bin")).is_ok() {
        highwater_testkit::not_here::NotHere("this user may read everything".to_owned())
            .say("a file that may not be read");
        return;
    }
    let error = episode.refusal();
    assert!(error.to_string().ends_with("/telemetry/raw.bin\" cannot be read"), "{error}");
}
