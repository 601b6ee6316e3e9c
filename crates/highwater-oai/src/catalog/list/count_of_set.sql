SELECT count(*) FROM membership
WHERE oai_set = (SELECT id FROM oai_set WHERE spec = ?3) AND datestamp BETWEEN ?1 AND ?2
