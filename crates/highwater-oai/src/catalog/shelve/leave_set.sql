DELETE FROM membership
WHERE oai_set = (SELECT id FROM oai_set WHERE spec = ?1) AND datestamp = ?2 AND record = ?3
