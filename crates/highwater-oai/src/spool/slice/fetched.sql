SELECT coalesce(sum(ranges = '[]'), 0), coalesce(sum(ranges <> '[]'), 0) FROM slice
