SELECT name, role FROM contributor WHERE work = ?1 ORDER BY position
