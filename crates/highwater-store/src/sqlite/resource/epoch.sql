SELECT epoch FROM resource WHERE name = ?1
