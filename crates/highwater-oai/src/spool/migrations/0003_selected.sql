-- What was selected when the round of a harvest that is in hand was begun.
CREATE TABLE round (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    selected TEXT NOT NULL
) STRICT;

-- The types that were wanted when a record was dropped, a line each; of what was dropped before it is not known.
ALTER TABLE filtered ADD COLUMN wanted TEXT NOT NULL DEFAULT '';
