//! Where a database is: `sqlite:PATH` or a PostgreSQL URL. Owns telling the two apart and opening a session there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::postgres::{Address, AddressError, PostgresSession};
use crate::session::{Dialect, Fault, FaultKind, Session};
use crate::sqlite::SqliteSession;

/// A database of someone's.
#[derive(Debug, Clone)]
pub enum DatabaseAddress {
    /// A SQLite file that is there.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Box<Address>),
}

/// What is wrong with an address. Never shows it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseAddressError {
    /// It says neither.
    #[error("expected `sqlite:PATH` or `postgres://USER@HOST:PORT/DATABASE`")]
    Scheme,
    /// A SQLite file without a name.
    #[error("there is no path after `sqlite:`")]
    NoPath,
    /// The URL cannot be used.
    #[error(transparent)]
    Postgres(#[from] AddressError),
}

impl DatabaseAddress {
    /// Which of the two it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Makes a relative path absolute, counted from `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let Self::Sqlite(path) = self {
            *path = base.join(&*path).components().collect();
        }
    }

    /// Opens a session; on SQLite it waits so long for another's lock.
    ///
    /// # Errors
    /// [`Fault`] where nobody answers, the server refuses, or there is no such file.
    pub async fn open(&self, busy_timeout: Duration) -> Result<Box<dyn Session>, Fault> {
        match self {
            Self::Postgres(address) => Ok(Box::new(PostgresSession::open(address).await?)),
            Self::Sqlite(path) => {
                let opened = SqliteSession::open(path, busy_timeout).map_err(|error| Fault {
                    kind: FaultKind::Lost,
                    doing: format!("open {}", path.display()),
                    message: error.to_string(),
                })?;
                Ok(Box::new(opened))
            }
        }
    }
}

impl FromStr for DatabaseAddress {
    type Err = DatabaseAddressError;

    fn from_str(text: &str) -> Result<Self, DatabaseAddressError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // `sqlite://` is how others write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(DatabaseAddressError::NoPath) } else { Ok(Self::Sqlite(path.into())) };
        }
        match text.parse() {
            Ok(address) => Ok(Self::Postgres(Box::new(address))),
            Err(AddressError::Scheme) => Err(DatabaseAddressError::Scheme),
            Err(error) => Err(error.into()),
        }
    }
}

/// Without a password.
impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_or_a_server() {
        let read = |text: &str| text.parse::<DatabaseAddress>().map(|address| address.to_string());
        assert_eq!(read("sqlite:usage.db").unwrap(), "sqlite:usage.db");
        assert_eq!(read("sqlite:///var/lib/usage.db").unwrap(), "sqlite:/var/lib/usage.db");
        assert_eq!(read("postgres://ann:s3cret@db/usage").unwrap(), "postgres://ann@db:5432/usage");
        for (text, told) in [
            ("usage.db", "expected `sqlite:PATH`"),
            ("sqlite:", "no path"),
            ("mysql://db/usage", "expected `sqlite:PATH`"),
            ("postgres://db/usage?sslmode=maybe", "sslmode"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let mut address: DatabaseAddress = "sqlite:data/usage.db".parse().unwrap();
        address.resolve(Path::new("/srv/app"));
        assert_eq!(address.to_string(), "sqlite:/srv/app/data/usage.db");
    }
}
