-- The tables of the server as a whole: its stream of changes, jobs, the audit log, and its signing keys.
--
-- In all tables, times are milliseconds since the Unix epoch, flags 0 or 1, and secrets SHA-256 digests. There are no
-- foreign keys: accounts are never deleted, and rows that depend on others are deleted by the deed that ends those.

-- Everything that clients learn by syncing has a `pos`: a position in the one stream of this server. A transaction
-- that takes a position holds the stream until it ends, so that a reader who sees a position sees all below it.
-- only sqlite
CREATE TABLE stream_position (pos {bigint} NOT NULL){strict};
INSERT INTO stream_position (pos) VALUES (0);
-- end
-- only postgres
CREATE SEQUENCE stream_position;
-- end

-- The epochs of the stream: one begins with each start of a server, at a position that it takes from the stream. A position
-- that was given out in an epoch belongs to this database's past if it is below the beginning of the next epoch. A
-- database restored from a backup does not know the epochs that began after the backup, and its first epoch after
-- restoring begins below the positions that were undone.
CREATE TABLE stream_epochs (
  began_pos {bigint} PRIMARY KEY,
  epoch {text} NOT NULL UNIQUE
){strict};

-- Durable work. `state` is scheduled, active, complete, failed or cancelled.
CREATE TABLE jobs (
  id {text} PRIMARY KEY,
  kind {text} NOT NULL,
  subject {text} NOT NULL,
  state {text} NOT NULL,
  payload {text} NOT NULL,
  done {bigint} NOT NULL,
  total {bigint} NOT NULL,
  result {text},
  error {text},
  attempts {bigint} NOT NULL,
  run_after_ts {bigint} NOT NULL,
  lease_until_ts {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  updated_ts {bigint} NOT NULL
){strict};
CREATE INDEX jobs_due ON jobs (state, run_after_ts);
CREATE INDEX jobs_created ON jobs (created_ts, id);
CREATE INDEX jobs_subject ON jobs (subject, created_ts, id);
CREATE INDEX jobs_updated ON jobs (state, updated_ts);

-- The audit log: a row for each act of administration. `changes` is JSON without secrets.
CREATE TABLE audit (
  id {identity},
  ts {bigint} NOT NULL,
  actor {text} NOT NULL,
  ip {text},
  request_id {text} NOT NULL,
  action {text} NOT NULL,
  target {text} NOT NULL,
  changes {text} NOT NULL
){strict};
CREATE INDEX audit_ts ON audit (ts, id);
CREATE INDEX audit_actor ON audit (actor, ts, id);
CREATE INDEX audit_target ON audit (target, ts, id);
CREATE INDEX audit_action ON audit (action, ts, id);

-- The Ed25519 keys with which the server signs: PKCS#8 documents.
CREATE TABLE signing_keys (
  version {text} PRIMARY KEY,
  secret {blob} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
