UPDATE pass SET ended_at = ?3, message = ?4 WHERE job = ?1 AND ended_at IS NULL AND id < ?2
