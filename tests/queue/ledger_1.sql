BEGIN TRANSACTION;
CREATE TABLE events (
  time   REAL NOT NULL,
  job    INTEGER REFERENCES jobs (id),
  status TEXT NOT NULL,
  who    TEXT NOT NULL,
  why    TEXT NOT NULL
);
INSERT INTO "events" VALUES(10.0,1,'Waiting','admin','added');
INSERT INTO "events" VALUES(10.0,2,'Waiting','admin','added');
INSERT INTO "events" VALUES(10.0,3,'Waiting','admin','added');
INSERT INTO "events" VALUES(10.0,1,'Started','admin','started');
INSERT INTO "events" VALUES(10.0,1,'Complete','admin','tracked');
INSERT INTO "events" VALUES(10.0,2,'Started','admin','started');
INSERT INTO "events" VALUES(10.0,2,'Errored','admin','video.corrupt');
INSERT INTO "events" VALUES(10.0,3,'Held','admin','by hand');
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
INSERT INTO "jobs" VALUES(1,'/mnt/s0/Data/Subjects/KS001/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS001','2026-01-15','001','left',0,0,10.0,'Complete','{"status": "Complete", "since": 19.0, "frames": 600, "fps": 20.0, "seconds": 30.0, "sha256": "abc", "warnings": []}');
INSERT INTO "jobs" VALUES(2,'/mnt/s0/Data/Subjects/KS001/2026-01-15/001/raw_video_data/_iblrig_bodyCamera.raw.mp4','KS001','2026-01-15','001','body',0,1,10.0,'Errored','{"status": "Errored", "since": 20.0, "code": "video.corrupt", "message": "m", "remedy": "r"}');
INSERT INTO "jobs" VALUES(3,'/mnt/s0/Data/Subjects/KS002/2026-01-15/001/raw_video_data/_iblrig_leftCamera.raw.mp4','KS002','2026-01-15','001','left',0,0,10.0,'Held','{"status": "Held", "since": 21.0, "because": "by hand"}');
CREATE TABLE queue (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  held  INTEGER NOT NULL,
  since REAL    NOT NULL,
  who   TEXT    NOT NULL,
  why   TEXT    NOT NULL
);
INSERT INTO "queue" VALUES(1,0,0.0,'','');
CREATE INDEX jobs_by_status ON jobs (status, priority DESC, id);
CREATE INDEX events_by_job ON events (job, time);
COMMIT;
PRAGMA user_version = 1;
