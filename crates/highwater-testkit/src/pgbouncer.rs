//! A pgbouncer of one's own before a PostgreSQL of one's own: what a user puts between, in each of its modes.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tempfile::TempDir;

use crate::keeper::Keeper;
use crate::postgres::{Postgres, PostgresError, free_port, server_user};

/// Where Debian keeps it, which is on no ordinary user's `PATH`.
const INSTALLED: &str = "/usr/sbin/pgbouncer";
/// How long it may take to listen, in tenths of a second.
const START_TENTHS: u32 = 300;
/// A port that was free may be taken before it has it; then another is tried.
const START_TRIES_MAX: u32 = 5;

/// `$1` is the program, `$2` a private directory with its configuration, `$3` the limit for its start in tenths of a second.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
"$1" "$2/pgbouncer.ini" >"$2/out" 2>&1 &
pid=$!
trap 'kill -9 $pid 2>/dev/null || :; rm -rf "$2"' EXIT
tenths=0
until grep -q "process up" "$2/log" 2>/dev/null; do
    kill -0 $pid 2>/dev/null || { cat "$2/out" "$2/log" >&2; exit 1; }
    [ $tenths -lt "$3" ] || { echo "it does not come up" >&2; cat "$2/log" >&2; exit 1; }
    tenths=$((tenths + 1))
    sleep 0.1
done
echo ready
read -r _ || :
"#;

/// How it gives the server's processes to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// One as long as a session lasts.
    Session,
    /// One as long as a transaction lasts.
    Transaction,
}

/// A running pgbouncer. Dropping it stops it; so does the end of the test process.
#[derive(Debug)]
pub struct Pgbouncer {
    // Dropped before the directory it works in.
    _keeper: Keeper,
    port: u16,
    _directory: TempDir,
}

impl Pgbouncer {
    /// Starts one that lets everybody in to the databases of `server`, by at most `pool_size` of its processes each.
    ///
    /// # Errors
    /// It is not installed (`make test` installs it), or does not start.
    pub fn before(server: &Postgres, mode: PoolMode, pool_size: u32) -> Result<Self, PostgresError> {
        let program = program().ok_or(PostgresError::Start {
            programs: INSTALLED.into(),
            source: io::Error::other("pgbouncer is not installed; `make test` installs it"),
        })?;
        let mut tried = 1;
        loop {
            match Self::try_start(&program, server, mode, pool_size) {
                Err(PostgresError::Start { source, .. })
                    if tried < START_TRIES_MAX && source.to_string().contains("in use") =>
                {
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(program: &Path, server: &Postgres, mode: PoolMode, pool_size: u32) -> Result<Self, PostgresError> {
        let user = server_user()?;
        let directory = tempfile::Builder::new().prefix("pgbouncer-").tempdir().map_err(PostgresError::Directory)?;
        let path = directory.path();
        let port = free_port().map_err(PostgresError::Port)?;
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let (place, to) = (path.display(), server.port());
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {place}/users\nlogfile = {place}/log\npool_mode = {mode}\n\
             default_pool_size = {pool_size}\nignore_startup_parameters = extra_float_digits\n"
        );
        let files = [("pgbouncer.ini", configuration.as_str()), ("users", "\"postgres\" \"\"\n")];
        for (name, text) in files {
            fs::write(path.join(name), text).map_err(PostgresError::Directory)?;
        }
        if let Some((uid, gid)) = user {
            for file in [path.to_owned(), path.join("pgbouncer.ini"), path.join("users")] {
                chown(file, Some(uid), Some(gid)).map_err(PostgresError::Directory)?;
            }
        }
        let arguments = [program.display().to_string(), place.to_string(), START_TENTHS.to_string()];
        let keeper = Keeper::start(SCRIPT, &arguments.each_ref().map(String::as_str), user)
            .map_err(|source| PostgresError::Start { programs: program.to_owned(), source })?;
        Ok(Self { _keeper: keeper, port, _directory: directory })
    }

    /// Its port on the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|directory| directory.join("pgbouncer"));
    on_path.chain([INSTALLED.into()]).find(|program| program.is_file())
}
