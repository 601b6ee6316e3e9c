UPDATE worklist
SET total = ?2, done = ?3, gone = ?4, present = ?5, skipped = ?6, review = ?7, retry = ?8, duplicates = ?9,
    judged = ?10, failed = ?11, judged_gone = ?12, generation = ?13, recorded = ?14
WHERE id = ?1
