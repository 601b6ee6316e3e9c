SELECT count(*)
FROM record LEFT JOIN work USING (id) LEFT JOIN metadata ON metadata.record = record.id
WHERE (state = 'live') <> (work.id IS NOT NULL) OR state = 'live' AND metadata.record IS NULL
