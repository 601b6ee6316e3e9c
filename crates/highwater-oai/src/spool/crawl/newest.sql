SELECT id, name, source, base_url, metadata_prefix, set_spec, begun_at, finished_at, first_response_at, last_response_at, walk,
       pages, listed, unrecognised, unrecognised_named, short_of
FROM crawl
ORDER BY id DESC
LIMIT 1
