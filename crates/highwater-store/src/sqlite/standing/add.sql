INSERT INTO standing (worklist, position, outcome, attempts, deferrals, successes_at_deferral, judged_generation, judged_as,
                      recorded_at, recorded_no, pass, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
