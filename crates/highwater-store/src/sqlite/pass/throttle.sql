UPDATE pass SET throttle = ?2 WHERE id = ?1
