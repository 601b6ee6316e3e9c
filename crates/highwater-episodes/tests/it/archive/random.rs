//! Any tree comes back, and no bytes make the reader panic or exceed its limits.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use highwater_episodes::archive::{CompressionSettings, ContentFile, Limits, Reader, content_sha256};
use highwater_episodes::digest::Sha256Digest;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::rig::{Episode, compressed, read, set_mtime, settings, unpacked};

/// A name of a file or directory: no slash, no NUL, not a dot or two.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0x20..0x7f_u8, 1 => 1..=0xff_u8].prop_filter("a slash", |byte| *byte != b'/');
    prop_oneof![9 => vec(byte.clone(), 1..12), 1 => vec(byte, 90..255)]
        .prop_filter("a dot or two", |name| name != b"." && name != b"..")
}

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    executable: bool,
    mtime_secs: i64,
}

fn file() -> impl Strategy<Value = File> {
    let bytes = prop_oneof![vec(any::<u8>(), 0..2_000), (0..5_usize).prop_map(|blocks| vec![7; blocks * 512])];
    (bytes, any::<bool>(), -100_000..10_000_000_000_i64).prop_map(|(bytes, executable, mtime_secs)| File {
        bytes,
        executable,
        mtime_secs,
    })
}

/// Files by path, of which none is a directory of others.
fn tree() -> impl Strategy<Value = BTreeMap<Vec<u8>, File>> {
    btree_map(vec(name(), 1..5).prop_map(|names| names.join(&b'/')), file(), 0..12).prop_map(|mut files| {
        let dirs: Vec<Vec<u8>> = files.keys().map(|path| [path, &b"/"[..]].concat()).collect();
        files.retain(|path, _| !dirs.iter().any(|dir| path.starts_with(dir)));
        files
    })
}

fn recorded(files: &BTreeMap<Vec<u8>, File>) -> Episode {
    let episode = Episode::empty();
    for (path, file) in files {
        let path = OsStr::from_bytes(path);
        episode.file(path, &file.bytes);
        let path = episode.path(path);
        std::fs::set_permissions(
            &path,
            std::os::unix::fs::PermissionsExt::from_mode(0o600 | u32::from(file.executable) << 6),
        )
        .unwrap();
        set_mtime(&path, file.mtime_secs, 5);
    }
    episode
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn r11_any_tree_comes_back_as_what_it_is(files in tree(), level in 1..6_u64, threads in 0..2_u64) {
        let episode = recorded(&files);
        let (bytes, packed) = episode.pack_with(&settings(level, threads));
        let model = content_sha256(files.iter().map(|(path, file)| ContentFile {
            path,
            executable: file.executable,
            size: file.bytes.len() as u64,
            sha256: Sha256Digest::of(&file.bytes),
            mtime_secs: file.mtime_secs,
        }));
        prop_assert_eq!(packed.content.content_sha256, model);
        let read = episode.read(&bytes).unwrap();
        prop_assert_eq!((read.content_sha256, read.sha256), (model, Sha256Digest::of(&bytes)));
        prop_assert_eq!(read.sha256, packed.sha256);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        of_tar: bool,
    ) {
        let files = [(b"a/b".to_vec(), File { bytes: vec![1; 700], executable: true, mtime_secs: -3 })].into();
        let episode = recorded(&files);
        let (bytes, packed) = episode.pack_with(&CompressionSettings::default());
        let mut changed = if of_tar { unpacked(&bytes) } else { bytes };
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        changed.truncate(changed.len() - cut.index(changed.len()) / 8);
        let changed = if of_tar { compressed(&changed) } else { changed };
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        match Reader::new(limits).unwrap().read(&changed[..], None, &episode.id) {
            // Headers have parts that do not count.
            Ok(archive) => prop_assert!(archive.files <= 1 && archive.bytes <= 700),
            Err(error) => prop_assert!(error.is_of_archive(), "{error}"),
        }
        prop_assert!(read(&changed, &"other".parse().unwrap()).is_err());
        drop(packed);
    }
}
