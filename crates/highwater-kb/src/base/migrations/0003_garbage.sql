-- Every object that some generation has, or changed. None of them is garbage: to go back needs the old ones. It follows from the
-- manifests, and is filled from them by whoever collects.
CREATE TABLE referenced (
    content  BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What lies among the objects and nothing refers to.
CREATE TABLE condemned (
    name     TEXT PRIMARY KEY,               -- the file's
    at       TEXT NOT NULL                   -- since when that is known; RFC 3339, UTC
) STRICT, WITHOUT ROWID;

-- One row: how far the collection is.
CREATE TABLE collection (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    noted    INTEGER NOT NULL,               -- the newest generation whose objects are in `referenced`
    looked   TEXT NOT NULL,                  -- the last name that this round looked at; '' before its first
    ended    TEXT                            -- when the last round ended; RFC 3339, UTC
) STRICT;
INSERT INTO collection VALUES (1, 0, '', NULL);
