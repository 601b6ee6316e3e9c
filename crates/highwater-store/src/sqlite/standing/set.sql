UPDATE standing
SET outcome = ?3, attempts = ?4, deferrals = ?5, successes_at_deferral = ?6, judged_generation = ?7, judged_as = ?8,
    recorded_at = ?9, recorded_no = ?10, pass = ?11, detail = ?12
WHERE worklist = ?1 AND position = ?2
