SELECT (SELECT count(*) FROM record WHERE state = 'live'),
       (SELECT count(*) FROM record WHERE state = 'deleted'),
       (SELECT count(*) FROM work),
       (SELECT count(*) FROM record WHERE state = 'review')
