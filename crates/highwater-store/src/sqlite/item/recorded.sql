SELECT position
FROM standing INDEXED BY standing_recorded
WHERE worklist = ?1 AND recorded_no > ?2
ORDER BY recorded_no
LIMIT ?3
