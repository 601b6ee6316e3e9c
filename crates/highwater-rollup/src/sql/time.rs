//! Times in SQL: what an event's time is compared as, which times have a bucket, and where that begins.

use highwater_db::session::Dialect;

use super::Shape;

/// From the beginning of the year 0 to the epoch, in seconds: whole days, and so whole buckets of every grain.
const YEAR_0_SECS: i64 = 719_528 * 86_400;

/// The beginning of the first bucket that there can be, and of the first that cannot: what is between is written alike by PostgreSQL,
/// by SQLite, and here.
const FIRST_BUCKET: &str = "0001-01-01T00:00:00Z";
const FIRST_BUCKET_SECS: i64 = -62_135_596_800;
const AFTER_BUCKETS: &str = "9999-12-30T00:00:00Z";
const AFTER_BUCKETS_SECS: i64 = 253_402_128_000;

impl Shape<'_> {
    /// When an event happened, as it is compared: a time in PostgreSQL, whole seconds since the epoch in SQLite, where times
    /// are text or such seconds. It is in an index, so that the application's SQLite must know it too, however old: `unixepoch` came
    /// with 3.38.
    pub(crate) fn at(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => column.to_owned(),
            Dialect::Sqlite => {
                format!(
                    "CAST(CASE WHEN typeof({column}) = 'text' THEN strftime('%s', {column}) ELSE {column} END AS INTEGER)"
                )
            }
        }
    }

    /// Whether a time, as [`Shape::at`] has it, is in a bucket: none that is not known is, none that is infinite, and none of a year
    /// that cannot be written with four digits. In SQLite what reads a span of times by their index says the last by its own limits: it
    /// takes one range for an index, and it must not be this one.
    pub(crate) fn is_in_a_bucket(&self, at: &str) -> String {
        match self.dialect {
            Dialect::Postgres => self.is_in_time(at),
            Dialect::Sqlite => format!("{at} IS NOT NULL"),
        }
    }

    /// The same where no limits are given besides, and every row is read.
    pub(crate) fn is_in_time(&self, at: &str) -> String {
        match self.dialect {
            Dialect::Postgres => self.is_in_range(at),
            // With a sign before it, it is no range for an index.
            Dialect::Sqlite => self.is_in_range(&format!("+{at}")),
        }
    }

    /// The same, for the index of times.
    pub(crate) fn is_in_range(&self, at: &str) -> String {
        match self.dialect {
            Dialect::Postgres => {
                format!("({at} >= timestamptz '{FIRST_BUCKET}' AND {at} < timestamptz '{AFTER_BUCKETS}')")
            }
            Dialect::Sqlite => format!("{at} BETWEEN {FIRST_BUCKET_SECS} AND {AFTER_BUCKETS_SECS} - 1"),
        }
    }

    /// Whether the source's time is one, and in no bucket.
    pub(crate) fn is_unplaced(&self) -> String {
        let column = self.declaration.event_time.quoted();
        let at = self.at(&column);
        match self.dialect {
            Dialect::Postgres => {
                format!("({at} < timestamptz '{FIRST_BUCKET}' OR {at} >= timestamptz '{AFTER_BUCKETS}')")
            }
            Dialect::Sqlite => format!(
                "({at} IS NULL OR {at} < {FIRST_BUCKET_SECS} OR {at} >= {AFTER_BUCKETS_SECS}) AND {column} IS NOT NULL"
            ),
        }
    }

    /// A bucket or a given time, as [`Shape::at`] is compared with it.
    pub(crate) fn edge(&self, time: &str) -> String {
        match self.dialect {
            Dialect::Postgres => time.to_owned(),
            Dialect::Sqlite => format!("unixepoch({time})"),
        }
    }

    /// A bucket in whole seconds since the epoch.
    pub(crate) fn seconds(&self, bucket: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("floor(extract(epoch FROM {bucket}))::bigint"),
            Dialect::Sqlite => format!("unixepoch({bucket})"),
        }
    }

    /// The same of a time as [`Shape::at`] has it.
    pub(crate) fn event_seconds(&self, at: &str) -> String {
        match self.dialect {
            Dialect::Postgres => self.seconds(at),
            Dialect::Sqlite => at.to_owned(),
        }
    }

    /// The end of a bucket, as [`Shape::at`] is compared with it.
    pub(crate) fn end_of(&self, bucket: &str) -> String {
        let secs = self.declaration.grain.secs();
        match self.dialect {
            Dialect::Postgres => format!("{bucket} + interval '{secs} seconds'"),
            Dialect::Sqlite => format!("unixepoch({bucket}) + {secs}"),
        }
    }

    /// The beginning of the bucket that a time is in. Never depends on the session's time zone.
    pub(crate) fn bucket(&self, column: &str) -> String {
        let secs = self.declaration.grain.secs();
        match self.dialect {
            Dialect::Postgres => {
                // `extract` yields a `numeric`, and to divide one costs more than all else of a row. In whole seconds a float is as exact,
                // in any year.
                format!("to_timestamp(floor(date_part('epoch', date_trunc('second', {column})) / {secs}) * {secs})")
            }
            Dialect::Sqlite => {
                // Counted from the year 0, since the remainder of a negative number is negative: so the time is read once a row.
                format!(
                    "strftime('%Y-%m-%dT%H:%M:%SZ', (({}) + {YEAR_0_SECS}) / {secs} * {secs} - {YEAR_0_SECS}, 'unixepoch')",
                    self.at(column)
                )
            }
        }
    }
}
