//! What stands in a unit. Owns how a service is started, stopped and confined, and that each restriction leaves room for what the
//! service must do.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use highwater_engine::diagnosis::Diagnosis;
use highwater_episodes::receive::settings::ReceiverSettings;
use nix::unistd::{Uid, User as Account};

use super::needs::{Needs, seen_from};
use super::{Unit, WRONG_OPTION, When, Wishes, escape};
use crate::config::{Config, JobConfig, KindSettings};
use crate::site::VARIABLES_EXTENSION;

/// What a unit of ours begins with; the configuration that it is of comes after it.
pub(super) const OURS: &str = "# Made by `highwater systemd` from ";
/// When passes begin where nobody said.
const EACH_HALF_HOUR: &str = "OnCalendar=*:0/30";
/// How long a service may take to end, in seconds, before it is killed: what it has in hand is resumed or sent again.
const STOP_SECS: u64 = 120;
/// The same of a job whose commands have no `timeout`.
const COMMAND_STOP_SECS: u64 = 300;
/// The longest that a machine waits for a command at its own end.
const COMMAND_STOP_SECS_MAX: u64 = 3_600;
/// Between the end of a failed service and its next start, in seconds.
const RESTART_SECS: u64 = 15;
/// Files that a receiver has open beside those of connections.
const FILES_BESIDE: u64 = 1_024;
/// Files of one connection: its socket, what it uploads, what that is compared with.
const FILES_A_CONNECTION: u64 = 3;
/// Ports below this one are root's, but for who has the capability.
const PORT_MIN: u16 = 1_024;
/// Most characters of a user's name, as useradd takes it.
const USER_CHARS_MAX: usize = 32;

/// Whom services run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Its name, or its number where it has none.
    pub(crate) name: String,
}

impl User {
    /// A user of this name, whether or not this machine has it.
    ///
    /// # Errors
    /// A refusal of a name that systemd does not take.
    pub(crate) fn named(name: &str) -> Result<Self, Diagnosis> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.starts_with(begins) && name.chars().all(plain) && name.len() <= USER_CHARS_MAX {
            return Ok(Self { name: name.to_owned() });
        }
        Err(Diagnosis::refusal(
            WRONG_OPTION,
            format!(
                "found {name:?}, expected the name of a user: at most {USER_CHARS_MAX} letters, digits, `_`, `.` or `-`"
            ),
            "name a user of this machine; `getent passwd` lists them",
        )
        .at_field("--user"))
    }

    /// Whether it is root by its name or its number.
    pub(crate) fn is_root(&self) -> bool {
        self.name == "root" || self.name == "0"
    }

    /// Whether this machine knows it.
    pub(crate) fn is_here(&self) -> bool {
        match self.name.parse() {
            Ok(number) => matches!(Account::from_uid(Uid::from_raw(number)), Ok(Some(_))),
            Err(_) => matches!(Account::from_name(&self.name), Ok(Some(_))),
        }
    }
}

/// Whom the passes of a configuration run as: the owner of the ledger, else of its directory, else of the configuration's.
pub(crate) fn user_of(config: &Config, ledger: &Path) -> User {
    use std::os::unix::fs::MetadataExt as _;
    let places = [ledger, config.state_dir(), &config.directory];
    let owner = places.into_iter().find_map(|path| Some(std::fs::metadata(path).ok()?.uid()));
    User { name: owner.map_or_else(|| "root".to_owned(), |uid| crate::owner::name_of(Uid::from_raw(uid))) }
}

/// The service of the receiver.
pub(super) fn receiver(
    config: &Config,
    receiver: &ReceiverSettings,
    needs: &Needs,
    wishes: &Wishes<'_>,
) -> Result<Vec<Unit>, Diagnosis> {
    let mut text = head(config, wishes, "receives episodes", "receive", needs)?;
    put(&mut text, "\n[Service]\nType=exec\n");
    started(&mut text, config, wishes, &["receive"])?;
    put(&mut text, "# Tokens, certificates and the files of TLS are read anew; connections stay.\n");
    reloads(&mut text);
    stays(&mut text);
    stopped(
        &mut text,
        STOP_SECS,
        "Uploads in hand end; one that does not in time goes on, or is sent again, after the start.",
    );
    let files = FILES_BESIDE + FILES_A_CONNECTION * receiver.limits.connections.get();
    put(&mut text, &format!("LimitNOFILE={files}\n"));
    confined(&mut text, needs, wishes, Loose { port: receiver.listen.port(), ..Loose::default() })?;
    put(&mut text, "ProtectProc=invisible\nProcSubset=pid\n");
    put(&mut text, "\n[Install]\nWantedBy=multi-user.target\n");
    Ok(vec![Unit { name: format!("{}-receive.service", wishes.prefix), text, is_enabled_by_hand: true }])
}

/// The service of a shipper.
pub(super) fn shipper(
    config: &Config,
    job: &JobConfig,
    needs: &Needs,
    wishes: &Wishes<'_>,
) -> Result<Vec<Unit>, Diagnosis> {
    let name = job.name.as_str();
    let mut text = head(config, wishes, &format!("ships episodes ({name})"), "ship", needs)?;
    put(&mut text, "\n[Service]\nType=exec\n");
    started(&mut text, config, wishes, &["ship", name, "--daemon"])?;
    put(
        &mut text,
        "# The next pass begins with the configuration and its files read anew; the variables wait for a restart.\n",
    );
    reloads(&mut text);
    stays(&mut text);
    stopped(
        &mut text,
        STOP_SECS,
        "What is being sent ends; what does not in time goes on, or is sent again, after the start.",
    );
    if needs.commands.is_empty() {
        // An episode that is copied to another file system keeps its modes.
        confined(&mut text, needs, wishes, Loose { keeps_modes: true, ..Loose::default() })?;
    } else {
        unconfined(&mut text, needs)?;
    }
    put(&mut text, "\n[Install]\nWantedBy=multi-user.target\n");
    Ok(vec![Unit { name: format!("{}-ship-{name}.service", wishes.prefix), text, is_enabled_by_hand: true }])
}

/// The service and the timer of a job that runs in passes.
pub(super) fn passes(
    config: &Config,
    job: &JobConfig,
    needs: &Needs,
    wishes: &Wishes<'_>,
) -> Result<Vec<Unit>, Diagnosis> {
    let name = job.name.as_str();
    let unit = format!("{}-run-{name}", wishes.prefix);
    // Drained is an end for a finite job; `reindex` looks anew at each call.
    let verb = if matches!(job.kind, KindSettings::Reindex(_)) { "reindex" } else { "run" };
    let mut service = head(config, wishes, &format!("one pass of {name}"), verb, needs)?;
    put(&mut service, "\n[Service]\nType=oneshot\n");
    started(&mut service, config, wishes, &[verb, name])?;
    put(
        &mut service,
        "# A checkpoint: the next pass goes on. 4 (halted), 2 and 1 fail the unit: `systemctl --failed`, `OnFailure=`.\n",
    );
    put(&mut service, "SuccessExitStatus=3\n");
    let (secs, why) = time_to_stop(job);
    stopped(&mut service, secs, why);
    if needs.commands.is_empty() {
        confined(&mut service, needs, wishes, Loose::default())?;
    } else {
        unconfined(&mut service, needs)?;
    }
    let mut timer = beginning(config, wishes)?;
    write!(
        timer,
        "[Unit]\nDescription=highwater: starts the passes of {name}\nDocumentation=man:highwater-{verb}(1)\n"
    )
    .expect("invariant: a String takes every write");
    put(&mut timer, "\n[Timer]\n");
    match &wishes.when {
        When::AsItIs => put(&mut timer, &format!("{EACH_HALF_HOUR}\nRandomizedDelaySec=60s\nPersistent=true\n")),
        When::Calendar(when) => {
            let when = when.replace('%', "%%");
            put(&mut timer, &format!("OnCalendar={when}\nRandomizedDelaySec=60s\nPersistent=true\n"));
        }
        When::Every(secs) => {
            put(&mut timer, &format!("OnActiveSec=60s\nOnUnitInactiveSec={secs}s\nRandomizedDelaySec=0s\n"));
        }
    }
    put(&mut timer, "\n[Install]\nWantedBy=timers.target\n");
    Ok(vec![
        Unit { name: format!("{unit}.service"), text: service, is_enabled_by_hand: false },
        Unit { name: format!("{unit}.timer"), text: timer, is_enabled_by_hand: true },
    ])
}

/// How long a pass may take to end: a command in hand comes to its own end.
fn time_to_stop(job: &JobConfig) -> (u64, &'static str) {
    let secs = |span: Duration| span.as_secs();
    match &job.kind {
        KindSettings::Exec(exec) => match exec.timeout {
            Some(timeout) => {
                let whole = secs(timeout.get()).saturating_add(secs(exec.grace.get())).saturating_add(STOP_SECS);
                (whole.min(COMMAND_STOP_SECS_MAX), "The commands in hand end, each within its `timeout`.")
            }
            None => {
                (COMMAND_STOP_SECS, "The commands in hand end; they have no `timeout`, so the wait for them is this.")
            }
        },
        KindSettings::OaiHarvest(_)
        | KindSettings::OaiBackfill(_)
        | KindSettings::Rollup(_)
        | KindSettings::Ship(_)
        | KindSettings::Reindex(_)
        | KindSettings::KbAdd(_) => (STOP_SECS, "What is in hand ends; a pass that is killed is resumed by the next."),
    }
}

fn beginning(config: &Config, wishes: &Wishes<'_>) -> Result<String, Diagnosis> {
    let file = seen_from(&config.file, wishes.root);
    Ok(format!(
        "{OURS}{}\n# The next call writes it anew: what you change by hand belongs in `systemctl edit UNIT`.\n\n",
        escape::comment(&file)?
    ))
}

fn head(config: &Config, wishes: &Wishes<'_>, what: &str, page: &str, needs: &Needs) -> Result<String, Diagnosis> {
    let mut text = beginning(config, wishes)?;
    write!(
        text,
        "[Unit]\nDescription=highwater: {what}\nDocumentation=man:highwater-{page}(1)\nWants=network-online.target\nAfter=network-online.target\n"
    )
    .expect("invariant: a String takes every write");
    let file = seen_from(&config.file, wishes.root);
    put(&mut text, &format!("RequiresMountsFor={}\n", escape::path(&file)?));
    for path in needs.writes.iter().chain(needs.reads.iter().filter(|path| **path != file)) {
        put(&mut text, &format!("RequiresMountsFor={}\n", escape::path(path)?));
    }
    Ok(text)
}

/// Who runs what, with which configuration.
fn started(text: &mut String, config: &Config, wishes: &Wishes<'_>, words: &[&str]) -> Result<(), Diagnosis> {
    put(text, &format!("User={}\n", wishes.user.name));
    let file = seen_from(&config.file, wishes.root);
    if config.reads_variables() {
        put(text, "# The `${NAME}` of the configuration, one NAME=VALUE a line; for root alone to read.\n");
        put(text, &format!("EnvironmentFile=-{}\n", escape::line(&file.with_extension(VARIABLES_EXTENSION))?));
    }
    // systemd does not read a `$` in the program itself.
    write!(text, "ExecStart={}", escape::path(&wishes.program)?).expect("invariant: a String takes every write");
    for word in words {
        write!(text, " {word}").expect("invariant: a String takes every write");
    }
    write!(text, " --config {}", escape::argument(&file)?).expect("invariant: a String takes every write");
    for (flag, value) in config.flags_of_call() {
        let value = seen_from(&value, wishes.root);
        write!(text, " {flag} {}", escape::argument(&value)?).expect("invariant: a String takes every write");
    }
    put(text, "\n");
    Ok(())
}

/// SIGHUP is a word to a service; one that comes before the program has begun ends it, which systemd would take for a clean end.
fn reloads(text: &mut String) {
    put(text, "ExecReload=/bin/kill -HUP $MAINPID\nRestartForceExitStatus=SIGHUP\n");
}

/// A service that stays, and is started again where it failed.
fn stays(text: &mut String) {
    put(text, &format!("Restart=on-failure\nRestartSec={RESTART_SECS}s\n"));
    put(
        text,
        "# What is refused (2) stays refused until a person mends it, and so does a halt (4).\nRestartPreventExitStatus=2 4\n",
    );
    put(text, "SuccessExitStatus=3\n");
}

/// The first SIGTERM goes to highwater alone, which lets what is in hand end; the commands of a pass are its own to end.
fn stopped(text: &mut String, secs: u64, why: &str) {
    put(text, &format!("# {why}\nKillMode=mixed\nTimeoutStopSec={secs}s\n"));
}

/// What one service needs and another does not.
#[derive(Default)]
struct Loose {
    /// The port that it listens at; 0 for none.
    port: u16,
    /// Whether it sets modes as it found them, with set-group-id among them.
    keeps_modes: bool,
}

fn confined(text: &mut String, needs: &Needs, wishes: &Wishes<'_>, loose: Loose) -> Result<(), Diagnosis> {
    if !needs.is_shared {
        // A lock that others take too is one that they can open.
        put(text, "UMask=0027\n");
    }
    put(
        text,
        "\n# It writes here and nowhere else; systemd starts it only where all of these are there.\nProtectSystem=strict\n",
    );
    for path in &needs.writes {
        put(text, &format!("ReadWritePaths={}\n", escape::path(path)?));
    }
    let program = seen_from(&wishes.program, wishes.root);
    let touches = |above: &[&str]| needs.touches(above) || above.iter().any(|above| program.starts_with(above));
    if touches(&["/tmp", "/var/tmp"]) {
        put(text, "# What it shares with others lies in /tmp or /var/tmp, so these are everybody's.\nPrivateTmp=no\n");
        put(text, "ReadWritePaths=/tmp /var/tmp\n");
    } else {
        put(text, "PrivateTmp=yes\n");
    }
    if touches(&["/home", "/root", "/run/user"]) {
        put(
            text,
            "# Some of what it needs lies below a home, which it may read; written is what is named above.\nProtectHome=read-only\n",
        );
    } else {
        put(text, "ProtectHome=yes\n");
    }
    let on_low_port = (1..PORT_MIN).contains(&loose.port);
    if wishes.user.is_root() {
        put(text, "# It runs as root, so its capabilities are left to it; name a user with `--user`.\n");
    } else if on_low_port {
        put(text, "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
    } else {
        put(text, "CapabilityBoundingSet=\nAmbientCapabilities=\n");
    }
    put(text, CONFINED);
    if !loose.keeps_modes {
        put(text, "RestrictSUIDSGID=yes\n");
    }
    Ok(())
}

/// What none of our own services does.
const CONFINED: &str = "\
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
";

/// For a job that starts commands: these may do what its user may, as they may from a shell.
fn unconfined(text: &mut String, needs: &Needs) -> Result<(), Diagnosis> {
    put(
        text,
        &format!(
            "\n# Not confined: it starts commands of yours ({}), and what these write, ask or become (`sudo`, `sendmail`)\n# only you know. They may do what this user may. To confine them, `systemctl edit` this unit, for example:\n#   [Service]\n#   NoNewPrivileges=yes\n#   ProtectSystem=strict\n",
            needs.commands.join(", ")
        ),
    );
    for path in &needs.writes {
        put(text, &format!("#   ReadWritePaths={}\n", escape::path(path)?));
    }
    put(text, "#   PrivateTmp=yes\n");
    Ok(())
}

fn put(text: &mut String, more: &str) {
    text.push_str(more);
}
