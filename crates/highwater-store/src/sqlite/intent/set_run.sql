-- The positions come from the index alone: no key or payload is read.
INSERT INTO intent (worklist, position, kind, body)
SELECT worklist, position, ?4, NULL FROM item WHERE worklist = ?1 AND position BETWEEN ?2 AND ?3
ON CONFLICT (worklist, position) DO UPDATE SET kind = excluded.kind, body = excluded.body
