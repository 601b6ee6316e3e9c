//! What a harvest selects: of which repository what, and into which target. Owns the mark by which two selections are told apart: a
//! watermark and a round are of one, and of another they say nothing.

use sha2::{Digest as _, Sha256};

use crate::filter::TypeFilter;
use crate::settings::HarvestSettings;

/// Bytes of the hash that a mark shows.
const MARK_BYTES: usize = 8;

/// What a harvest's settings select.
#[derive(Debug)]
pub(super) struct Selected {
    mark: String,
}

impl Selected {
    pub(super) fn of(settings: &HarvestSettings, types: &TypeFilter) -> Self {
        let HarvestSettings { repository, since, catalog, target, .. } = settings;
        let into = match (target, catalog) {
            (Some(_), _) => "a system of the users' own".to_owned(),
            (None, Some(catalog)) => format!("catalogue {}", catalog.to_path_buf().display()),
            (None, None) => String::new(),
        };
        let parts = [
            repository.address(),
            repository.metadata_prefix.clone(),
            repository.set.clone().unwrap_or_default(),
            since.clone().unwrap_or_default(),
            types.wanted(),
            into,
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self { mark: hex::encode(&hash.finalize()[..MARK_BYTES]) }
    }

    /// The same for settings that select the same, and for no others.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}
