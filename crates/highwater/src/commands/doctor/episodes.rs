//! Where episodes are received, sent from and re-indexed: certificates, directories, space, the gate. Owns what a line says and what
//! mends it; what a file of TLS is good for is the domain's.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::lock::FileLock;
use highwater_engine::shell::quoted_path;
use highwater_episodes::gate::{ALLOWED_FILE, GateSettings, Source, read_allowed};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::odd::Odd;
use highwater_episodes::receive::settings::{ReceiverSettings, TlsSettings};
use highwater_episodes::receive::tls::look::{Look, SOON_DAYS_MAX, Standing, Term, Use, looks, term};
use highwater_episodes::receive::{TooLow, is_received_into, odd_quarantine};
use highwater_episodes::ship::{ScanError, ShipSettings, check_root, lost, places, scan, sending_commit, unmovable};
use highwater_episodes::store::{EPISODES_DIR, STAGING_DIR};
use jiff::Timestamp;
use nix::unistd::geteuid;
use rustix::fs::{Access, access};

use super::host::{FREE_BYTES_MIN, Room, space};
use super::report::Report;
use super::{Site, rows};
use crate::bar::counted;
use crate::commands::gate::ALLOW_AGAIN;
use crate::config::{Config, JobConfig, KindSettings};
use crate::owner::name_of;
use crate::table::moment;
use crate::wiring::ship;

/// What a receiver keeps in its directory.
const KEPT: [&str; 3] = ["episodes", "quarantine", "index.jsonl"];
/// The lock of a receiver, as far as its file system matters.
const LOCK_FILE: &str = ".receiver.lock";
const HOURS_A_DAY: i64 = 24;
/// How long whoever listens on this host may take to answer, in seconds.
const CONNECT_SECS: u64 = 2;
/// What is done about a list that is by nobody who signs.
const LACKS_LIST: &str = "add a list that the authority in `client-ca` signed; where one in between signs the hosts' certificates, add that one to \
                          `client-ca`";
/// What is done about a certificate that a shipper shows.
const RENEWED_CLIENT: &str = "have it renewed by who signs the hosts' certificates; a shipper that runs takes it and its key up at its next pass";

pub(super) fn check(site: &Site, report: &mut Report) {
    let Some(config) = &site.config else { return };
    let now = site.clock.now();
    // One that lacks a variable is told of with the configuration.
    if let Ok(settings) = config.receiver() {
        receiver(settings, now, report);
    }
    for job in config.jobs.values() {
        match &job.kind {
            KindSettings::Ship(settings) => shipper(config, job, settings, now, report),
            KindSettings::Reindex(settings) => root(&settings.root, 0, report),
            _ => {}
        }
    }
}

fn receiver(settings: &ReceiverSettings, now: Timestamp, report: &mut Report) {
    settings.tls.iter().for_each(|tls| papers(tls, now, report));
    if let Some(too_low) = TooLow::of(&settings.root) {
        // Of anything else in it would be told as of a receiver's directory, which it is none.
        return report.fix("store", format!("`root`, {}: {too_low}", settings.root), too_low.next());
    }
    root(&settings.root, settings.limits.free.bytes(), report);
    opened(settings, report);
    rows::check(&settings.root, report);
    settings.gate.iter().for_each(|gate| judges(gate, &settings.root, report));
}

/// Whether the receiver that listens has the directory to which the path leads now: once that was moved away, a receiver goes on with neither.
fn opened(settings: &ReceiverSettings, report: &mut Report) {
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    if address.port() == 0 || TcpStream::connect_timeout(&address, Duration::from_secs(CONNECT_SECS)).is_err() {
        return;
    }
    // Where that cannot be told nothing is said.
    if !is_received_into(&settings.root).unwrap_or(true) {
        let found = format!(
            "something listens at {address}, and no receiver has the directory that is at {} now: it was moved away under one that runs, \
             which answers 503, or another program has that port",
            settings.root
        );
        report.fix(
            "store",
            found,
            "put back the directory that the receiver has, and it goes on; or restart it, and it takes what is there now; its log names the path",
        );
    }
}

/// The files of a receiver's TLS.
fn papers(settings: &TlsSettings, now: Timestamp, report: &mut Report) {
    for Look { path, used, term, is_by_others, misfit } in looks(settings) {
        let (what, fix) = match used {
            Use::Shown => (
                "certificate",
                "have a certificate made for a server, with serverAuth among its extended key usages, and name it in `receiver.tls.cert`",
            ),
            Use::Signers => {
                ("client-ca", "name the certificate of who signs those of clients, in place of one of theirs")
            }
            Use::Revoked => ("crl", LACKS_LIST),
        };
        match term {
            Ok(_) if is_by_others => report.fix(what, Look::told_by_others(&path), fix),
            Err(error) => {
                report.fix(what, format!("receiver.{}: {}", error.field(), with_causes(&error)), error.next())
            }
            Ok(_) if misfit.is_some() => report.fix(what, misfit.unwrap_or_default(), fix),
            Ok(None) => report.ok(what, format_args!("{} can be used; it does not say until when", path.display())),
            Ok(Some(term)) => held(what, &path, renewed(used), term, now, report),
        }
    }
}

/// What is done about a file of a receiver's that can be used no longer.
fn renewed(used: Use) -> &'static str {
    match used {
        Use::Shown => "renew it; a receiver that runs takes the new one up within seconds",
        Use::Signers => "make the authority's certificate anew, and those of the hosts with it",
        Use::Revoked => "have the authority write its list again: who was revoked since then is let in",
    }
}

/// How long a file may be used.
fn held(what: &'static str, path: &Path, renew: &str, term: Term, now: Timestamp, report: &mut Report) {
    let (path, from, until) = (path.display(), moment(term.from), moment(term.until));
    let days = now.duration_until(term.until).as_hours() / HOURS_A_DAY;
    match term.standing(now) {
        // One that was made for a short time, and is renewed as often.
        Standing::Good if days < SOON_DAYS_MAX => {
            let left = counted(u64::try_from(days).unwrap_or_default(), "day");
            report.ok(what, format_args!("{path} can be used until {until}: {left} more"));
        }
        Standing::Good => report.ok(what, format_args!("{path} can be used until {until}")),
        Standing::Early => report.fix(what, format_args!("{path} counts only from {from}"), "set this host's clock"),
        Standing::Soon => report.fix(what, format_args!("{path} ends soon, at {until}"), renew),
        Standing::Over => report.fix(what, format_args!("{path} ended at {until}"), renew),
    }
}

/// A receiver's directory, with what must stay free there.
fn root(root: &Path, free_bytes: u64, report: &mut Report) {
    if let Err(error) = fs::metadata(root) {
        let fix = match error.kind() {
            ErrorKind::NotFound => {
                format!("mkdir -p {0} && chown {1} {0}, or mount what it lies on", shown(root), name_of(geteuid()))
            }
            _ => "let the user of the receiver enter it".to_owned(),
        };
        return report.fix("store", format_args!("{} cannot be received into: {error}", root.display()), fix);
    }
    let before = report.fixes();
    directory("store", root, report);
    for path in KEPT.map(|kept| root.join(kept)).iter().filter(|path| path.exists()) {
        if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
            unwritable("store", path, error, report);
        }
    }
    if let Some(odd) = Odd::in_place_of_dir(&root.join(EPISODES_DIR).join(STAGING_DIR)) {
        report.fix("store", format_args!("nothing can be stored: {odd}"), odd.next());
    }
    if let Some(odd) = odd_quarantine(root) {
        report.fix("store", format_args!("nothing can be set aside: {odd}"), odd.next());
    }
    if let Some(kind) = FileLock::new(root.join(LOCK_FILE), true).network_file_system() {
        let found = format!("{} lies on {kind}, where flock may not keep a second receiver out", root.display());
        report.fix("store", found, "name a directory on a local file system in `root`");
    }
    if report.fixes() == before {
        report.ok("store", format_args!("{} is writable, on a local file system", root.display()));
    }
    let room = Room {
        bytes: free_bytes.max(1),
        fix: "free space there, or lower `free` in `[receiver.limits]`: until then uploads are answered 507",
    };
    space(root, &room, report);
    // They may be a file system of their own; what is received needs room on both.
    let episodes = root.join(KEPT[0]);
    if disk(&episodes) != disk(root) {
        space(&episodes, &room, report);
    }
}

/// The file system of a directory, or of the nearest one above it that is there.
fn disk(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|path| fs::metadata(path).ok()).map(|meta| meta.dev())
}

/// The gate, as a receiver that starts now would find it.
fn judges(gate: &GateSettings, root: &Path, report: &mut Report) {
    let Some(repository) = gate.repository.as_ref().filter(|_| gate.enabled) else {
        return report.ok("gate", "it is off: code is not judged, and rows say so");
    };
    let source =
        Source { repository: repository.to_path_buf(), reference: gate.reference.clone(), commits: gate.window.get() };
    match source.read() {
        Ok(window) => report.ok(
            "gate",
            format_args!(
                "{}: the newest {} of {} are accepted, up to {}",
                repository.display(),
                counted(window.len() as u64, "commit"),
                gate.reference,
                window.head()
            ),
        ),
        Err(error) => report.fix(
            "gate",
            with_causes(&error),
            "put a repository there that this user can read, with the `ref`; until then a receiver that runs keeps what it read last, and one that starts puts uploads off",
        ),
    }
    if let Err(error) = read_allowed(&root.join(ALLOWED_FILE)) {
        let fix = match Odd::of(&error) {
            Some(odd) => format!("{}; {ALLOW_AGAIN}", odd.next()),
            None => "correct the line, or remove the file and call `highwater gate allow` again".to_owned(),
        };
        report.fix("gate", with_causes(&error), fix);
    }
}

/// The directories of a job that ships, and the certificate that it shows.
fn shipper(config: &Config, job: &JobConfig, settings: &ShipSettings, now: Timestamp, report: &mut Report) {
    match ship::place(config, job, settings) {
        Err(error) => report.error("certificate", &error),
        Ok(place) => {
            if let Some(path) = &settings.tls.certificate
                && let Ok(Some(term)) = term(path)
            {
                held("certificate", path, RENEWED_CLIENT, term, now, report);
            }
            if let Err(error) = places::check(&place.shelves, &place.outbox, &place.receiver.host) {
                report.error("episodes", &error);
            }
        }
    }
    if let Some(code) = &settings.code_commit
        && let Err(error) = sending_commit(code)
    {
        report.error("code", &error);
    }
    let before = report.fixes();
    if let Err(error) = check_root(&settings.episodes) {
        let fix = match &error {
            ScanError::NotADirectory { found, .. } => found.next().to_owned(),
            _ => format!("mkdir -p {}, or mount what it lies on", shown(&settings.episodes)),
        };
        report.fix("episodes", format_args!("{}: {}", job.name, with_causes(&error)), fix);
    } else {
        directory("episodes", &settings.episodes, report);
    }
    for path in [&settings.outbox, &settings.shipped] {
        match fs::symlink_metadata(path) {
            // The first pass makes it.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
                if let Err(error) = access(above, Access::WRITE_OK | Access::EXEC_OK) {
                    let found =
                        format!("{} is not there, and cannot be made in {}: {error}", path.display(), above.display());
                    let fix = format!("mkdir -p {0} && chown {1} {0}", shown(path), name_of(geteuid()));
                    report.fix("episodes", found, fix);
                }
            }
            _ => match check_root(path) {
                Ok(()) => directory("episodes", path, report),
                Err(error) => {
                    let next = match &error {
                        ScanError::NotADirectory { found, .. } => found.next(),
                        _ => "check the disk, and that this user may look at it",
                    };
                    report.fix("episodes", with_causes(&error), next);
                }
            },
        }
    }
    if report.fixes() == before {
        report.ok("episodes", format_args!("{}: `episodes`, `outbox` and `shipped` are writable", job.name));
    }
    passed_over(job, settings, report);
    lost_since(job, settings, report);
    let room = Room { bytes: FREE_BYTES_MIN, fix: "free space there: an episode that cannot be packed is not sent" };
    space(&settings.outbox, &room, report);
    if disk(&settings.shipped) != disk(&settings.outbox) {
        space(&settings.shipped, &room, report);
    }
}

/// Shipped episodes that the receiver, asked for them, has no longer: those here may be the only copies.
fn lost_since(job: &JobConfig, settings: &ShipSettings, report: &mut Report) {
    let lost = lost(&settings.outbox, &settings.shipped);
    let count = lost.count();
    if count > 0 {
        let mut named: Vec<&str> = lost.episodes.iter().take(rows::ODD_NAMED_MAX).map(EpisodeId::as_str).collect();
        if count > named.len() as u64 {
            named.push("…");
        }
        let asked = lost.asked.map(|at| format!(", as it said when it was asked last, on {}", at.strftime("%F")));
        let found = format!(
            "{}: the receiver does not have {} of `shipped` any more: {}{}",
            job.name,
            counted(count, "episode"),
            named.join(", "),
            asked.unwrap_or_default()
        );
        if settings.keep_time.is_none() && settings.keep_size.is_none() {
            // Nothing goes, and no pass asks whether that is so still.
            report.ok("episodes", format_args!("{found}; without `keep-time` and `keep-size` it is asked no more"));
            return;
        }
        let fix =
            format!("find out why; to send them again, move them from {} to `episodes`", shown(&settings.shipped));
        report.fix("episodes", found, fix);
    }
}

/// Finished directories that no pass takes for an episode.
fn passed_over(job: &JobConfig, settings: &ShipSettings, report: &mut Report) {
    if let Ok(found) = scan(&settings.episodes) {
        for (names, what, fix) in [
            (
                &found.misnamed,
                "a finished directory cannot be an episode's",
                "give it a name of 1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or a digit",
            ),
            (&found.odd_markers, "`done.marker` is no file", "write a file of that name in its place"),
            (
                &found.symlinks,
                "a symlink where an episode's directory would be is not followed",
                "move the directory itself there",
            ),
        ] {
            if !names.first.is_empty() {
                report.fix("episodes", format_args!("{}: {what}: {}", job.name, names.named()), fix);
            }
        }
        let mut unmovable =
            found.finished.iter().filter_map(|one| unmovable(&settings.episodes.join(one.episode.as_str())));
        for error in unmovable.by_ref().take(rows::ODD_NAMED_MAX) {
            let me = name_of(geteuid());
            let fix = format!(
                "let {me} move it: `sudo chown -R {me} {0}`, `chmod -R u+rwX {0}`; until then the receiver may have it, and it stays",
                shown(error.path())
            );
            let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
            report.fix(
                "episodes",
                format_args!("{}: {} cannot be moved to `shipped` by {me}{why}", job.name, error.path().display()),
                fix,
            );
        }
        match unmovable.count() {
            0 => {}
            more => report.fix(
                "episodes",
                format_args!("{}: {} cannot be moved either", job.name, counted(more as u64, "more episode")),
                "let this user write them",
            ),
        }
        for shut in &found.shut.first {
            let me = name_of(geteuid());
            let fix = format!(
                "let {me} read and write it: `sudo chown -R {me} {0}`, `chmod -R u+rwX {0}`",
                shown(&shut.path)
            );
            report.fix("episodes", format_args!("{}: {shut}", job.name), fix);
        }
        if found.shut.more > 0 {
            let more = found.shut.more;
            report.fix(
                "episodes",
                format_args!("{}: {more} more directories cannot be looked into", job.name),
                "let this user read them",
            );
        }
    }
}

/// A directory in which this user makes files.
fn directory(what: &'static str, path: &Path, report: &mut Report) {
    if !path.is_dir() {
        return report.fix(what, format_args!("{} is no directory", path.display()), "move it away, or name another");
    }
    if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        unwritable(what, path, error, report);
    }
}

fn unwritable(what: &'static str, path: &Path, error: rustix::io::Errno, report: &mut Report) {
    let me = name_of(geteuid());
    let fix = match error {
        rustix::io::Errno::ROFS => "mount its file system to write (`mount -o remount,rw …`)".to_owned(),
        _ => format!("let {me} write it: `sudo chown {me} {0}`, `chmod u+rwX {0}`", shown(path)),
    };
    report.fix(what, format_args!("{} cannot be written by {me}: {error}", path.display()), fix);
}

fn shown(path: &Path) -> String {
    quoted_path(path)
}
