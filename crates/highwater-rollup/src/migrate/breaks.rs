//! Installed rollups of the database that is migrated. Owns that no step takes away what one of them reads, or the triggers by
//! which it notices changes, without a word: a trigger that names a column which is gone makes the application's own writes fail,
//! and one that is gone itself lets them go unnoticed.

use std::collections::BTreeMap;
use std::fmt;

use highwater_db::session::{Fault, FaultKind, Session};

use crate::ddl::Silent;
use crate::ddl::reads::{Read, has_declared, types};
use crate::ddl::silent::silent;
use crate::declare::Declaration;
use crate::{change, state, window};

/// Most sentences that are told of one rollup.
const TOLD_MAX: usize = 3;

/// What a step takes away from a rollup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The rollup's job.
    pub job: String,
    /// What, a sentence each.
    pub what: Vec<String>,
}

impl Broken {
    /// Whether its tables are as they were, and only triggers are not.
    pub(super) fn is_of_triggers(&self) -> bool {
        self.what.iter().all(|what| what.starts_with("trigger "))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<&str> = self.what.iter().take(TOLD_MAX).map(String::as_str).collect();
        write!(f, "the rollup {}: {}", self.job, first.join("; "))?;
        match self.what.len().saturating_sub(TOLD_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// A rollup as it was before a step.
pub(super) struct Watched {
    job: String,
    declaration: Declaration,
    types: BTreeMap<Read, Option<String>>,
    silent: Vec<Silent>,
    /// Whether the role may read what is installed; if not, it is taken for what is configured.
    may_read: bool,
}

/// Looks at those that are installed. No transaction may be open.
pub(super) async fn watch(session: &mut dyn Session, rollups: &[(String, Declaration)]) -> Result<Vec<Watched>, Fault> {
    let mut watched = Vec::new();
    for (job, declaration) in rollups {
        if !window::is_there(session, &state::name(declaration)).await? {
            continue;
        }
        // What is there was declared so, whatever is declared now.
        let (found, may_read) = match change::found(session, declaration).await {
            Ok(found) => (found, true),
            Err(fault) if fault.kind == FaultKind::Denied => (None, false),
            // A table of somebody else's.
            Err(fault) if fault.kind == FaultKind::Undefined => continue,
            Err(fault) => return Err(fault),
        };
        let declaration = found.unwrap_or_else(|| declaration.clone());
        let (types, silent) = (types(session, &declaration).await?, silent(session, &declaration).await?);
        watched.push(Watched { job: job.clone(), declaration, types, silent, may_read });
    }
    Ok(watched)
}

/// What a step took away, in its transaction or after it. Asks nothing that could fail there.
pub(super) async fn broken(session: &mut dyn Session, watched: &[Watched]) -> Result<Vec<Broken>, Fault> {
    let mut all = Vec::new();
    for before in watched {
        if !has_declared(session, &before.declaration).await? {
            // The step took the rollup away.
            continue;
        }
        let found = if before.may_read { change::found(session, &before.declaration).await? } else { None };
        let now = found.unwrap_or_else(|| before.declaration.clone());
        let is_same = now.is_same(&before.declaration);
        let found = types(session, &now).await?;
        let mut what = Vec::new();
        for (read, of_type) in &found {
            let was = before.types.get(read).cloned().flatten().filter(|_| is_same);
            match (was, of_type) {
                // It was so before.
                (None, None) if is_same && before.types.contains_key(read) => {}
                (_, None) => what.push(format!("{read} is gone")),
                (Some(was), Some(is)) if was != *is => what.push(format!("{read} is of type {is}, and was {was}")),
                _ => {}
            }
        }
        // Where a column is gone, its triggers say nothing more.
        if what.is_empty() {
            let silent = silent(session, &now).await?;
            what.extend(silent.iter().filter(|one| !before.silent.contains(one)).map(ToString::to_string));
        }
        if !what.is_empty() {
            all.push(Broken { job: before.job.clone(), what });
        }
    }
    Ok(all)
}
