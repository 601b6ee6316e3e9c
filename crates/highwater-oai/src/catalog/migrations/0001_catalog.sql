-- The catalogue.
--
-- A time is an INTEGER: seconds since 1970-01-01T00:00:00Z. Text is UTF-8 in NFC, as the reader of metadata leaves it.
-- A work is what one live record describes, and has its id. Records are never removed: a deleted one stays as a tombstone.

CREATE TABLE record (
    id        INTEGER PRIMARY KEY,
    oai_id    TEXT NOT NULL UNIQUE,
    suffix    TEXT NOT NULL,                             -- what follows the namespace in `oai:namespace:suffix`
    number    INTEGER,                                   -- what the suffix ends in, for newest-first
    datestamp INTEGER NOT NULL,
    by_day    INTEGER NOT NULL CHECK (by_day IN (0, 1)), -- the datestamp is a day
    sets      TEXT NOT NULL,                             -- a JSON array of setSpecs, as the header has them
    state     TEXT NOT NULL CHECK (state IN ('live', 'deleted', 'review')),
    review    TEXT CHECK ((review IS NULL) = (state <> 'review')),  -- why a person must look
    hash      BLOB NOT NULL,                             -- SHA-256 of header and metadata
    loaded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX record_by_suffix ON record (suffix);
CREATE INDEX record_by_number ON record (number) WHERE number IS NOT NULL;
CREATE INDEX record_live ON record (oai_id) WHERE state = 'live';
-- What is served: a record in review may be anything but XML.
CREATE INDEX record_served ON record (datestamp) WHERE state <> 'review';
CREATE INDEX record_in_review ON record (id) WHERE state = 'review';

-- Apart from the record, so that lists of headers do not read it.
CREATE TABLE metadata (
    record INTEGER PRIMARY KEY REFERENCES record (id),
    bytes  INTEGER NOT NULL,                             -- before compression
    zstd   BLOB NOT NULL
) STRICT;

CREATE TABLE oai_set (
    id   INTEGER PRIMARY KEY,
    spec TEXT NOT NULL UNIQUE
) STRICT;

-- A record of the set `a:b` is a member of `a` too. In the order in which a list is served.
CREATE TABLE membership (
    oai_set   INTEGER NOT NULL REFERENCES oai_set (id),
    datestamp INTEGER NOT NULL,
    record    INTEGER NOT NULL REFERENCES record (id),
    PRIMARY KEY (oai_set, datestamp, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE work (
    id           INTEGER PRIMARY KEY REFERENCES record (id),
    title        TEXT NOT NULL,
    other_titles TEXT NOT NULL,                          -- JSON arrays
    languages    TEXT NOT NULL,
    types        TEXT NOT NULL,
    publisher    TEXT,
    year         INTEGER,
    description  TEXT                                    -- long, so last
) STRICT;

CREATE TABLE identifier (
    work     INTEGER NOT NULL REFERENCES work (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    type     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (work, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifier_by_value ON identifier (value, type);

CREATE TABLE contributor (
    work     INTEGER NOT NULL REFERENCES work (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    role     TEXT NOT NULL,
    PRIMARY KEY (work, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE subject (
    work     INTEGER NOT NULL REFERENCES work (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (work, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE licence (
    work     INTEGER NOT NULL REFERENCES work (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT,
    url      TEXT,
    PRIMARY KEY (work, position),
    CHECK (name IS NOT NULL OR url IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    work     INTEGER NOT NULL REFERENCES work (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    url      TEXT NOT NULL,
    format   TEXT,
    licence  TEXT,                                       -- the work's, where it has one only
    PRIMARY KEY (work, position)
) STRICT, WITHOUT ROWID;

-- What is searched; its rows are those of `work`. It keeps no text, and needs none to forget a row.
CREATE VIRTUAL TABLE work_text USING fts5 (
    titles, names, subjects,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
-- A word in a title says more than one in a name, and that more than one in a subject.
INSERT INTO work_text (work_text, rank) VALUES ('rank', 'bm25(8.0, 4.0, 1.0)');

-- Counted in the transaction that changes what is counted.
CREATE TABLE figure (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    live    INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    review  INTEGER NOT NULL,
    works   INTEGER NOT NULL
) STRICT;
INSERT INTO figure VALUES (1, 0, 0, 0, 0);
