//! Rows and keys to try things with.

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::{Row, SCHEMA_VERSION};
use highwater_episodes::name::EpisodeKey;
use highwater_fs::RelPath;

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

pub(crate) fn key(text: &str) -> EpisodeKey {
    text.parse().unwrap()
}

/// The row of an episode with these bytes.
pub(crate) fn row(key: &str, bytes: &[u8]) -> Row {
    let EpisodeKey { host, episode } = self::key(key);
    Row {
        backfilled: false,
        commit: None,
        content_sha256: None,
        episode_id: episode,
        gate: None,
        host_id: host,
        received_at_wall: "2026-11-20T10:00:00Z".parse().unwrap(),
        schema_version: SCHEMA_VERSION,
        sha256: Sha256Digest::of(bytes),
        size_bytes: bytes.len() as u64,
        removed: None,
        withdrawn: None,
    }
}
