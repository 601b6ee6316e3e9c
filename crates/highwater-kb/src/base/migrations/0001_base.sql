-- One row: where the base stands.
CREATE TABLE base (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    head     INTEGER NOT NULL,               -- the newest generation
    applied  INTEGER NOT NULL                -- the newest one that stands in wiki/ and raw/: head, or the one before
        CHECK (applied IN (head, head - 1))
) STRICT;
INSERT INTO base VALUES (1, 0, 0);

-- Every change of the base, as the log tells it.
CREATE TABLE generation (
    number   INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,                  -- RFC 3339, UTC
    op       TEXT NOT NULL,
    text     TEXT NOT NULL,
    manifest BLOB NOT NULL                   -- the object that says what it changed
) STRICT;

-- What the newest generation has at each path. What a person made of it on the disk is fate.
CREATE TABLE file (
    path     TEXT PRIMARY KEY,
    content  BLOB NOT NULL,
    fate     TEXT NOT NULL DEFAULT 'as-generated'
        CHECK (fate IN ('as-generated', 'merged', 'conflict', 'kept', 'deleted'))
) STRICT, WITHOUT ROWID;

-- What the generation that is not applied yet changes.
CREATE TABLE change (
    path     TEXT PRIMARY KEY,
    base     BLOB,                           -- what the generation before had there
    new      BLOB                            -- what this one has; NULL is nothing
) STRICT, WITHOUT ROWID;

CREATE TABLE document (
    name     TEXT PRIMARY KEY,
    record   TEXT NOT NULL                   -- JSON
) STRICT, WITHOUT ROWID;
