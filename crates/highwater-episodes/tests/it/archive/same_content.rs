//! R11: the same episode is the same content, whatever packs it, and another one is another.

use std::fs;

use highwater_episodes::archive::{CompressionSettings, Packer, TreeLimits, WindowLog, content_of, meta};

use super::rig::{COMMIT, Episode, packer, set_mtime, settings};

#[test]
fn r11_levels_threads_and_a_touched_directory_make_no_other_content() {
    let episode = Episode::recorded();
    let (bytes, packed) = episode.pack();
    let mut archives = vec![bytes];
    for (level, threads) in [(1, 0), (1, 4), (3, 1), (3, 4), (19, 1), (19, 4), (22, 0)] {
        set_mtime(&episode.path("telemetry"), 1_000_000_000 + i64::try_from(level + threads).unwrap(), 0);
        let (bytes, again) = episode.pack_with(&settings(level, threads));
        assert_eq!(again.content, packed.content, "level {level}, {threads} threads");
        archives.push(bytes);
    }
    for bytes in &archives {
        let read = episode.read(bytes).unwrap();
        assert_eq!(read.content_sha256, packed.content.content_sha256);
    }
    let of_levels = [&archives[0], &archives[1], &archives[5], &archives[7]];
    for (at, bytes) in of_levels.iter().enumerate() {
        assert!(!of_levels[..at].contains(bytes), "levels differ in their bytes");
    }
}

#[test]
fn r11_the_same_settings_give_the_same_bytes_however_often() {
    let episode = Episode::recorded();
    let long = CompressionSettings { long: WindowLog::new(24), ..settings(3, 0) };
    for settings in [settings(1, 0), settings(3, 0), settings(3, 2), settings(19, 1), long] {
        let (bytes, packed) = episode.pack_with(&settings);
        // Another packer, and one whose context packed another episode before.
        let mut used = packer(&settings);
        used.pack(&Episode::empty().root(), &episode.id, std::io::sink()).unwrap();
        for mut packer in [packer(&settings), used] {
            let mut again = Vec::new();
            assert_eq!(packer.pack(&episode.root(), &episode.id, &mut again).unwrap(), packed);
            assert!(again == bytes, "{settings:?}");
        }
    }
}

#[test]
fn r11_a_large_episode_in_threads_is_the_bytes_of_one_in_a_single_thread() {
    let episode = Episode::empty();
    // Beyond what one thread packs alone, with files that do not end where chunks do.
    for file in 0..9_u64 {
        episode.file(format!("part-{file}"), super::rig::noise(700_001, file).repeat(2));
    }
    let (bytes, packed) = episode.pack();
    let tar = super::rig::unpacked(&bytes);
    assert_eq!(tar.len() % 512, 0);
    assert_eq!(packed.content.look.bytes, 9 * 2 * 700_001);
    let read = episode.read(&bytes).unwrap();
    assert_eq!((read.content_sha256, read.files), (packed.content.content_sha256, 9));
    assert_eq!((read.sha256, read.size_bytes), (packed.sha256, packed.size_bytes));
    assert_eq!(episode.pack().0, bytes);
    let (threaded, again) = episode.pack_with(&settings(3, 4));
    assert_eq!(again.content, packed.content);
    assert!(super::rig::unpacked(&threaded) == tar);
    assert_eq!(episode.pack_with(&settings(3, 4)).0, threaded);
}

#[test]
fn r11_what_is_read_back_is_what_was_packed() {
    let episode = Episode::recorded();
    let (bytes, packed) = episode.pack();
    let read = episode.read(&bytes).unwrap();
    assert_eq!((read.sha256, read.size_bytes), (packed.sha256, packed.size_bytes));
    assert_eq!(read.size_bytes, bytes.len() as u64);
    let content = &packed.content;
    assert_eq!(
        (read.content_sha256, read.files, read.bytes),
        (content.content_sha256, content.look.files, content.look.bytes)
    );
    assert_eq!((read.files, read.entries), (6, 9), "the episode itself and two directories are entries too");
    assert_eq!(read.meta, content.meta);
    let commit = meta::recorded_commit(&read.meta.unwrap()).unwrap().unwrap();
    assert_eq!(commit.as_str(), COMMIT);
    assert_eq!(content_of(&episode.root(), &episode.id, TreeLimits::default()).unwrap(), packed.content);
}

#[test]
fn r11_each_change_of_a_file_is_another_content_and_no_other_change_is() {
    let episode = Episode::recorded();
    let first = episode.pack().1.content.content_sha256;
    let content = || episode.pack().1.content.content_sha256;

    episode.mode("run.sh", 0o700);
    set_mtime(&episode.path("run.sh"), super::rig::MTIME_SECS, 999_999_999);
    fs::create_dir(episode.path("another")).unwrap();
    fs::hard_link(episode.path("empty"), episode.outside().join("link")).unwrap();
    assert_eq!(content(), first, "other bits, parts of a second, directories");

    episode.mode("run.sh", 0o640);
    assert_ne!(content(), first, "the executable bit");
    episode.mode("run.sh", 0o750);
    assert_eq!(content(), first);
    set_mtime(&episode.path("empty"), super::rig::MTIME_SECS + 1, 0);
    assert_ne!(content(), first, "a time");
    episode.file("empty", "");
    assert_eq!(content(), first);
    episode.file("run.sh", "#!/bin/ls\n");
    assert_ne!(content(), first, "a byte");
    episode.file("run.sh", "#!/bin/sh\n");
    assert_eq!(content(), first);
    fs::rename(episode.path("empty"), episode.path("empti")).unwrap();
    assert_ne!(content(), first, "a name");
}

#[test]
fn a_packer_that_failed_packs_the_next_episode_as_if_it_had_not() {
    let (good, bad) = (Episode::recorded(), Episode::recorded());
    std::os::unix::fs::symlink("run.sh", bad.path("telemetry/zz-link")).unwrap();
    let mut packer = packer(&settings(3, 2));
    packer.pack(&bad.root(), &bad.id, std::io::sink()).unwrap_err();
    packer.pack(&good.root(), &good.id, Full(100_000)).unwrap_err();
    let mut bytes = Vec::new();
    packer.pack(&good.root(), &good.id, &mut bytes).unwrap();
    assert_eq!(bytes, good.pack_with(&settings(3, 2)).0);
}

#[test]
fn a_full_disk_ends_the_pack_in_one_thread_and_in_three() {
    let episode = Episode::empty();
    episode.file("noise", super::rig::noise(20 << 20, 3));
    for most in [0, 1_000_000, 12 << 20] {
        let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
        let error = packer.pack(&episode.root(), &episode.id, Full(most)).unwrap_err();
        assert_eq!(error.to_string(), "the archive cannot be written", "{most}");
    }
}

/// A disk with so much room.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
