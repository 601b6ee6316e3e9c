SELECT name FROM job ORDER BY name
