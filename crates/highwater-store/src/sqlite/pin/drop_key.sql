DELETE FROM item_key WHERE worklist = ?1 AND hash = ?2 AND position = ?3
