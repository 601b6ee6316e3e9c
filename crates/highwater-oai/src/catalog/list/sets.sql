SELECT spec FROM oai_set
WHERE EXISTS (SELECT 1 FROM membership WHERE oai_set = oai_set.id) ORDER BY spec
