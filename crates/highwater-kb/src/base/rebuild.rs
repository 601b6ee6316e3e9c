//! The rows of a base, made again from the manifests of its generations. Owns that every generation follows from the one before it.
//!
//! The last of them may be one whose COMMIT never came: what it needs is durable all the same, so it is taken for one.

use std::sync::Arc;

use jiff::Timestamp;

use super::home::Home;
use super::manifest::Manifest;
use super::objects::Objects;
use super::{Base, BaseLock, rows};
use crate::content::ContentId;
use crate::error::KbError;

/// Fills the rows of a base that has none. What stands in `wiki/` is compared with the newest generation, as after a crash.
///
/// The rows' file must be new: one that is there is moved away by whoever decides so.
///
/// # Errors
/// A manifest that is damaged or does not follow from the one before it, and as [`Base::open`].
pub fn rebuild(home: Arc<dyn Home>, held: &BaseLock, now: Timestamp) -> Result<Base, KbError> {
    let mut base = Base::open(home.clone(), now)?;
    let objects = Objects::new(home.fs());
    let transaction = rows::begin(&mut base.rows)?;
    let mut parent: Option<ContentId> = None;
    for generation in 1.. {
        let Some(bytes) = objects.manifest(generation)? else { break };
        let manifest = Manifest::read(generation, &bytes)?;
        if manifest.parent != parent {
            return Err(KbError::Chain { generation, found: "its parent is another" });
        }
        let id = ContentId::of(&bytes);
        rows::replay(&transaction, &manifest, id)?;
        parent = Some(id);
    }
    rows::replayed(&transaction, objects)?;
    base.broken = true;
    rows::commit(transaction)?;
    home.settle(&mut base.rows).map_err(KbError::rows("make its rows again"))?;
    base.broken = false;
    base.finish(held)?;
    Ok(base)
}
