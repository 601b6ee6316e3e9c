-- What a person set of a job, until it is unset.
CREATE TABLE override (
    job    TEXT NOT NULL REFERENCES job (name),
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,                                -- as it was typed: `5s`
    set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    why    TEXT NOT NULL,
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;

-- What its throttle had come to, as JSON; NULL where it has none.
ALTER TABLE pass ADD COLUMN throttle TEXT;
