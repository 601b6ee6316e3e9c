INSERT OR REPLACE INTO slice_record (slice, no, identifier, datestamp, sets, deleted, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
