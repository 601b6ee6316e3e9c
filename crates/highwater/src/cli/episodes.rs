//! What can be typed about episodes: on the receiver and on the hosts that ship.

use clap::{Args, Subcommand};

use super::reason;

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
