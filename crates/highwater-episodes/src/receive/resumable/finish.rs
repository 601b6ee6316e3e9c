//! The end of an upload. Owns that it is told only when the episode would survive a power cut, and what is left of the upload then.

use std::sync::Arc;

use super::open::Hold;
use crate::index::{Gate, Row, SCHEMA_VERSION};
use crate::receive::Receiver;
use crate::receive::admit::busy;
use crate::receive::problem::Problem;
use crate::receive::upload::wrong_digest;

impl Receiver {
    /// Makes an upload that is whole the episode of its name, as a `PUT` does. Where it is refused for good, nothing is left of it;
    /// where it failed, it stays, and the next who asks for it tries again.
    pub(super) async fn finish(&self, hold: &mut Hold, gate: Option<Gate>) -> Result<(), Problem> {
        // Looked at once more: a receiver that was ending may have written to the file while this one already had the directory.
        let partial = self.opened(hold).await?;
        let (about, sha256) = (Arc::clone(&hold.about), partial.progress().sha256());
        if partial.progress().bytes() != about.size_bytes {
            return Err(busy("the upload changed while it came to its end"));
        }
        let row = Row {
            backfilled: false,
            commit: about.recorded.clone(),
            content_sha256: about.content_sha256,
            episode_id: about.key.episode.clone(),
            gate,
            host_id: about.key.host.clone(),
            received_at_wall: self.on.clock.now(),
            schema_version: SCHEMA_VERSION,
            sha256,
            size_bytes: about.size_bytes,
            withdrawn: None,
            removed: None,
        };
        let placed = match about.sha256.filter(|declared| *declared != sha256) {
            Some(declared) => Err(wrong_digest(sha256, declared)),
            None => self.place(partial.into_staging(), row).await,
        };
        match placed {
            Ok(received) => {
                self.counters.ended(received.how.word());
                hold.finished(self.on.clock.now());
                let id = hold.id.clone();
                // Its bytes have another name now; at worst they are given up when its time is over.
                let _ = self.kept(move |partials| partials.retire(&id)).await;
                Ok(())
            }
            Err(problem) => {
                if problem.status().is_client_error() {
                    hold.gone();
                    self.forget(vec![hold.id.clone()]).await?;
                }
                Err(problem)
            }
        }
    }
}
