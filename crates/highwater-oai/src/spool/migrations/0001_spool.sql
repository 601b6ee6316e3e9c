-- The spool of one OAI job: what was fetched and is not loaded yet, and how far lists were read. Everything in it can be
-- fetched again, but for `filtered`, which is what a fetched record came to.
--
-- A time is an INTEGER: microseconds since 1970-01-01T00:00:00Z, in UTC.

-- What the repository says of itself, asked once.
CREATE TABLE repository (
    base_url    TEXT PRIMARY KEY,
    granularity TEXT NOT NULL,                          -- day, second
    earliest    TEXT NOT NULL,
    asked_at    INTEGER NOT NULL
) STRICT;

-- A list of all identifiers: crawled, or brought by a snapshot. AUTOINCREMENT: a number is never given twice.
CREATE TABLE crawl (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL,                       -- what a snapshot's manifest calls it
    source         TEXT NOT NULL,                       -- crawl, snapshot
    base_url       TEXT NOT NULL,
    metadata_prefix TEXT NOT NULL,
    set_spec       TEXT NOT NULL,                       -- empty: all
    begun_at       INTEGER NOT NULL,
    finished_at    INTEGER,                             -- NULL until the list came to its end
    first_response_at INTEGER,                          -- by the repository's clock
    last_response_at  INTEGER,
    walk           TEXT,                                -- where the list goes on, as JSON; NULL before its first page
    pages          INTEGER NOT NULL DEFAULT 0,
    listed         INTEGER NOT NULL DEFAULT 0,          -- headers, duplicates included
    unrecognised   INTEGER NOT NULL DEFAULT 0,          -- of another shape than the identifier prefix
    unrecognised_named TEXT NOT NULL DEFAULT '',        -- the first of them, a line each
    short_of       INTEGER                              -- completeListSize, where the list ended before it
) STRICT;

CREATE TABLE header (
    crawl      INTEGER NOT NULL REFERENCES crawl (id) ON DELETE CASCADE,
    identifier TEXT NOT NULL,                           -- after the prefix
    no         INTEGER NOT NULL,                        -- its place in the list
    number     INTEGER NOT NULL,                        -- what it ends with
    deleted    INTEGER NOT NULL,
    PRIMARY KEY (crawl, identifier)
) STRICT, WITHOUT ROWID;

-- What the target has, as it was when the worklist was planned.
CREATE TABLE have (identifier TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- What is to be drained, in order, as it was when the worklist was planned.
CREATE TABLE missing (
    no         INTEGER PRIMARY KEY,
    identifier TEXT NOT NULL
) STRICT;

-- Records that were fetched and are of a type that is not wanted: not asked for again.
CREATE TABLE filtered (
    identifier TEXT PRIMARY KEY,
    why        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A slice of a harvest that is in hand.
CREATE TABLE slice (
    key            TEXT PRIMARY KEY,
    ranges         TEXT NOT NULL,                       -- what of it is still to be fetched, as JSON
    first_response_at INTEGER,                          -- by the repository's clock: when its list was first asked for
    fetched        INTEGER NOT NULL DEFAULT 0,          -- records
    next_no        INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Its records, fetched and not loaded yet.
CREATE TABLE slice_record (
    slice      TEXT NOT NULL REFERENCES slice (key) ON DELETE CASCADE,
    no         INTEGER NOT NULL,
    identifier TEXT NOT NULL,                           -- whole
    datestamp  TEXT NOT NULL,
    sets       TEXT NOT NULL,                           -- JSON
    deleted    INTEGER NOT NULL,
    metadata   TEXT,
    PRIMARY KEY (slice, no)
) STRICT, WITHOUT ROWID;

-- What a person must look at in a slice, until it is recorded.
CREATE TABLE slice_review (
    slice      TEXT NOT NULL REFERENCES slice (key) ON DELETE CASCADE,
    no         INTEGER NOT NULL,
    identifier TEXT NOT NULL,
    why        TEXT NOT NULL,
    PRIMARY KEY (slice, no)
) STRICT, WITHOUT ROWID;
