-- The headers of a crawl that is not finished, in the order in which they were listed: a page is added at the end of the table
-- and touches nothing that is there. When the crawl ends they are put into `header`, sorted, and each identifier once.
CREATE TABLE listed (
    no         INTEGER PRIMARY KEY,                     -- its place in the list
    crawl      INTEGER NOT NULL REFERENCES crawl (id) ON DELETE CASCADE,
    identifier TEXT NOT NULL,                           -- after the prefix; more than once if it was listed so
    number     INTEGER NOT NULL,                        -- what it ends with
    deleted    INTEGER NOT NULL
) STRICT;

-- A crawl that was left on its way goes on where it is.
INSERT INTO listed (no, crawl, identifier, number, deleted)
SELECT h.no, h.crawl, h.identifier, h.number, h.deleted
FROM header AS h
JOIN crawl AS c ON c.id = h.crawl AND c.finished_at IS NULL
ORDER BY h.no;

DELETE FROM header WHERE crawl IN (SELECT id FROM crawl WHERE finished_at IS NULL);
