SELECT a.attname::text, format_type(a.atttypid, NULL),
       coalesce((SELECT 1 FROM pg_index AS i
                 WHERE i.indexrelid = (SELECT k.indexrelid FROM pg_index AS k
                                       WHERE k.indrelid = a.attrelid AND k.indisunique AND k.indisvalid
                                         AND k.indpred IS NULL AND k.indexprs IS NULL
                                       ORDER BY k.indisprimary DESC, k.indexrelid LIMIT 1)
                   AND a.attnum = ANY (i.indkey::int2[])), 0)
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
