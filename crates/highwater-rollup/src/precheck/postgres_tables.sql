-- Names that a person may have meant, without those of the system; one that is temporary is told apart.
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text ELSE n.nspname::text || '.' || c.relname::text END,
       c.relpersistence = 't',
       c.relname::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (c.relpersistence = 't' OR (n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'))
ORDER BY 1
LIMIT $1::bigint
