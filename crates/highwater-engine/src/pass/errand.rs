//! An errand: contacts of a command that is no pass. Owns what it is lent: permits, bans, pace and budget are those of the job's passes; it
//! holds no lock, so that it waits for none of them, and its end has no row.

use super::{Engine, Pass};
use crate::job::{ReadCx, Stop};
use crate::spec::JobSpec;

impl Engine {
    /// What a command is lent to contact the resources of `spec`.
    ///
    /// # Errors
    /// [`Stop`] where something is in the way of any contact, such as a ban.
    pub async fn errand(&self, spec: &JobSpec) -> Result<ReadCx, Stop> {
        let cx = Pass::new(self, spec).read_cx(None);
        cx.contacts.share_bans().await?;
        cx.contacts.obey(&cx.contacts.control().await?)?;
        Ok(cx)
    }
}
