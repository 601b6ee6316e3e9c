-- highwater:requires usage
-- The hours have all that the days had; this runs only when that is proved.
DROP TABLE task_usage_daily;
