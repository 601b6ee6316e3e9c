SELECT outcome, attempts, deferrals, successes_at_deferral, judged_generation, judged_as
FROM standing
WHERE worklist = ?1 AND position = ?2
