//! What can be typed about episodes: on the receiver and on the hosts that ship.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use highwater_episodes::name::{EpisodeId, EpisodeKey, HostId, NameError};

use super::Limits;
use super::steer::reason;

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
    /// Believes no seal of what `ship` packed, which is its host's word: unpacks each archive, which takes several times as long.
    #[arg(long)]
    pub(crate) unpack: bool,
    /// Takes rows whose episode is not stored out of the index: by a tombstone, which leaves the name free.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Prunes although more than half of all rows would go, and more than one; and although none of the episodes is there, as where their
    /// disk is not mounted.
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

/// `episodes`.
#[derive(Debug, Subcommand)]
pub(crate) enum EpisodesVerb {
    /// Lists what is indexed, with sizes; or totals and rates, or which numbers are missing.
    List(EpisodesList),
    /// Shows one episode: its row, its archive, whether the two agree, and what its `meta.json` says.
    Show(EpisodesShow),
    /// Reads every episode that has a row and compares the two. Exit 0 where all agree, 4 where one does not.
    ///
    /// Compared are size and hash; what is in the archive, where the row has its content hash; and, where both say it, commit, `host_id`
    /// and `episode_id` of `meta.json`.
    Verify(EpisodesVerify),
    /// Writes what is indexed as a file for other programs.
    Export(EpisodesExport),
    /// Takes episodes that turned out polluted out of the store, and keeps them from being sent again.
    ///
    /// The archive goes to `quarantine`, the key gets a tombstone in the index; both are there when the command ends. Called again it
    /// goes on where it was. It may run beside a receiver.
    Withdraw(EpisodesWithdraw),
    /// Ends a conflict on the host that ships: the receiver has another episode of the name, and both are kept until this says which.
    /// Without an ID it lists what is parked on this host, for whatever reason.
    Resolve(EpisodesResolve),
}

/// Where the episodes are, and which of them.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A receiver's directory, in place of that of `[receiver]`; needs no configuration.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Only episodes of this host; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<HostId>,
    /// Received since a time (`2026-11-20T12:00:00Z`) or in the last span (`2 days`).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

/// `episodes list`.
#[derive(Debug, Args)]
pub(crate) struct EpisodesList {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Totals and rates instead of episodes.
    #[arg(long, value_name = "WHAT", conflicts_with = "missing")]
    pub(crate) by: Option<TotalBy>,
    /// Numbers that are missing between the first and the last of a host, where names end with a number that counts.
    #[arg(long)]
    pub(crate) missing: bool,
    /// Prints CSV.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// What totals are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TotalBy {
    /// A line a day of UTC and host.
    Day,
    /// A line a host.
    Host,
}

/// `episodes show`.
#[derive(Debug, Args)]
pub(crate) struct EpisodesShow {
    /// Which: `HOST/ID`.
    #[arg(value_name = "HOST/ID")]
    pub(crate) key: EpisodeKey,
    /// A receiver's directory, in place of that of `[receiver]`; needs no configuration.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// `episodes verify`.
#[derive(Debug, Args)]
pub(crate) struct EpisodesVerify {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Compares sizes and hashes alone and unpacks nothing: faster, and says nothing of what is in an archive.
    #[arg(long)]
    pub(crate) hashes_only: bool,
}

/// `episodes export`.
#[derive(Debug, Args)]
pub(crate) struct EpisodesExport {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The format.
    #[arg(long, value_name = "FORMAT", required = true)]
    pub(crate) format: ExportFormat,
    /// The file, which is there whole or not at all; default, or `-`: standard output. Nothing but an earlier export is replaced.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated with a header.
    Csv,
    /// One JSON object a line, as in the index.
    Json,
    /// Apache Parquet: times as TIMESTAMP(UTC), sizes as INT64, null where a row does not say it.
    Parquet,
}

/// `episodes withdraw`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["keys", "commit"]))]
pub(crate) struct EpisodesWithdraw {
    /// Which: `HOST/ID`, one or several.
    #[arg(value_name = "HOST/ID")]
    pub(crate) keys: Vec<EpisodeKey>,
    /// All that a commit recorded; all 40 or 64 digits of it.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
    /// Why, for the audit trail and for whoever sends it again.
    #[arg(long, required = true, value_parser = reason)]
    pub(crate) why: String,
    /// Frees the name: another episode may be sent under it.
    #[arg(long)]
    pub(crate) make_room: bool,
    /// Lists what would be withdrawn and writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `episodes resolve`.
#[derive(Debug, Args)]
pub(crate) struct EpisodesResolve {
    /// The episode; without one, those that are parked are listed, each with why.
    #[arg(value_name = "ID", value_parser = episode_of_this_host, requires = "keep")]
    pub(crate) episode: Option<EpisodeId>,
    /// Which one it is to be; the other is set aside where it is here.
    #[arg(long, value_name = "WHICH", requires = "episode")]
    pub(crate) keep: Option<KeepWhich>,
    /// The job that ships; default: the only one.
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// An episode where there is one host, whose name is not part of it.
fn episode_of_this_host(text: &str) -> Result<EpisodeId, String> {
    match text.parse::<EpisodeKey>() {
        Ok(key) => Err(format!("episode: expected the ID alone, as this host calls it: {}", key.episode)),
        Err(_) => text.parse().map_err(|error: NameError| error.to_string()),
    }
}

/// Which one of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepWhich {
    /// This host's: it is sent again.
    Local,
    /// The receiver's: this host's leaves `episodes` for `.review` in it.
    Remote,
}

/// `ship`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("how").args(["ping", "once", "daemon"]))]
pub(crate) struct Ship {
    /// The job, of kind `ship`; default: the only one.
    pub(crate) job: Option<String>,
    /// Looks at each step from the receiver's name to its gate, a line each, and sends nothing. Exit 0 where all is well, 4 where
    /// a line needs a fix, 3 where the receiver wants no contact now.
    #[arg(long)]
    pub(crate) ping: bool,
    /// One pass (the default), as `run JOB`.
    #[arg(long)]
    pub(crate) once: bool,
    /// Sends each episode as it is finished, until SIGTERM. A halt is waited out: `rearm` lets it go on. SIGHUP begins the next pass
    /// with the configuration and its files read again.
    #[arg(long)]
    pub(crate) daemon: bool,
}
