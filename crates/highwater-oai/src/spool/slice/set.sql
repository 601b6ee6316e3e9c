INSERT INTO slice (key, ranges, first_response_at, fetched, next_no) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (key) DO UPDATE SET ranges = excluded.ranges, first_response_at = excluded.first_response_at,
                                fetched = excluded.fetched, next_no = excluded.next_no
