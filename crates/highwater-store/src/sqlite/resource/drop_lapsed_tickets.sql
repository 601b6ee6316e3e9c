DELETE FROM ticket WHERE resource = ?1 AND lapses_at <= ?2
