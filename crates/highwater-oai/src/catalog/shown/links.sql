SELECT url, format, licence FROM link WHERE work = ?1 ORDER BY position
