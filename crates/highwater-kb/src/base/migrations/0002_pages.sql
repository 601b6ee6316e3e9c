-- Everything here follows from the manifests and the objects: a rebuild makes it again.

-- What a document is found by, besides its name.
CREATE TABLE registered (
    sequence INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    folded   TEXT NOT NULL UNIQUE,           -- no two names may differ in case alone
    content  BLOB NOT NULL,
    origin   TEXT NOT NULL                   -- where it came from
) STRICT;
CREATE INDEX registered_content ON registered (content, sequence);
CREATE INDEX registered_origin ON registered (origin, sequence);

-- What each document says on the pages that it shares.
CREATE TABLE contribution (
    page        TEXT NOT NULL,
    sequence    INTEGER NOT NULL,            -- the document's
    document    TEXT NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    body        TEXT NOT NULL,
    alone       INTEGER NOT NULL CHECK (alone IN (0, 1)),
    PRIMARY KEY (page, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX contribution_of_document ON contribution (sequence, page);

-- Pages that are listed: summaries, concepts, entities. One of the latter stands once two documents contribute to it, or one to
-- which it is worth a page alone.
CREATE TABLE page (
    name        TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    key         BLOB NOT NULL,               -- what it is sorted by
    title       TEXT NOT NULL,               -- as its first document has it
    description TEXT NOT NULL,
    documents   INTEGER NOT NULL,
    alone       INTEGER NOT NULL,            -- how many of them would have it alone
    stands      INTEGER NOT NULL CHECK (stands IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX page_listed ON page (kind, key) WHERE stands = 1;

-- Which pages what a document says would link, whether they stand or not.
CREATE TABLE mention (
    target      TEXT NOT NULL,
    page        TEXT NOT NULL,               -- where it says so
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (target, page, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX mention_of_document ON mention (sequence);

-- Which links the files of the wiki have.
CREATE TABLE link (
    origin      TEXT NOT NULL,               -- the page, from the wiki's root, without its .md
    target      TEXT NOT NULL,               -- as it is written
    PRIMARY KEY (origin, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_to ON link (target, origin);

-- What a search finds: a part of a text with its lines, or a page as a whole.
CREATE TABLE passage (
    id          INTEGER PRIMARY KEY,
    page        TEXT NOT NULL,
    heading     TEXT NOT NULL,
    begin_line  INTEGER,                     -- from 0; NULL for a page as a whole
    end_line    INTEGER,                     -- the line after the last
    first_page  INTEGER,
    last_page   INTEGER
) STRICT;
CREATE INDEX passage_of_page ON passage (page);
CREATE VIRTUAL TABLE passage_text USING fts5 (
    title, body, cjk,                        -- cjk: what has no spaces, as pairs of characters
    content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- What the log tells of each month, in its order. A generation has one entry or, of several documents, one for each.
CREATE TABLE logged (
    month       TEXT NOT NULL,
    n           INTEGER NOT NULL,            -- 1 for its first
    at          TEXT NOT NULL,               -- RFC 3339, UTC
    op          TEXT NOT NULL,
    text        TEXT NOT NULL,
    PRIMARY KEY (month, n)
) STRICT, WITHOUT ROWID;

-- One row: what would else be counted.
CREATE TABLE tally (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    sequence_last INTEGER NOT NULL,
    documents     INTEGER NOT NULL,
    concepts      INTEGER NOT NULL,
    entities      INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0, 0);

-- Generations of a base that was made before its log was kept by month.
INSERT INTO logged
    SELECT substr(at, 1, 7), row_number() OVER (PARTITION BY substr(at, 1, 7) ORDER BY number), at, op, text FROM generation;
