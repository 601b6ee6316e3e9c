INSERT INTO crawl (name, source, base_url, metadata_prefix, set_spec, begun_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
