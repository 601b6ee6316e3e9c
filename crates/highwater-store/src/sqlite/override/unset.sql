DELETE FROM override WHERE job = ?1 AND key = ?2
