SELECT value FROM watermark WHERE job = ?1 AND name = ?2
