UPDATE worklist SET input_sign = ?2 WHERE id = ?1 AND input_source IS NOT NULL
