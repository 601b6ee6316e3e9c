//! What can be typed about episodes: on the receiver and on the hosts that ship.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use highwater_episodes::name::HostId;

use super::{Limits, reason};

/// `reindex`.
#[derive(Debug, Args)]
pub(crate) struct Reindex {
    /// The job, of kind `reindex`; default: the only one, else the directory of `[receiver]`.
    #[arg(conflicts_with = "episodes_root")]
    pub(crate) job: Option<String>,
    /// The directory of hosts (`…/episodes`), without a configuration.
    #[arg(long, value_name = "DIR")]
    pub(crate) episodes_root: Option<PathBuf>,
    /// The index; default: `index.jsonl` beside the directory of hosts.
    #[arg(long, value_name = "FILE", requires = "episodes_root")]
    pub(crate) index: Option<PathBuf>,
    /// Only episodes of this host; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<HostId>,
    /// Lists what would be indexed and writes nothing; exit 3 while there is something to do.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Reads episodes that have a row, too, and compares them with it.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Takes rows whose episode is not stored out of the index: by a tombstone, which leaves the name free.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Prunes although most rows would go.
    #[arg(long, requires = "prune")]
    pub(crate) force: bool,
    /// Episodes that are read at a time; default: the job's, without one as many as there are processors.
    #[arg(long, short = 'P', value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) concurrency: Option<u64>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// `gate`.
#[derive(Debug, Subcommand)]
pub(crate) enum GateVerb {
    /// Lets in what a commit recorded, although it has left the window; a running receiver takes it up within seconds.
    Allow(GateAllow),
    /// Takes that back.
    Revoke(GateRevoke),
    /// Shows the newest commit, the window, and what is let in until when.
    List,
}

/// `gate allow`.
#[derive(Debug, Args)]
pub(crate) struct GateAllow {
    /// The commit, all 40 or 64 digits of it.
    pub(crate) commit: String,
    /// Until a time (`2026-11-27T12:00:00Z`) or for a span from now (`7 days`).
    #[arg(long, value_name = "TIME", required = true)]
    pub(crate) until: String,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `gate revoke`.
#[derive(Debug, Args)]
pub(crate) struct GateRevoke {
    /// The commit, all 40 or 64 digits of it.
    pub(crate) commit: String,
    /// Why, for the audit trail.
    #[arg(long, required = true, value_parser = reason)]
    pub(crate) why: String,
}
