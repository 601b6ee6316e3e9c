SELECT count(*) FROM pass
