-- What would mend what a job halted for, in its own words; NULL where only a person re-arms it.
ALTER TABLE job ADD COLUMN halted_until TEXT;
