-- The ledger.
--
-- A time is an INTEGER: microseconds since 1970-01-01T00:00:00Z, in UTC.
-- `*_by` says who, `*_why` says why (R18).

CREATE TABLE job (
    name            TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    worklist        INTEGER REFERENCES worklist (id),   -- the newest that is pinned or drained
    drained         INTEGER NOT NULL DEFAULT 0,         -- a fact of its own: a halted job may be drained too
    halted_at       INTEGER,
    halted_by       TEXT,
    halted_why      TEXT,
    halted_evidence TEXT,
    paused_at       INTEGER,
    paused_by       TEXT,
    paused_why      TEXT,
    last_drained_at INTEGER,
    marker          TEXT,
    revision        INTEGER NOT NULL DEFAULT 0          -- counts what people changed about its items
) STRICT;

CREATE TABLE resource (
    name         TEXT PRIMARY KEY,
    epoch        INTEGER NOT NULL DEFAULT 0,            -- how often its lock was taken (R16)
    holder_host  TEXT,
    holder_pid   INTEGER,
    holder_since INTEGER,
    holder_job   TEXT,
    holder_pass  INTEGER,
    ban_until    INTEGER,                               -- only ever later, but for `lift` (R2)
    ban_at       INTEGER,
    ban_by       TEXT,
    ban_why      TEXT
) STRICT;

CREATE TABLE ticket (
    resource  TEXT NOT NULL REFERENCES resource (name),
    host      TEXT NOT NULL,
    pid       INTEGER NOT NULL,
    job       TEXT NOT NULL,
    since     INTEGER NOT NULL,
    lapses_at INTEGER NOT NULL,
    PRIMARY KEY (resource, host, pid, job)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never given twice, also when the row that had it is forgotten.
CREATE TABLE pass (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    job          TEXT NOT NULL REFERENCES job (name),
    begun_at     INTEGER NOT NULL,
    ended_at     INTEGER,                               -- NULL while it runs, or when it was killed
    host         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    who          TEXT NOT NULL,
    budget_items INTEGER,                               -- how many items it may begin
    reason       TEXT,
    exit         INTEGER,                               -- the exit code as a number
    message      TEXT,
    done         INTEGER NOT NULL DEFAULT 0,
    gone         INTEGER NOT NULL DEFAULT 0,
    present      INTEGER NOT NULL DEFAULT 0,
    review       INTEGER NOT NULL DEFAULT 0,
    retry        INTEGER NOT NULL DEFAULT 0,
    items        INTEGER NOT NULL DEFAULT 0,
    contacts     INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    lock_us      INTEGER NOT NULL DEFAULT 0,
    plan_us      INTEGER NOT NULL DEFAULT 0,
    prepare_us   INTEGER NOT NULL DEFAULT 0,
    commit_us    INTEGER NOT NULL DEFAULT 0,
    seal_us      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX pass_by_job ON pass (job, id);
CREATE INDEX pass_unended ON pass (job, id) WHERE ended_at IS NULL;

CREATE TABLE worklist (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    job                 TEXT NOT NULL REFERENCES job (name),
    round               INTEGER NOT NULL,
    state               TEXT NOT NULL,                  -- discovering, pinned, drained, superseded
    input_source        TEXT,
    input_sha256        TEXT,
    input_sign          TEXT,
    sha256              TEXT,
    begun_at            INTEGER NOT NULL,
    pinned_at           INTEGER,
    closed_at           INTEGER,
    -- The figures, kept in the transaction of each outcome.
    total               INTEGER NOT NULL DEFAULT 0,     -- items at this position and above are not pinned yet
    done                INTEGER NOT NULL DEFAULT 0,
    gone                INTEGER NOT NULL DEFAULT 0,
    present             INTEGER NOT NULL DEFAULT 0,
    skipped             INTEGER NOT NULL DEFAULT 0,
    review              INTEGER NOT NULL DEFAULT 0,
    retry               INTEGER NOT NULL DEFAULT 0,
    duplicates          INTEGER NOT NULL DEFAULT 0,
    judged              INTEGER NOT NULL DEFAULT 0,
    failed              INTEGER NOT NULL DEFAULT 0,
    judged_gone         INTEGER NOT NULL DEFAULT 0,
    generation          INTEGER NOT NULL DEFAULT 0,
    recorded            INTEGER NOT NULL DEFAULT 0,
    -- What is written and not pinned yet.
    unpinned            INTEGER NOT NULL DEFAULT 0,
    unpinned_duplicates INTEGER NOT NULL DEFAULT 0,
    forgotten           INTEGER NOT NULL DEFAULT 0      -- 0: all items are there, 1: some are gone, 2: all are
) STRICT;

CREATE INDEX worklist_by_job ON worklist (job, id);
CREATE INDEX worklist_to_forget ON worklist (closed_at) WHERE closed_at IS NOT NULL AND forgotten < 2;

-- An item is four rows at most, each in the table whose cost it should have: what was pinned is written once and never
-- again, how it stands is written when it is tried, and what is still untried is a row that goes away.
-- No foreign keys here: `ledger check` counts instead, and an outcome does not pay for them.

-- What was pinned. A table with row ids: keys and payloads of a page and more do not slow the search for a position.
CREATE TABLE item (
    worklist INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key      TEXT NOT NULL,
    payload  BLOB NOT NULL,
    PRIMARY KEY (worklist, position)
) STRICT;

-- From key to position: the first 16 bytes of the key's SHA-256, so that an entry is small however long the keys are.
-- Filled in the order of the hash when the worklist is pinned: in the order of the list, each item would rewrite a page.
CREATE TABLE item_key (
    worklist INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (worklist, hash)
) STRICT, WITHOUT ROWID;

-- Items that have no standing. Every pinned item is either here or in `standing`.
CREATE TABLE untried (
    worklist INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (worklist, position)
) STRICT, WITHOUT ROWID;

-- How an item stands after its last outcome.
CREATE TABLE standing (
    worklist              INTEGER NOT NULL,
    position              INTEGER NOT NULL,
    outcome               TEXT NOT NULL,                -- done, gone, present, skipped, review; failed, deferred: retry
    attempts              INTEGER NOT NULL,
    deferrals             INTEGER NOT NULL,
    successes_at_deferral INTEGER NOT NULL,
    judged_generation     INTEGER,
    judged_as             TEXT,
    recorded_at           INTEGER NOT NULL,
    recorded_no           INTEGER NOT NULL,             -- the how-manieth outcome of its worklist
    pass                  INTEGER,                      -- the pass that recorded it; NULL for a person
    detail                TEXT,
    rank                  INTEGER NOT NULL GENERATED ALWAYS AS (attempts + deferrals) VIRTUAL,
    PRIMARY KEY (worklist, position)
) STRICT, WITHOUT ROWID;

-- What is to be tried again, in plan order. Also finds a row whose outcome is no word that we know.
CREATE INDEX standing_retry ON standing (worklist, rank, position, pass)
    WHERE outcome NOT IN ('done', 'gone', 'present', 'skipped', 'review');
-- What people ask for; `done` is too common to be worth an entry.
CREATE INDEX standing_not_done ON standing (worklist, outcome, position) WHERE outcome <> 'done';
CREATE UNIQUE INDEX standing_recorded ON standing (worklist, recorded_no);

-- What is in hand, or was when a pass was killed.
CREATE TABLE intent (
    worklist INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind     TEXT NOT NULL,                             -- started, prepared, judged
    body     BLOB,                                      -- prepared: the job's bytes; judged: the outcome as JSON
    PRIMARY KEY (worklist, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE watermark (
    job        TEXT NOT NULL REFERENCES job (name),
    name       TEXT NOT NULL,
    value      INTEGER NOT NULL,
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;

-- The audit trail (R18). Never forgotten.
CREATE TABLE event (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    job      TEXT,
    resource TEXT,
    act      TEXT NOT NULL,
    who      TEXT NOT NULL,
    why      TEXT NOT NULL
) STRICT;

CREATE INDEX event_by_job ON event (job, no) WHERE job IS NOT NULL;

-- The last change that people were told of.
CREATE TABLE notice_change (
    job        TEXT NOT NULL REFERENCES job (name),
    change     TEXT NOT NULL,
    change_key TEXT NOT NULL,
    PRIMARY KEY (job, change)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    job          TEXT NOT NULL REFERENCES job (name),
    target       INTEGER NOT NULL,
    change       TEXT NOT NULL,
    body         TEXT NOT NULL,
    queued_at    INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,                      -- when it may be claimed: a claim and a failure move it on
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    delivered_at INTEGER
) STRICT;

CREATE INDEX notice_waiting ON notice (due_at, no) WHERE delivered_at IS NULL;

-- Rows that could not be read, as they were (R14). Nothing else refers to them.
CREATE TABLE quarantine (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    set_aside_at INTEGER NOT NULL,
    source       TEXT NOT NULL,                         -- the table it was in
    worklist     INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    why          TEXT NOT NULL,
    row          TEXT NOT NULL                          -- as JSON; bytes as {"hex": …}
) STRICT;
