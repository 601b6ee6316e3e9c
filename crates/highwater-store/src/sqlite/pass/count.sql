UPDATE pass
SET done = done + ?2, gone = gone + ?3, present = present + ?4, review = review + ?5, retry = retry + ?6
WHERE id = ?1
