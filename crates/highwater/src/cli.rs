//! The command line. Owns what can be typed; what a command does is in `commands/<verb>.rs`.

mod episodes;
mod host;
mod kb;
mod kb_llm;
mod migrate;
mod oai;
mod rollup;
mod rollup_show;
mod steer;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use highwater_engine::settings::{ByteSize, DurationText};

use crate::config::LogFormat;

pub(crate) use episodes::{
    EpisodesExport, EpisodesList, EpisodesResolve, EpisodesShow, EpisodesVerb, EpisodesVerify, EpisodesWithdraw,
    ExportFormat, GateAllow, GateRevoke, GateVerb, KeepWhich, Reindex, Ship, TotalBy, Which,
};
pub(crate) use host::{Completions, Install, Man, Role, Systemd, Times};
pub(crate) use kb::{
    KbAdd, KbChat, KbConvert, KbGc, KbInit, KbLint, KbLog, KbQuery, KbRebuild, KbRecompile, KbRemove, KbResolve,
    KbSearch, KbUndo, KbVerb, KbVisualize, KbWatch, KbWhich,
};
pub(crate) use kb_llm::KbLlm;
pub(crate) use migrate::{Baseline, MigrateVerb, Up};
pub(crate) use oai::{
    Catalog, CatalogSearch, CatalogVerb, OaiDiscover, OaiServe, OaiSnapshot, OaiVerb, SnapshotExport, SnapshotImport,
};
pub(crate) use rollup::{Change, Ddl, OfRollup, RollupGuard, RollupVerb, RunRollup, Uninstall, Verify};
pub(crate) use rollup_show::RollupShow;
pub(crate) use steer::{Ban, Lift, Pause, Retry, Set, Skip, Unset, Word};

/// Drains backlogs into live systems, safely: prepare in parallel, commit in order, under one lock, and never lie about
/// what is done.
///
/// Exit codes: 0 drained or nothing to do, 3 checkpoint (call again), 4 halted (a person must look), 2 usage,
/// configuration or a refusal, 1 a bug or an environment failure.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The configuration; else `$HIGHWATER_CONFIG`, `highwater.toml` here or above, `/etc/highwater/highwater.toml`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The directory of the ledger, in place of `state-dir`.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// A ledger that `exec` made without a configuration, in place of one.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "config")]
    pub(crate) ledger: Option<PathBuf>,
    /// The log file, in place of `log-file`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// The shape of a log line, in place of `log-format`.
    #[arg(long, global = true, value_name = "SHAPE")]
    pub(crate) log_format: Option<LogFormat>,
    /// Prints JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says no more than it must: no progress, no notes, no warnings.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Logs more; twice, everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Writes a commented `highwater.toml` that runs as it is.
    Init(Init),
    /// Runs one pass of each job, in the order of the file.
    Run(Run),
    /// Runs any command under a lock, for each line of a list or once, without a configuration.
    ///
    /// What it remembers is in `--ledger`: `WORKLIST.highwater.db` beside the list by default, and without a list
    /// `highwater/exec.db` in the user's state directory. `highwater --ledger FILE status` and the other commands read it.
    Exec(Exec),
    /// Shows, replaces or extends a job's pinned worklist.
    Worklist(Worklist),
    /// Shows state, progress, rate, ETA and the last pass of every job.
    ///
    /// Also beside a running pass, whose figures it shares. Of one job with the whole evidence of a halt.
    Status(Status),
    /// Lists items with outcome, attempts and last error.
    Items(Items),
    /// Puts items back, to be tried again.
    ///
    /// They are untried again: attempts count from zero, and a drained job is open. A running pass sees it before its next item.
    Retry(Retry),
    /// Gives items the outcome `skipped`.
    ///
    /// Items that succeeded (done, gone, present) keep their outcome.
    Skip(Skip),
    /// Halts a job until `rearm`.
    Halt(Word),
    /// Clears a halt; the breaker counts afresh.
    Rearm(Word),
    /// Pauses a job until `resume`.
    Pause(Pause),
    /// Ends a pause.
    Resume(Pause),
    /// Steers a job, and a pass of it that runs, until `unset`.
    ///
    /// Keys: `pace`, `jitter`, `concurrency`, `max-items`, `max-contacts`, `max-bytes`, `max-time`, `bandwidth` (for kinds that
    /// upload), `slice` (for kinds that work in slices of time), `throttle=off|on`. They stand above the configuration and the flags of `run`, in every pass of the job, and
    /// the throttle changes none of them. A running pass obeys before its next item.
    Set(Set),
    /// Ends what `set` began; without a key, all of it.
    Unset(Unset),
    /// Bans a resource: no contact for a time.
    ///
    /// A ban is only ever extended: where a longer one stands, that stays. It is never longer than the resource's `ban-max`.
    Ban(Ban),
    /// Lists the bans.
    Bans,
    /// Lifts a ban.
    Lift(Lift),
    /// Shows who changed what, when and why.
    Events(Events),
    /// Looks at the configuration.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Takes over what an older tool left.
    #[command(subcommand)]
    Import(Import),
    /// Asks an OAI-PMH repository what it has, exchanges such lists with other hosts, and serves as a repository.
    #[command(subcommand)]
    Oai(OaiVerb),
    /// Looks into a catalogue, loads files into it, and exports it.
    Catalog(Catalog),
    /// Looks after knowledge bases: documents, folded into a wiki.
    #[command(subcommand)]
    Kb(KbVerb),
    /// Installs a rollup, takes it away, shows how it stands.
    #[command(subcommand)]
    Rollup(RollupVerb),
    /// Applies numbered SQL migrations, each once and in order, and takes over those of another tool.
    #[command(subcommand)]
    Migrate(MigrateVerb),
    /// Proves a job's result against its source: of a rollup, every bucket against a fresh grouping of the raw rows.
    ///
    /// Exit 0 where all is right, 4 where something is not.
    Verify(Verify),
    /// Receives episodes over HTTP, as `[receiver]` says, until SIGTERM.
    ///
    /// An upload is answered when its bytes and its row in the index would survive a power cut. SIGTERM lets uploads in hand end;
    /// SIGHUP takes up tokens, certificates, proxies and `[receiver.tls]`; of other fields that were changed the log says that they wait
    /// for a restart.
    Receive(Receive),
    /// Sends a host's finished episodes to their receiver; says what is in the way.
    Ship(Ship),
    /// Gives stored episodes the rows that they lack, beside a running receiver, as often as you like.
    ///
    /// Looks anew at each call; what was indexed before an interrupt stays. Without a configuration what it remembers is in
    /// `INDEX.highwater.db`, which `highwater --ledger FILE status` and the other commands read.
    Reindex(Reindex),
    /// Looks into what a receiver stores, and decides over it.
    #[command(subcommand)]
    Episodes(EpisodesVerb),
    /// Lets code in that has left the receiver's window, for a while, and shows what is let in.
    #[command(subcommand)]
    Gate(GateVerb),
    /// Checks what a pass needs, line by line, with the fix.
    ///
    /// Makes and changes nothing. Exit 0 when all is well, 2 when a line needs a fix.
    Doctor,
    /// Prints or writes systemd units for every job of the configuration and for the receiver.
    ///
    /// A job that runs in passes gets a service and a timer, the receiver and each shipper a service that stays. They may write where
    /// the configuration says and nowhere else; a job that starts commands of yours is not confined, since what these need is theirs to say.
    /// Called again, it writes what changed. What you change by hand belongs in `systemctl edit UNIT`.
    Systemd(Systemd),
    /// Readies a host: user, directories, configuration, units, man pages; says what is still missing.
    ///
    /// Called again, it does what is not done yet, and changes nothing where all is. A configuration that is there is never touched.
    Install(Install),
    /// Prints the manual page of a command, or writes all of them.
    Man(Man),
    /// Prints the completions of a shell.
    Completions(Completions),
}

/// `receive`.
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// Where to listen, in place of `listen`.
    #[arg(long, value_name = "ADDRESS", value_parser = highwater_episodes::receive::settings::listen_address)]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where; it is made if it is not there.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// What one pass may spend, over the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Ends the pass after this many items.
    #[arg(long, value_name = "N")]
    pub(crate) max_items: Option<u64>,
    /// Ends the pass after this many contacts.
    #[arg(long, value_name = "N")]
    pub(crate) max_contacts: Option<u64>,
    /// Ends the pass after this many bytes (`64MiB`).
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<ByteSize>,
    /// Ends the pass after this time (`10m`).
    #[arg(long, value_name = "TIME")]
    pub(crate) max_time: Option<DurationText>,
}

impl Limits {
    /// Whether one is given.
    pub(crate) fn is_any(&self) -> bool {
        let Self { max_items, max_contacts, max_bytes, max_time } = self;
        max_items.is_some() || max_contacts.is_some() || max_bytes.is_some() || max_time.is_some()
    }
}

/// `run`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["jobs", "all"]))]
pub(crate) struct Run {
    /// The jobs.
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// Every job that is armed on this host.
    #[arg(long)]
    pub(crate) all: bool,
    /// Repeats passes until the job is drained, halted, refused or paused; waits bans out.
    #[arg(long)]
    pub(crate) until_drained: bool,
    /// Says what a pass would do and writes nothing; exit 3 while there is something to do.
    #[arg(long, conflicts_with_all = ["until_drained", "cron"])]
    pub(crate) dry_run: bool,
    /// For cron: always exits 0 and prints once per change to halted, 1 or 2.
    #[arg(long)]
    pub(crate) cron: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) rollup: RunRollup,
}

/// `exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The lock: a path that util-linux `flock` may share. Default: `WORKLIST.highwater.lock`; required without one.
    #[arg(long, value_name = "PATH")]
    pub(crate) lock: Option<PathBuf>,
    /// The list: a key a line, `.csv` with a header, or `.jsonl`. Without it the command runs once, until
    /// it is done, and never again; with `--recurring` at every call.
    #[arg(long, short = 'w', value_name = "FILE")]
    pub(crate) worklist: Option<PathBuf>,
    /// Commands at a time.
    #[arg(long, short = 'P', value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) concurrency: u64,
    /// From one start to the next.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) pace: DurationText,
    /// How the list is read; default by its extension.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ListFormat>,
    /// The field that names an item, for CSV and JSON lines.
    #[arg(long, value_name = "FIELD")]
    pub(crate) key: Option<String>,
    /// Gives the command the item as one JSON object on stdin.
    #[arg(long)]
    pub(crate) stdin_json: bool,
    /// The time one command may take.
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<DurationText>,
    /// Items whose command was running when the pass was killed go to review instead of running again.
    #[arg(long)]
    pub(crate) review_unknown: bool,
    /// Counted attempts after which an item goes to review.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) attempts_max: u32,
    /// How long to wait for the lock.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) lock_wait: DurationText,
    /// Takes a lock file on a network file system.
    #[arg(long)]
    pub(crate) allow_network_fs: bool,
    /// Share of failures above which it halts.
    #[arg(long, value_name = "PERCENT", default_value = "5%")]
    pub(crate) breaker_failed: highwater_engine::settings::Percent,
    /// Share of gone items above which it halts.
    #[arg(long, value_name = "PERCENT", default_value = "30%")]
    pub(crate) breaker_gone: highwater_engine::settings::Percent,
    /// Without a list: runs again although it was drained before.
    #[arg(long)]
    pub(crate) recurring: bool,
    /// Repeats passes until it is drained, halted or refused.
    #[arg(long)]
    pub(crate) until_drained: bool,
    /// Says what a pass would do and writes nothing; exit 3 while there is something to do.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Adds what is new in the list to the pinned worklist before draining.
    #[arg(long, conflicts_with = "replace")]
    pub(crate) extend: bool,
    /// Pins the list anew before draining; outcomes of the old one are left behind.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// The command; `{}` is the item's key, `{NAME}` a field (a line has one, `id`: the key), and without either the
    /// key comes last.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// How a list is read.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ListFormat {
    /// A key a line.
    Lines,
    /// Comma-separated with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// `worklist`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").args(["show", "replace", "extend"]))]
pub(crate) struct Worklist {
    /// The job.
    pub(crate) job: String,
    /// Shows what it came from, its hash, count and time (the default).
    #[arg(long)]
    pub(crate) show: bool,
    /// Pins a new one; outcomes of the old one are left behind.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Adds what is new; outcomes stay.
    #[arg(long)]
    pub(crate) extend: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// One job in detail.
    pub(crate) job: Option<String>,
    /// Shows it again every second until interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `items`.
#[derive(Debug, Args)]
pub(crate) struct Items {
    /// The job.
    pub(crate) job: String,
    /// Those with this outcome: done, gone, present, skipped, review, retry, or `open` for all without a terminal one.
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<String>,
    /// Those with these keys.
    #[arg(long, value_name = "KEY", conflicts_with = "outcome")]
    pub(crate) key: Vec<String>,
    /// In the order in which outcomes were recorded, instead of the list's.
    #[arg(long)]
    pub(crate) recorded: bool,
    /// Most rows; 0 for all.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) limit: usize,
    /// Prints CSV.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Of this job only.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Since a time (`2026-11-20T12:00:00Z`) or for the last span (`2 days`).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Reads the file and tells what is wrong with it.
    Check,
    /// Shows every effective value and where it came from.
    Show,
    /// Prints the JSON Schema, for editors.
    Schema,
}

/// `import`.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Takes over the `.done` and `.halted` files of an older wrapper.
    Markers(ImportMarkers),
    /// Takes over the worklist and the outcomes of an older backfill, so that no record is asked for twice.
    ///
    /// Beside `STATE.json` lie `STATE.ids` (the worklist), and `STATE.active` and `STATE.deleted` (its crawl) where it kept them.
    /// To go on sharing its Retry-After file, name it as `ban-file` of the resource.
    BackfillState(ImportBackfillState),
}

/// `import backfill-state`.
#[derive(Debug, Args)]
pub(crate) struct ImportBackfillState {
    /// The JSON file of the older backfill's state.
    #[arg(value_name = "STATE.json")]
    pub(crate) file: PathBuf,
    /// The job that takes it over; default: the only one of kind `oai-backfill`.
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// Takes over although a worklist is open; its outcomes are left behind.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `import markers`.
#[derive(Debug, Args)]
pub(crate) struct ImportMarkers {
    /// The directory that holds `.done` or `.halted`, or the path that they are appended to.
    pub(crate) dir: PathBuf,
    /// The job that takes them over; default: the job whose `markers` is this place.
    #[arg(long)]
    pub(crate) job: Option<String>,
}
