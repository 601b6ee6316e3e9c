SELECT count(*) FROM resource
