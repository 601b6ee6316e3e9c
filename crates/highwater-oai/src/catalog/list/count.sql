SELECT count(*) FROM record WHERE state <> 'review' AND datestamp BETWEEN ?1 AND ?2
