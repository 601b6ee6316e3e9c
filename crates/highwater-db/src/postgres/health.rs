//! How well a server is: three figures that people watch while something heavy runs. Owns what each is read from, and why one
//! cannot be read; what follows from it is its caller's.

/// A figure of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// How far the slowest standby is behind, in seconds; asked of a standby, its own.
    ReplicationLag,
    /// How many sessions of the database wait for a lock.
    LockWaiters,
    /// How many clients of the database are at work, but the one that asks.
    ActiveBackends,
}

impl Health {
    /// Every figure.
    pub const ALL: [Self; 3] = [Self::ReplicationLag, Self::LockWaiters, Self::ActiveBackends];

    /// The query: one row of one number, or of NULL where the figure cannot be read.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::ReplicationLag => include_str!("health/replication_lag.sql"),
            Self::LockWaiters => include_str!("health/lock_waiters.sql"),
            Self::ActiveBackends => include_str!("health/active_backends.sql"),
        }
    }

    /// Why the query yields NULL, and what to do.
    #[must_use]
    pub fn unread(self) -> &'static str {
        match self {
            Self::ReplicationLag => {
                "no standby is connected, or this role may not see it (`GRANT pg_read_all_stats TO …`)"
            }
            Self::LockWaiters | Self::ActiveBackends => {
                "this role may not see what others do (`GRANT pg_read_all_stats TO …`)"
            }
        }
    }
}
