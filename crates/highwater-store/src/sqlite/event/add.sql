INSERT INTO event (at, job, resource, act, who, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
