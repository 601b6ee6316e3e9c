//! Stored episodes for tests that need some: real archives in a receiver's directory.

use std::fs;
use std::path::Path;

use highwater_episodes::archive::{CompressionSettings, Packer, TreeLimits};
use highwater_episodes::name::EpisodeKey;

/// Stores an episode below a directory of hosts; `commit` recorded it.
pub(crate) fn store(episodes: &Path, key: &str, text: &str, commit: Option<&str>) {
    let key: EpisodeKey = key.parse().unwrap();
    let place = tempfile::tempdir().unwrap();
    let recorded = place.path().join(key.episode.as_str());
    fs::create_dir(&recorded).unwrap();
    fs::write(recorded.join("telemetry.csv"), text).unwrap();
    if let Some(commit) = commit {
        let meta = format!(r#"{{"code_version":{{"commit":"{commit}"}}}}"#);
        fs::write(recorded.join("meta.json"), meta).unwrap();
    }
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for entry in fs::read_dir(&recorded).unwrap() {
        fs::File::options().append(true).open(entry.unwrap().path()).unwrap().set_modified(at).unwrap();
    }
    let mut bytes = Vec::new();
    let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
    packer.pack(&recorded, &key.episode, &mut bytes).unwrap();
    let file = episodes.join(format!("{key}.tar.zst"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}
