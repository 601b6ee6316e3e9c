-- What was selected when the round of a harvest that is in hand was begun.
CREATE TABLE round (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    selected TEXT NOT NULL
) STRICT;

-- The header of a record that cannot be read, where that much of it could; of one that its target could not take it is not kept.
ALTER TABLE slice_review ADD COLUMN datestamp TEXT;
ALTER TABLE slice_review ADD COLUMN sets TEXT;
ALTER TABLE slice_review ADD COLUMN deleted INTEGER;

-- The types that were wanted when a record was dropped, a line each; of what was dropped before it is not known.
ALTER TABLE filtered ADD COLUMN wanted TEXT NOT NULL DEFAULT '';
