SELECT datestamp, by_day FROM record WHERE state <> 'review' ORDER BY datestamp LIMIT 1
