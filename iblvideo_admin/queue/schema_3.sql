-- Tasks of an Alyx that this server has claimed: `nonce` marks the claim in Alyx, `phase` says how far it is
-- (claiming, preparing, tracking, ended, left), `place` is the Alyx and the repository that it belongs to.
CREATE TABLE tasks (
  id      TEXT PRIMARY KEY,
  place   TEXT NOT NULL,
  name    TEXT NOT NULL,
  session TEXT NOT NULL,
  nonce   TEXT NOT NULL,
  phase   TEXT NOT NULL,
  since   REAL NOT NULL,
  folder  TEXT NOT NULL DEFAULT '',
  because TEXT NOT NULL DEFAULT ''
);
CREATE INDEX tasks_by_phase ON tasks (phase);

-- A task is a group of jobs, one for each camera. Without a job: its table was there, or `code` says why not.
-- `made`: the job was made, or asked for again, because of this task.
CREATE TABLE task_cameras (
  task    TEXT    NOT NULL REFERENCES tasks (id),
  camera  TEXT    NOT NULL,
  job     INTEGER REFERENCES jobs (id),
  made    INTEGER NOT NULL DEFAULT 0,
  code    TEXT    NOT NULL DEFAULT '',
  message TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (task, camera)
);

-- What is to be told to Alyx, each task's in the order of the numbers. `sent`: since when a request may be under way
-- whose answer nobody has; `done`: when it was settled, and `outcome` how.
CREATE TABLE outbox (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  task     TEXT    NOT NULL REFERENCES tasks (id),
  kind     TEXT    NOT NULL,
  data     TEXT    NOT NULL,
  since    REAL    NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due      REAL    NOT NULL DEFAULT 0,
  sent     REAL    NOT NULL DEFAULT 0,
  error    TEXT    NOT NULL DEFAULT '',
  done     REAL,
  outcome  TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX outbox_by_task ON outbox (task, id);

-- Videos that we fetched: only a file that is still this very one may be removed again.
CREATE TABLE downloads (
  path     TEXT PRIMARY KEY,
  task     TEXT NOT NULL,
  md5      TEXT NOT NULL,
  identity TEXT NOT NULL,
  since    REAL NOT NULL,
  removed  REAL
);

-- What was last seen of Alyx, by name.
CREATE TABLE alyx (
  name  TEXT PRIMARY KEY,
  since REAL NOT NULL,
  value TEXT NOT NULL
);
