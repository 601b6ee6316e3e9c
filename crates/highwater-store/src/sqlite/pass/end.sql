UPDATE pass
SET ended_at = ?2, reason = ?3, exit = ?4, message = ?5,
    done = ?6, gone = ?7, present = ?8, review = ?9, retry = ?10,
    items = ?11, contacts = ?12, bytes = ?13,
    lock_us = ?14, plan_us = ?15, prepare_us = ?16, commit_us = ?17, seal_us = ?18
WHERE id = ?1
