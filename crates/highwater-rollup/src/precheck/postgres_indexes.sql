-- The indexes that find rows by equality: whether they allow a value once, and their columns; an expression has no name.
SELECT i.indisunique,
       array_to_string(ARRAY(
           SELECT coalesce(a.attname::text, '')
           FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, at)
           LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
           WHERE k.at <= i.indnkeyatts
           ORDER BY k.at
       ), E'\x1f')
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS m ON m.oid = c.relam
WHERE i.indrelid = to_regclass($1::text)
  AND i.indisvalid
  AND i.indpred IS NULL
  AND m.amname IN ('btree', 'hash')
ORDER BY c.relname
