SELECT name FROM resource ORDER BY name
