//! What others make of ours and we of theirs: GNU tar, Python's tarfile, and the shell lines of the documentation.

use std::path::Path;
use std::process::{Command, Output};

use highwater_testkit::not_here::NotHere;

use super::rig::{Episode, compressed, noise, set_mtime, unpacked};

/// Runs a program; `None`, and said so, where this machine lacks it.
fn run(test: &str, program: &str, arguments: &[&str], directory: &Path) -> Option<Output> {
    match Command::new(program).args(arguments).current_dir(directory).env("TZ", "UTC").output() {
        Ok(output) => {
            assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output)
        }
        Err(error) => {
            NotHere(format!("{program}: {error}")).say(test);
            None
        }
    }
}

/// An episode with all that another packer could write in another way.
fn varied() -> Episode {
    let episode = Episode::recorded();
    episode.file(["deep"; 60].join("/"), "deep");
    episode.file("n".repeat(200), "long");
    episode.file("new\nline", "x");
    episode.file(std::ffi::OsString::from("-rf"), noise(1000, 1));
    set_mtime(&episode.path("-rf"), 1, 999_999_999);
    episode.mode("-rf", 0o4711);
    episode.mode("meta.json", 0o4670);
    episode
}

#[test]
fn r11_an_archive_of_gnu_tar_is_the_same_content() {
    let episode = varied();
    let ours = episode.pack().1.content;
    for format in ["gnu", "pax", "posix", "oldgnu", "ustar"] {
        if format == "ustar" {
            // Which has no room for the names that are longer.
            std::fs::remove_file(episode.path("n".repeat(200))).unwrap();
            std::fs::remove_dir_all(episode.path("deep")).unwrap();
        }
        for (top, extra) in
            [("ep-7", "--sort=none"), ("./ep-7", "--owner=someone:4711"), ("ep-7", "--blocking-factor=128")]
        {
            let format = format!("--format={format}");
            let arguments = ["--create", &format, extra, "--file=-", top];
            let Some(tar) = run("an archive of GNU tar", "tar", &arguments, episode.outside()) else { return };
            let read = episode.read(&compressed(&tar.stdout)).unwrap();
            if format != "--format=ustar" {
                assert_eq!(read.content_sha256, ours.content_sha256, "{arguments:?}");
            }
            assert_eq!(read.content_sha256, episode.pack().1.content.content_sha256, "{arguments:?}");
            assert_eq!(read.meta, ours.meta);
        }
    }
}

#[test]
fn r11_an_archive_of_python_is_the_same_content() {
    let episode = varied();
    let ours = episode.pack().1.content.content_sha256;
    let script = "import io, sys, tarfile\n\
                  out = io.BytesIO()\n\
                  form = getattr(tarfile, sys.argv[1])\n\
                  with tarfile.open(fileobj=out, mode='w', format=form) as tar: tar.add('ep-7')\n\
                  sys.stdout.buffer.write(out.getvalue())\n";
    for format in ["PAX_FORMAT", "GNU_FORMAT"] {
        let arguments = ["-c", script, format];
        let Some(tar) = run("an archive of Python", "python3", &arguments, episode.outside()) else { return };
        assert_eq!(episode.read(&compressed(&tar.stdout)).unwrap().content_sha256, ours, "{format}");
    }
}

#[test]
fn gnu_tar_unpacks_ours_to_the_same_episode() {
    let episode = varied();
    let (bytes, packed) = episode.pack();
    let copy = Episode::empty();
    std::fs::write(copy.outside().join("ep.tar"), unpacked(&bytes)).unwrap();
    let listed = ["--list", "--verbose", "--numeric-owner", "--full-time", "--file=ep.tar"];
    let Some(list) = run("GNU tar reads ours", "tar", &listed, copy.outside()) else { return };
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.starts_with("drwxr-xr-x 0/0               0 1970-01-01 00:00:00 ep-7/\n"), "{list}");
    assert!(list.contains("-rwxr-xr-x 0/0              10 2025-08-11 10:15:00 ep-7/run.sh\n"), "{list}");
    let extracted = run("GNU tar reads ours", "tar", &["--extract", "--file=ep.tar"], copy.outside()).unwrap();
    assert!(extracted.stderr.is_empty(), "{extracted:?}");
    assert_eq!(copy.pack().1.content.content_sha256, packed.content.content_sha256);
    assert_eq!(copy.pack().0, bytes);
}

#[test]
fn r11_the_shell_lines_of_the_documentation_give_the_content_hash() {
    let page = include_str!("../../../../../docs/episodes-format.md");
    let (_, lines) = page.split_once("```sh\n").unwrap();
    let (lines, _) = lines.split_once("```").unwrap();
    for episode in [varied(), Episode::empty()] {
        let Some(output) = run("the shell lines of the documentation", "sh", &["-c", lines], &episode.root()) else {
            return;
        };
        let sum = String::from_utf8(output.stdout).unwrap();
        assert_eq!(sum, format!("{}  -\n", episode.pack().1.content.content_sha256));
    }
}
