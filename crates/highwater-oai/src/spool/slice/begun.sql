SELECT count(*) FILTER (WHERE ranges = '[]'), count(*) FILTER (WHERE ranges <> '[]'), count(*) FILTER (WHERE first_response_at IS NULL),
       coalesce(sum(fetched), 0)
FROM slice
