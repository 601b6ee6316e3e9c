-- The columns of a table: as the type is written, its plain name (a domain's: that of what it is made of), and the rest.
SELECT a.attname::text,
       format_type(a.atttypid, a.atttypmod),
       format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END, NULL),
       a.attnotnull,
       a.attgenerated = 'v'
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
