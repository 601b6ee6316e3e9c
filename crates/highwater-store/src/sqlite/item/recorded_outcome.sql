SELECT position
FROM standing INDEXED BY standing_recorded
WHERE worklist = ?1 AND recorded_no > ?2 AND outcome IN (?4, ?5)
ORDER BY recorded_no
LIMIT ?3
