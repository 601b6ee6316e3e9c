//! What a service touches outside of itself: where it writes, what it reads, which commands it starts. Owns that nothing of the
//! configuration is forgotten, so that what is confined to these still works.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use highwater_engine::settings::LockAddress;
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_episodes::ship::ShipSettings;
use percent_encoding::percent_decode_str;

use crate::config::{Config, JobConfig, KindSettings, NotifyConfig};
use crate::wiring::oai;

/// Directories that hold what is of many: none of them is what one service may write in, though two of its own are in it.
const SHARED: &[&str] = &[
    "/",
    "/var",
    "/var/lib",
    "/var/spool",
    "/var/cache",
    "/var/log",
    "/var/tmp",
    "/var/local",
    "/tmp",
    "/run",
    "/home",
    "/root",
    "/srv",
    "/opt",
    "/mnt",
    "/media",
    "/data",
    "/etc",
    "/usr",
    "/usr/local",
    "/usr/share",
    "/usr/lib",
    "/boot",
];

/// What a service touches.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The directories that it writes in; none lies in another.
    pub(super) writes: BTreeSet<PathBuf>,
    /// What else it opens, as far as the configuration says.
    pub(super) reads: BTreeSet<PathBuf>,
    /// The fields with commands that it starts.
    pub(super) commands: Vec<String>,
    /// Whether it makes files that programs of other users are meant to open: locks, bans and markers outside its state.
    pub(super) is_shared: bool,
}

impl Needs {
    /// What the receiver touches.
    pub(super) fn of_receiver(config: &Config, receiver: &ReceiverSettings) -> Self {
        let mut needs = Self::of_site(config);
        needs.writes.insert(receiver.root.to_path_buf());
        if let Some(tls) = &receiver.tls {
            let optional = [&tls.client_ca, &tls.crl].into_iter().flatten();
            needs.reads.extend([&tls.cert, &tls.key].into_iter().chain(optional).map(|path| path.to_path_buf()));
        }
        let repository = receiver.gate.as_ref().and_then(|gate| gate.repository.as_ref());
        needs.reads.extend(repository.map(|path| path.to_path_buf()));
        needs.settled()
    }

    /// What a job's passes touch.
    pub(super) fn of_job(config: &Config, job: &JobConfig) -> Self {
        let mut needs = Self::of_site(config);
        needs.writes.insert(config.state_dir().to_owned());
        for name in &job.settings.resources {
            let Ok((_, resource)) = config.resource(name.as_str()) else { continue };
            match &resource.lock {
                LockAddress::File(path) => {
                    needs.is_shared |= !path.starts_with(config.state_dir());
                    needs.writes_beside(path);
                }
                LockAddress::Advisory(_) => resource.lock_databases.iter().for_each(|at| needs.database(at.expose())),
            }
            if let Some(file) = &resource.settings.ban_file {
                needs.is_shared = true;
                needs.writes_beside(file);
            }
        }
        if let Some(markers) = &job.settings.markers {
            needs.is_shared = true;
            // A directory, or the path that their names are appended to.
            if markers.is_dir() { needs.writes_in(markers) } else { needs.writes_beside(markers) }
        }
        for throttle in &job.settings.throttle {
            needs.reads.extend(throttle.path.as_ref().map(|path| path.to_path_buf()));
            throttle.database.iter().for_each(|at| needs.database(at.expose()));
            if throttle.command.is_some() {
                needs.commands.push("throttle.command".to_owned());
            }
        }
        let commands = job.kind.commands();
        needs.commands.extend(commands.into_iter().map(|(field, ..)| field.to_owned()));
        for entry in &config.notify {
            if matches!(entry, NotifyConfig::Known(settings) if settings.command.is_some()) {
                needs.commands.push("notify.command".to_owned());
            }
        }
        needs.commands.dedup();
        // Every run ends with the backup of each catalogue that is there.
        oai::catalogs(config).iter().filter(|path| path.exists()).for_each(|path| needs.writes_beside(path));
        needs.of_kind(config, job);
        needs.settled()
    }

    fn of_site(config: &Config) -> Self {
        let mut needs = Self::default();
        needs.reads.insert(config.file.clone());
        if let Some(log) = &config.top.log_file {
            needs.writes_beside(log);
        }
        needs
    }

    fn of_kind(&mut self, config: &Config, job: &JobConfig) {
        match &job.kind {
            KindSettings::Exec(exec) => {
                self.reads
                    .extend([&exec.worklist, &exec.directory].into_iter().flatten().map(|path| path.to_path_buf()));
            }
            KindSettings::OaiHarvest(_) | KindSettings::OaiBackfill(_) => {
                oai::catalog_of(config, job).iter().for_each(|path| self.writes_beside(path));
                let own = match &job.kind {
                    KindSettings::OaiBackfill(settings) => settings.target.as_ref(),
                    KindSettings::OaiHarvest(settings) => settings.target.as_ref(),
                    _ => None,
                };
                if let Some(own) = own {
                    self.reads.extend(own.have_file.as_ref().map(|path| path.to_path_buf()));
                    // SQLite keeps its index of the log beside a database, also for who only reads.
                    own.have_database.iter().for_each(|path| self.writes_beside(path));
                }
                if let KindSettings::OaiBackfill(settings) = &job.kind {
                    self.reads.extend(settings.ids.as_ref().map(|path| path.to_path_buf()));
                }
            }
            KindSettings::Rollup(rollup) => self.database(rollup.database.expose()),
            KindSettings::Ship(ship) => self.shelves(ship),
            KindSettings::Reindex(reindex) => self.writes_in(&reindex.root),
            KindSettings::KbAdd(add) => {
                self.writes_in(&add.base);
                self.reads.extend(add.paths.iter().map(|path| path.to_path_buf()));
            }
        }
    }

    /// A shipper moves what it shipped from one of its directories to another, which is a rename only within one that it may write
    /// in: to systemd each such directory is a mount of its own.
    fn shelves(&mut self, ship: &ShipSettings) {
        let shelves = [&ship.episodes, &ship.outbox, &ship.shipped].map(|path| path.to_path_buf());
        let devices: BTreeSet<u64> = shelves.iter().filter_map(|path| Some(fs::metadata(path).ok()?.dev())).collect();
        let above = shelves[0].ancestors().find(|above| shelves.iter().all(|path| path.starts_with(above)));
        match above.filter(|above| devices.len() < 2 && !SHARED.iter().any(|shared| Path::new(shared) == *above)) {
            Some(above) => self.writes_in(above),
            None => shelves.iter().for_each(|path| self.writes_in(path)),
        }
        let optional = [&ship.tls.ca, &ship.tls.certificate, &ship.tls.key];
        self.reads.extend(optional.into_iter().flatten().map(|path| path.to_path_buf()));
        self.reads.extend(ship.code_commit.iter().filter_map(|code| code.path()).map(Path::to_path_buf));
    }

    fn database(&mut self, address: &str) {
        match address.strip_prefix("sqlite:") {
            Some(path) => self.writes_beside(Path::new(path)),
            None => self.reads.extend(paths_of_url(address)),
        }
    }

    fn writes_in(&mut self, path: &Path) {
        self.writes.insert(path.to_owned());
    }

    /// A file that is made, replaced or locked: its directory must be one to write in.
    fn writes_beside(&mut self, file: &Path) {
        self.writes.insert(file.parent().unwrap_or(Path::new("/")).to_owned());
    }

    fn settled(mut self) -> Self {
        let all = self.writes.clone();
        self.writes.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
        self
    }

    /// The same with `root` as `/`.
    pub(super) fn seen_from(mut self, root: Option<&Path>) -> Self {
        let Some(root) = root else { return self };
        let seen = |paths: BTreeSet<PathBuf>| paths.iter().map(|path| seen_from(path, Some(root))).collect();
        self.writes = seen(self.writes);
        self.reads = seen(self.reads);
        self
    }

    /// Whether anything that it touches lies below one of these.
    pub(super) fn touches(&self, any: &[&str]) -> bool {
        self.writes.iter().chain(&self.reads).any(|path| any.iter().any(|above| path.starts_with(above)))
    }
}

/// A path as it is where `root` is `/`.
pub(crate) fn seen_from(path: &Path, root: Option<&Path>) -> PathBuf {
    let inside = root.and_then(|root| path.strip_prefix(root).ok());
    inside.map_or_else(|| path.to_owned(), |inside| Path::new("/").join(inside))
}

/// The paths in a PostgreSQL URL: a socket's directory as the host, certificates in the query.
fn paths_of_url(url: &str) -> Vec<PathBuf> {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
    let decoded = before.split(['@', '/', ':']).chain(values).map(|part| percent_decode_str(part).decode_utf8_lossy());
    decoded.filter(|part| part.starts_with('/')).map(|part| PathBuf::from(part.into_owned())).collect()
}
