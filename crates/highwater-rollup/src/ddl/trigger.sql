SELECT t.tgenabled::text, pg_get_triggerdef(t.oid), p.proname::text
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE t.tgrelid = to_regclass($1::text) AND t.tgname = $2::text AND NOT t.tgisinternal
