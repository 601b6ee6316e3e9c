UPDATE record SET datestamp = ?2, by_day = ?3, sets = ?4, state = ?5, review = ?6, hash = ?7, loaded_at = ?8 WHERE id = ?1
