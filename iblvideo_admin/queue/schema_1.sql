-- A job's state and its fields are one value, so that no field of another state can linger.
CREATE TABLE jobs (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  video    TEXT    NOT NULL UNIQUE,
  subject  TEXT    NOT NULL,
  date     TEXT    NOT NULL,
  number   TEXT    NOT NULL,
  camera   TEXT    NOT NULL,
  priority INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  created  REAL    NOT NULL,
  status   TEXT    NOT NULL,
  state    TEXT    NOT NULL
);
CREATE INDEX jobs_by_status ON jobs (status, priority DESC, id);

-- Every change: when, of which job (none: of the queue), to what, by whom and why.
CREATE TABLE events (
  time   REAL NOT NULL,
  job    INTEGER REFERENCES jobs (id),
  status TEXT NOT NULL,
  who    TEXT NOT NULL,
  why    TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job, time);

CREATE TABLE queue (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  held  INTEGER NOT NULL,
  since REAL    NOT NULL,
  who   TEXT    NOT NULL,
  why   TEXT    NOT NULL
);
INSERT INTO queue VALUES (1, 0, 0, '', '');
