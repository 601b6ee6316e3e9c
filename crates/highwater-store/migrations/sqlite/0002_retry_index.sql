-- The same rows under a condition that costs an insert of `done` one comparison: SQLite builds a table in memory for every
-- statement that has to evaluate NOT IN with a list.
DROP INDEX standing_retry;
CREATE INDEX standing_retry ON standing (worklist, rank, position, pass)
    WHERE outcome <> 'done' AND outcome <> 'gone' AND outcome <> 'present' AND outcome <> 'skipped' AND outcome <> 'review';
