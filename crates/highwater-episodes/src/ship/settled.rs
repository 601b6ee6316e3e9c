//! Whether a finished episode stands still. Owns when one counts as written to still, although its marker is there: by a recorder that goes on,
//! or by a copy in which the marker came before the rest.

use std::path::Path;

use jiff::Timestamp;

use super::scan::MARKER;
use crate::archive::{Look, PackError, TreeLimits, Written, written};
use crate::name::EpisodeId;

/// For how long a file must not have been written that was written after the marker. Whoever corrects one by hand writes the marker anew, or
/// waits.
pub const STILL_SECS: i64 = 60;

/// That no file of an episode was written after the marker and a moment ago, and that they are as they were when each was read, where they
/// were.
///
/// # Errors
/// It is not so: it may still be written. Or it cannot be looked at.
pub(super) fn settled(read: Option<&Look>, root: &Path, episode: &EpisodeId, now: Timestamp) -> Result<(), PackError> {
    let Written { look, last, marker } = written(root, episode, TreeLimits::default(), MARKER)?;
    if read.is_some_and(|read| look.sha256 != read.sha256) {
        return Err(PackError::Changing { path: root.to_path_buf() });
    }
    match (last, marker) {
        (Some((path, last)), Some(marker)) if last > marker && is_fresh(last.0, now) => {
            let next = "it goes once that stands still, or once its marker is written anew";
            Err(PackError::Unsettled { path, found: "is newer than the marker", within_secs: STILL_SECS, next })
        }
        (None, Some(marker)) if is_fresh(marker.0, now) => {
            let found = "is all that the episode holds";
            let next = "it goes once that has stood still, or once the rest is there and the marker is written anew";
            Err(PackError::Unsettled { path: root.join(MARKER), found, within_secs: STILL_SECS, next })
        }
        _ => Ok(()),
    }
}

/// Whether that was a moment ago; of a clock that is a little ahead too.
fn is_fresh(secs: i64, now: Timestamp) -> bool {
    now.as_second().saturating_sub(secs).saturating_abs() < STILL_SECS
}
