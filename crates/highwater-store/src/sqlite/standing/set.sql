INSERT INTO standing (worklist, position, outcome, attempts, deferrals, successes_at_deferral, judged_generation, judged_as,
                      recorded_at, recorded_no, pass, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (worklist, position) DO UPDATE SET
    outcome = excluded.outcome, attempts = excluded.attempts, deferrals = excluded.deferrals,
    successes_at_deferral = excluded.successes_at_deferral, judged_generation = excluded.judged_generation,
    judged_as = excluded.judged_as, recorded_at = excluded.recorded_at, recorded_no = excluded.recorded_no,
    pass = excluded.pass, detail = excluded.detail
