-- What people had made of files that a generation took out, and the version that they began from: where the file comes again, it is met as
-- their edit, or their deletion, of that. It follows from the manifests.
CREATE TABLE own (
    path     TEXT PRIMARY KEY,
    began    BLOB NOT NULL,
    deleted  INTEGER NOT NULL CHECK (deleted IN (0, 1))  -- nothing stood there, and not an edit
) STRICT, WITHOUT ROWID;

-- Of what is to be written, the version that people began from, where that is not base.
ALTER TABLE change ADD COLUMN began BLOB;
