//! The command line of what readies a host: `systemd`, `install`, `man`, `completions`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use highwater_engine::settings::DurationText;

/// `systemd`.
#[derive(Debug, Args)]
pub(crate) struct Systemd {
    /// Writes them to this directory, such as `/etc/systemd/system`, and says what changed; else they are printed.
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// Of these jobs alone; `--receiver` beside it for the receiver too.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Vec<String>,
    /// Of the receiver alone, or beside `--job`.
    #[arg(long)]
    pub(crate) receiver: bool,
    /// The user they run as. Default: the owner of the ledger, of the state directory, or of the configuration's directory.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) times: Times,
    /// What the units' names begin with; another one for another configuration of the same host.
    #[arg(long, value_name = "NAME", default_value = "highwater")]
    pub(crate) prefix: String,
    /// The program they start. Default: this one.
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// When timers start a pass.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct Times {
    /// When a pass begins, as systemd writes it (`*:0/30`, `daily`, `Mon 06:00`). Default: what a timer that is there has, else
    /// `*:0/30`, each half hour.
    #[arg(long, value_name = "WHEN")]
    pub(crate) on_calendar: Option<String>,
    /// How long after the end of a pass the next one begins (`15m`).
    #[arg(long, value_name = "TIME")]
    pub(crate) every: Option<DurationText>,
}

/// `install`.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// What the host is to be.
    pub(crate) role: Role,
    /// Below this directory instead of `/`, as `DESTDIR` is: for a package, an image, a chroot.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Says what it would do, and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints the configuration of the role, and does nothing else.
    #[arg(long, conflicts_with_all = ["root", "dry_run"])]
    pub(crate) print_config: bool,
    /// The user that it runs as; made where there is none of that name.
    #[arg(long, value_name = "USER", default_value = "highwater")]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) times: Times,
    /// The program that the units start, where it is. Default: this one, which is put at `/usr/local/bin/highwater` unless it lies
    /// below `/usr` or `/opt` already.
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// What a host is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Receives and stores episodes.
    Receiver,
    /// Records episodes and ships them.
    LabHost,
}

/// `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command whose page is printed, such as `run` or `episodes list`. Default: the page of `highwater` itself.
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Vec<String>,
    /// Writes every page to this directory, such as `/usr/local/share/man/man1`, and says what changed.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}
