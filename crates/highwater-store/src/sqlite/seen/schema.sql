-- The keys of worklists that are being discovered. Lives in an attached file without a name, which goes with the connection.
CREATE TABLE scratch.seen (
    worklist INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (worklist, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE scratch.seen_worklist (
    worklist INTEGER PRIMARY KEY,
    items    INTEGER NOT NULL
) STRICT;
