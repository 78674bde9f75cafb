-- What is asked for often stands in columns of its own; how often the job's process died by itself, what a person
-- wants of a running job, when a failure was acknowledged, and when the job's folder was removed.
ALTER TABLE jobs ADD COLUMN since REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN due REAL NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN code TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN wish TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN acknowledged REAL;
ALTER TABLE jobs ADD COLUMN pruned REAL;
UPDATE jobs SET
  since = coalesce(json_extract(state, '$.since'), 0),
  due = coalesce(json_extract(state, '$.not_before'), 0),
  code = coalesce(json_extract(state, '$.code'), '');
CREATE INDEX jobs_by_time ON jobs (status, since);

-- A hold may end by itself; `seen`: somebody has seen the first backlog, or there was none.
ALTER TABLE queue ADD COLUMN until REAL NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET seen = EXISTS (SELECT 1 FROM jobs WHERE status = 'Complete');

-- Each device that a worker has taken, and why it does nothing there. Whether the worker lives, its lock says.
CREATE TABLE devices (
  device TEXT PRIMARY KEY,
  pid    INTEGER NOT NULL,
  since  REAL    NOT NULL,
  reason TEXT    NOT NULL
);
