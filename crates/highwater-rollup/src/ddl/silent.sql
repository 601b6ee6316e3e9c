-- Triggers that are wanted and do not fire; one for each row has a clone on every partition, of the same name.
SELECT w.name, CASE WHEN r.level > 0 THEN r.relid::regclass::text END, t.tgenabled::text
FROM (VALUES {wanted}) AS w (name, table_name, by_row)
CROSS JOIN LATERAL (
    SELECT to_regclass(w.table_name)::oid AS relid, 0 AS level
    UNION ALL
    SELECT p.relid::oid, p.level FROM pg_partition_tree(to_regclass(w.table_name)) AS p WHERE w.by_row AND p.level > 0
) AS r
LEFT JOIN pg_trigger AS t ON t.tgrelid = r.relid AND t.tgname = w.name
WHERE t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A')
ORDER BY w.name, 2
