SELECT outcome, count(*) FROM standing WHERE worklist = ?1 GROUP BY outcome
