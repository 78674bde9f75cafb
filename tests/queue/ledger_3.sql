BEGIN TRANSACTION;
CREATE TABLE alyx (
  name  TEXT PRIMARY KEY,
  since REAL NOT NULL,
  value TEXT NOT NULL
);
INSERT INTO "alyx" VALUES('clock https://alyx.test lab',50.0,'1.5');
CREATE TABLE devices (
  device TEXT PRIMARY KEY,
  pid    INTEGER NOT NULL,
  since  REAL    NOT NULL,
  reason TEXT    NOT NULL
);
INSERT INTO "devices" VALUES('GPU-a',5377,30.0,'others use it');
CREATE TABLE downloads (
  path     TEXT PRIMARY KEY,
  task     TEXT NOT NULL,
  md5      TEXT NOT NULL,
  identity TEXT NOT NULL,
  since    REAL NOT NULL,
  removed  REAL
);
INSERT INTO "downloads" VALUES('/data/a.mp4','t1','d41d','1 2 3',5.0,NULL);
CREATE TABLE events (
  time   REAL NOT NULL,
  job    INTEGER REFERENCES jobs (id),
  status TEXT NOT NULL,
  who    TEXT NOT NULL,
  why    TEXT NOT NULL
);
INSERT INTO "events" VALUES(11.0,1,'Waiting','alice','added');
INSERT INTO "events" VALUES(13.0,2,'Waiting','alice','added');
INSERT INTO "events" VALUES(15.0,3,'Waiting','alice','added');
INSERT INTO "events" VALUES(17.0,4,'Waiting','alice','added');
INSERT INTO "events" VALUES(19.0,5,'Waiting','alice','added');
INSERT INTO "events" VALUES(21.0,6,'Waiting','alice','added');
INSERT INTO "events" VALUES(22.0,2,'Started','alice','started on GPU-a');
INSERT INTO "events" VALUES(23.0,3,'Started','alice','started on GPU-a');
INSERT INTO "events" VALUES(24.0,4,'Started','alice','started on GPU-a');
INSERT INTO "events" VALUES(25.0,5,'Started','alice','started on GPU-a');
INSERT INTO "events" VALUES(26.0,2,'Complete','alice','tracked');
INSERT INTO "events" VALUES(27.0,3,'Errored','alice','video.corrupt');
INSERT INTO "events" VALUES(28.0,4,'Held','alice','died');
INSERT INTO "events" VALUES(29.0,6,'Abandoned','alice','cancelled by hand');
INSERT INTO "events" VALUES(32.0,NULL,'held','alice','new cards');
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
, since REAL NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '', deaths INTEGER NOT NULL DEFAULT 0, wish TEXT NOT NULL DEFAULT '', acknowledged REAL, pruned REAL);
INSERT INTO "jobs" VALUES(1,'/data/Subjects/KS001/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS001','2026-01-15','001','left',5,0,10.0,'Waiting','{"status": "Waiting", "since": 10.0, "not_before": 0.0, "because": ""}',10.0,0.0,'',0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(2,'/data/Subjects/KS002/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS002','2026-01-15','001','left',0,0,12.0,'Complete','{"status": "Complete", "since": 30.0, "frames": 600, "fps": 20.0, "seconds": 30.0, "sha256": "abc", "warnings": ["w"]}',30.0,0.0,'',0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(3,'/data/Subjects/KS003/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS003','2026-01-15','001','left',0,1,14.0,'Errored','{"status": "Errored", "since": 31.0, "code": "video.corrupt", "message": "m", "remedy": "r"}',31.0,0.0,'video.corrupt',0,'',40.0,NULL);
INSERT INTO "jobs" VALUES(4,'/data/Subjects/KS004/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS004','2026-01-15','001','left',0,2,16.0,'Held','{"status": "Held", "since": 32.0, "because": "its process died 2 times", "until": 0.0, "code": "job.died"}',32.0,0.0,'job.died',2,'',NULL,NULL);
INSERT INTO "jobs" VALUES(5,'/data/Subjects/KS005/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS005','2026-01-15','001','left',0,0,18.0,'Started','{"status": "Started", "since": 20.0, "pid": 4711, "device": "GPU-a", "worker": "w"}',20.0,0.0,'',0,'cancel',NULL,NULL);
INSERT INTO "jobs" VALUES(6,'/data/Subjects/KS006/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS006','2026-01-15','001','left',0,0,20.0,'Abandoned','{"status": "Abandoned", "since": 33.0, "because": "cancelled by hand"}',33.0,0.0,'',0,'',NULL,50.0);
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
INSERT INTO "outbox" VALUES(1,'t1','status','{"status": "Started"}',50.0,0,0.0,0.0,'',60.0,'done');
INSERT INTO "outbox" VALUES(2,'t1','register','{"file": "f"}',50.0,0,0.0,0.0,'',NULL,'');
CREATE TABLE queue (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  held  INTEGER NOT NULL,
  since REAL    NOT NULL,
  who   TEXT    NOT NULL,
  why   TEXT    NOT NULL
, until REAL NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0);
INSERT INTO "queue" VALUES(1,1,31.0,'alice','new cards',100.0,0);
CREATE TABLE task_cameras (
  task    TEXT    NOT NULL REFERENCES tasks (id),
  camera  TEXT    NOT NULL,
  job     INTEGER REFERENCES jobs (id),
  made    INTEGER NOT NULL DEFAULT 0,
  code    TEXT    NOT NULL DEFAULT '',
  message TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (task, camera)
);
INSERT INTO "task_cameras" VALUES('t1','left',1,1,'','');
INSERT INTO "task_cameras" VALUES('t1','body',NULL,0,'video.missing','m');
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
INSERT INTO "tasks" VALUES('t1','https://alyx.test lab','DLC','s1','n1','tracking',50.0,'/data/Subjects/KS001/2026-01-15/001','');
CREATE INDEX jobs_by_status ON jobs (status, priority DESC, id);
CREATE INDEX events_by_job ON events (job, time);
CREATE INDEX jobs_by_time ON jobs (status, since);
CREATE INDEX tasks_by_phase ON tasks (phase);
CREATE INDEX outbox_by_task ON outbox (task, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('outbox',2);
PRAGMA user_version = 3;
COMMIT;
