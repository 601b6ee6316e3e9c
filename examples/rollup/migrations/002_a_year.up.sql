-- A year of usage that ends now: busy by day, less at the weekend, and one model that takes over from another.
INSERT INTO agent VALUES (1, 1), (2, 1), (3, 1), (4, 2), (5, 2);
INSERT INTO issue WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 200)
    SELECT n, CASE WHEN n % 5 > 0 THEN n % 4 + 1 END FROM s;
INSERT INTO agent_task_queue WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000)
    SELECT n, n % 5 + 1, CASE WHEN n % 3 > 0 THEN n % 200 + 1 END, n % 2 + 1 FROM s;
INSERT INTO task_usage (task_id, model, tokens, created_at)
WITH RECURSIVE
    hour(h) AS (SELECT 0 UNION ALL SELECT h + 1 FROM hour WHERE h < 8759),
    call(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM call WHERE n < 29),
    begun(at) AS (SELECT unixepoch('now') / 3600 * 3600 - 8760 * 3600),
    clock AS (
        SELECT h, at + h * 3600 AS at, (at / 3600 + h) % 24 AS hour, ((at / 3600 + h) / 24 + 4) % 7 AS weekday FROM hour, begun
    ),
    busy AS (
        SELECT *, (CASE WHEN hour BETWEEN 7 AND 18 THEN 20 - abs(13 - hour) ELSE 3 END) * (CASE WHEN weekday IN (0, 6) THEN 2 ELSE 5 END) / 5
            * (40 + h / 146) / 100 AS calls
        FROM clock
    )
SELECT
    (h * 7 + n * 13) % 5000 + 1,
    CASE WHEN n % 10 = 0 THEN 'embed' WHEN (n * 37 + h * 11) % 8760 < h THEN 'large-2' ELSE 'large-1' END,
    200 + (h * 7919 + n * 104729) % 4000,
    strftime('%Y-%m-%dT%H:%M:%SZ', at + (n * 113 + h) % 3600, 'unixepoch')
FROM busy JOIN call ON n < calls;
