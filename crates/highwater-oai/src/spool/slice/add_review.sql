INSERT OR REPLACE INTO slice_review (slice, no, identifier, why) VALUES (?1, ?2, ?3, ?4)
