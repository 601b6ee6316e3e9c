SELECT count(*) FROM standing NOT INDEXED WHERE worklist = ?1 AND outcome IN ('failed', 'deferred') AND attempts + deferrals > 0
