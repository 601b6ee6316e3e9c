SELECT identifier FROM missing WHERE ?1 IS NOT NULL ORDER BY no
