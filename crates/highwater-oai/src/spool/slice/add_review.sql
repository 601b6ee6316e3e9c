INSERT OR REPLACE INTO slice_review (slice, no, identifier, why, datestamp, sets, deleted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
