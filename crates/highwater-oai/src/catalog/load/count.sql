UPDATE figure SET live = live + ?1, deleted = deleted + ?2, review = review + ?3, works = works + ?4
