-- The source and, if it is partitioned, all below it, each after what it is part of: whether an index leads to its rows by the
-- event time, and what there is under the name that ours has.
WITH tree AS (
    SELECT to_regclass($1::text)::oid AS relid, NULL::oid AS parent, 0 AS level
    UNION ALL
    SELECT p.relid::oid, p.parentrelid::oid, p.level
    FROM pg_partition_tree(to_regclass($1::text)) AS p
    WHERE p.level > 0
), led AS (
    SELECT i.indexrelid AS oid,
           i.indrelid AS relid,
           i.indisvalid AND i.indisready AND i.indislive AS is_whole
    FROM tree AS t
    JOIN pg_index AS i ON i.indrelid = t.relid AND i.indpred IS NULL
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_opclass AS k ON k.oid = i.indclass[0] AND k.opcdefault
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = $2::text
)
SELECT t.relid::bigint,
       t.parent::bigint,
       c.relkind = 'p',
       format('%I.%I', n.nspname, c.relname),
       format('%I.%I', n.nspname, own.name),
       quote_ident(own.name),
       EXISTS (SELECT 1 FROM led AS l WHERE l.relid = t.relid AND l.is_whole),
       CASE WHEN o.oid IS NULL THEN 'none'
            WHEN l.oid IS NULL THEN 'other'
            WHEN l.is_whole THEN 'whole'
            WHEN EXISTS (SELECT 1 FROM pg_stat_progress_create_index AS p WHERE p.index_relid = o.oid) THEN 'being made'
            ELSE 'invalid'
       END
FROM tree AS t
JOIN pg_class AS c ON c.oid = t.relid AND c.relkind IN ('r', 'p')
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT $3::text || CASE t.level WHEN 0 THEN '' ELSE '_' || to_hex(t.relid::bigint) END AS name
) AS own
LEFT JOIN pg_class AS o ON o.relnamespace = c.relnamespace AND o.relname = own.name
LEFT JOIN led AS l ON l.oid = o.oid AND l.relid = t.relid
ORDER BY t.level, t.relid
