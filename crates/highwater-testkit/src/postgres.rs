//! A PostgreSQL of one's own: made for one test, reached over TCP and a socket, gone with its owner.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use nix::unistd::{Uid, User};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::keeper::Keeper;

/// Users that the server may run as when we are root, which it refuses to run as.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// The database role that everything is done as.
const ROLE: &str = "postgres";
/// Where Debian and its kin keep the servers, one directory a version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// A port that was free may be taken before the server has it; then another is tried.
const START_TRIES_MAX: u32 = 5;
/// How long the server may take to start.
const START_SECS: u32 = 60;

/// `$1` is the directory of programs, `$2` a private directory, `$3` options of the program `$6` that makes the data, `$4`
/// options of the server, `$5` the limit for its start in seconds.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
unset PGDATA PGHOST PGPORT PGUSER PGOPTIONS
trap '"$1/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null 2>&1 || :; rm -rf "$2"' EXIT
"$1/$6" -D "$2/data" $3 >"$2/log" 2>&1 || { tail -n 5 "$2/log" >&2; exit 1; }
"$1/pg_ctl" -D "$2/data" -l "$2/log" -o "$4" -w -t "$5" start >/dev/null 2>&1 || { tail -n 5 "$2/log" >&2; exit 1; }
echo ready
read -r _ || :
"#;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// It is not installed. `make test` installs it, so a test fails without it.
    #[error("PostgreSQL is not installed: no initdb on PATH or in {VERSIONS}/*/bin; `make test` installs it")]
    NotInstalled,
    /// We are root, and there is nobody to run it as.
    #[error("PostgreSQL does not run as root, and neither user `postgres` nor `nobody` exists")]
    NoUser,
    /// Its private directory cannot be made.
    #[error("a directory for PostgreSQL cannot be made")]
    Directory(#[source] io::Error),
    /// The loopback has no port to give.
    #[error("there is no free port for PostgreSQL")]
    Port(#[source] io::Error),
    /// It did not start.
    #[error("PostgreSQL of {} does not start", programs.display())]
    Start {
        /// Where its programs are.
        programs: PathBuf,
        /// The end of its log.
        source: io::Error,
    },
    /// It did not come back.
    #[error("PostgreSQL does not start again: {0}")]
    Restart(String),
    /// It runs, and does not let us in.
    #[error("PostgreSQL does not accept the connection")]
    Connect(#[from] tokio_postgres::Error),
}

/// A running server with one empty database, `postgres`. Dropping it stops it; so does the end of the test process.
#[derive(Debug)]
pub struct Postgres {
    // Dropped before the directory it works in.
    _keeper: Keeper,
    port: u16,
    directory: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Starts a server with the settings it comes with. Takes seconds: share one among the tests of a file.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start() -> Result<Self, PostgresError> {
        Self::start_with(&[])
    }

    /// Starts a server with some settings changed, such as `("fsync", "off")` where speed matters and no test of durability
    /// is made. Values must not contain white space.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        Self::start_from(None, settings)
    }

    /// Starts a standby of this server, which must outlive it: a copy in recovery, that follows what this one commits.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn standby(&self) -> Result<Self, PostgresError> {
        Self::start_from(Some(self.port), &[])
    }

    /// With the data of the server on that port, or with none.
    fn start_from(primary: Option<u16>, settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let programs = programs(&path, Path::new(VERSIONS)).ok_or(PostgresError::NotInstalled)?;
        let user = server_user()?;
        let mut tried = 1;
        loop {
            match Self::try_start(&programs, user, primary, settings) {
                Err(PostgresError::Start { source, .. })
                    if tried < START_TRIES_MAX
                        && source.to_string().contains("could not create any TCP/IP sockets") =>
                {
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(
        programs: &Path,
        user: Option<(u32, u32)>,
        primary: Option<u16>,
        settings: &[(&str, &str)],
    ) -> Result<Self, PostgresError> {
        let directory = tempfile::Builder::new().prefix("postgres-").tempdir().map_err(PostgresError::Directory)?;
        let path = directory.path();
        if let Some((uid, gid)) = user {
            chown(path, Some(uid), Some(gid)).map_err(PostgresError::Directory)?;
        }
        let port = free_port().map_err(PostgresError::Port)?;

        let mut init_options = format!("--username={ROLE} --auth=trust --encoding=UTF8 --no-locale");
        if settings.contains(&("fsync", "off")) {
            init_options.push_str(" --no-sync");
        }
        let (make, make_options) = match primary {
            None => ("initdb", init_options),
            Some(port) => {
                let from =
                    format!("-h 127.0.0.1 -p {port} -U {ROLE} --write-recovery-conf --checkpoint=fast --no-sync");
                ("pg_basebackup", from)
            }
        };
        let mut server_options = format!("-c listen_addresses=127.0.0.1 -c port={port} -k {}", path.display());
        for (name, value) in settings {
            server_options.push_str(&format!(" -c {name}={value}"));
        }
        let arguments = [
            &programs.display().to_string(),
            &path.display().to_string(),
            &make_options,
            &server_options,
            &START_SECS.to_string(),
            &make.to_owned(),
        ];
        let keeper = Keeper::start(SCRIPT, &arguments.map(String::as_str), user)
            .map_err(|source| PostgresError::Start { programs: programs.to_owned(), source })?;
        Ok(Self { _keeper: keeper, port, directory, programs: programs.to_owned(), user })
    }

    /// Where it listens: `postgres://postgres@127.0.0.1:PORT/postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/postgres", self.port)
    }

    /// A program of its installation, such as `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The directory of its Unix socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// Opens a session, which ends when the client is dropped.
    ///
    /// # Errors
    /// It does not let us in.
    pub async fn connect(&self) -> Result<Client, PostgresError> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        // What ends the session is told to the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Its port on the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its data, with `pg_hba.conf`; what is changed there counts after `pg_reload_conf()`.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The user that it runs as, where that is not ours: files that it is to read belong to that one.
    #[must_use]
    pub fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// Breaks off everything that runs in it, as a crash does, and starts it again on the same port.
    ///
    /// # Errors
    /// It does not come back.
    pub fn restart_at_once(&self) -> Result<(), PostgresError> {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.arg("-D").arg(self.data_directory()).arg("-l").arg(self.directory.path().join("log"));
        command.args(["-m", "immediate", "-w", "-t", &START_SECS.to_string(), "restart"]).current_dir("/");
        // Its output stays open in the server.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(PostgresError::Restart(status.to_string())),
            Err(error) => Err(PostgresError::Restart(error.to_string())),
        }
    }

    /// Stops it now, as dropping does.
    pub fn stop(self) {
        drop(self);
    }
}

/// The directory of initdb and its kin: the one on `path`, else that of the newest version in `versions`.
fn programs(path: &OsStr, versions: &Path) -> Option<PathBuf> {
    // A link to initdb alone would not do: it looks for its kin beside itself.
    let on_path = env::split_paths(path)
        .filter_map(|directory| fs::canonicalize(directory.join("initdb")).ok()?.parent().map(Path::to_owned));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir(versions)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    installed.sort_unstable();
    let newest_first = installed.into_iter().rev().map(|(_, directory)| directory);
    on_path
        .chain(newest_first)
        .find(|directory| ["initdb", "pg_ctl", "postgres"].iter().all(|program| directory.join(program).is_file()))
}

/// The user to run the server as; `None` is ourselves.
pub(crate) fn server_user() -> Result<Option<(u32, u32)>, PostgresError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = USERS.iter().find_map(|name| User::from_name(name).ok().flatten()).ok_or(PostgresError::NoUser)?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(directory: &Path) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        for program in ["initdb", "pg_ctl", "postgres"] {
            fs::write(directory.join(program), "").unwrap();
        }
        directory.to_owned()
    }

    #[test]
    fn the_newest_version_is_found_and_path_goes_before_it() {
        let root = TempDir::new().unwrap();
        let versions = root.path().join("versions");
        let path = root.path().join("path");
        assert_eq!(programs(path.as_os_str(), &versions), None, "nothing is installed");
        install(&versions.join("9/bin"));
        let newest = install(&versions.join("15/bin"));
        // Without its kin, an initdb is of no use.
        fs::create_dir_all(versions.join("16/bin")).unwrap();
        fs::write(versions.join("16/bin/initdb"), "").unwrap();
        assert_eq!(programs(path.as_os_str(), &versions), Some(newest));
        let elsewhere = install(&root.path().join("elsewhere"));
        fs::create_dir_all(&path).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("initdb"), path.join("initdb")).unwrap();
        assert_eq!(programs(path.as_os_str(), &versions), Some(fs::canonicalize(elsewhere).unwrap()));
    }
}
