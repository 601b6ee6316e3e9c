SELECT string_agg(what, '; ')
FROM (
    (SELECT what || ' at ' || to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
     FROM {bypass} ORDER BY id LIMIT 5)
    UNION ALL
    -- Emptied by a transaction that this one's snapshot is older than, which shows its empty table all the same.
    SELECT 'the table ' || relname || ' was emptied or rewritten at this moment'
    FROM pg_class WHERE oid IN ({tables}) AND relkind = 'r' AND relfilenode <> pg_relation_filenode(oid)
    UNION ALL
    -- By what a leaf is and the file that its rows are in; its name and its bounds are as the session that wrote them saw them.
    (SELECT 'the partition ' || replace(coalesce(found.name, known.name), '"', '') || CASE
                WHEN known.leaf IS NULL THEN ' was attached'
                WHEN found.leaf IS NULL THEN ' was detached or dropped'
                ELSE ' was emptied by TRUNCATE, or rewritten' END
     FROM (SELECT split_part(each, E'\x1f', 1), split_part(each, E'\x1f', 2), split_part(each, E'\x1f', 3), split_part(each, E'\x1f', 6)
           FROM {state}, unnest(string_to_array(nullif(leaves, ''), E'\x1e')) AS each) AS known (alias, leaf, file, name)
     FULL JOIN (SELECT split_part(each, E'\x1f', 1), split_part(each, E'\x1f', 2), split_part(each, E'\x1f', 3), split_part(each, E'\x1f', 6)
                FROM unnest(string_to_array(nullif(({leaves}), ''), E'\x1e')) AS each) AS found (alias, leaf, file, name)
         ON known.alias = found.alias AND known.leaf = found.leaf
     WHERE known.file IS DISTINCT FROM found.file
     ORDER BY 1 LIMIT 5)
) AS unsettled (what)
