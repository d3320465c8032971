-- Rooms and what happens in them.
--
-- Everything that clients learn by syncing has a `pos`: a position in the one stream of this server. A transaction
-- that takes a position holds the stream until it ends, so that whoever sees a position sees all below it.
-- Users are named by their full ids, since members of a room may be at home on other servers.

-- only sqlite
CREATE TABLE stream_position (pos {bigint} NOT NULL){strict};
INSERT INTO stream_position (pos) VALUES (0);
-- end
-- only postgres
CREATE SEQUENCE stream_position;
-- end

-- `last_event_id`, `depth`, `last_pos`: the end of the room's history, which the next event follows.
-- From `name` on: what lists show, kept with the state it comes from.
CREATE TABLE rooms (
  num {identity},
  room_id {text} NOT NULL UNIQUE,
  version {text} NOT NULL,
  creator {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  last_event_id {text} NOT NULL,
  depth {bigint} NOT NULL,
  last_pos {bigint} NOT NULL,
  -- whether it is in the public room directory
  published {bigint} NOT NULL,
  name {text},
  canonical_alias {text},
  topic {text},
  avatar_url {text},
  room_type {text},
  encryption {text},
  join_rule {text},
  guest_access {text},
  history_visibility {text},
  federatable {bigint} NOT NULL,
  joined_members {bigint} NOT NULL,
  invited_members {bigint} NOT NULL,
  state_events {bigint} NOT NULL
){strict};
CREATE INDEX rooms_published ON rooms (published, joined_members, room_id);

CREATE TABLE room_aliases (
  alias {text} PRIMARY KEY,
  room_num {bigint} NOT NULL,
  creator {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
CREATE INDEX room_aliases_room ON room_aliases (room_num, created_ts);

-- Rooms that nobody may join, known here or not.
CREATE TABLE blocked_rooms (
  room_id {text} PRIMARY KEY,
  user_id {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};

-- `json` is the whole signed event in the format of its room version. State events hold from `pos` to `until_pos`,
-- where another replaced them; the largest number stands for "still". So the state at any position can be found.
CREATE TABLE events (
  pos {bigint} PRIMARY KEY,
  room_num {bigint} NOT NULL,
  event_id {text} NOT NULL UNIQUE,
  event_type {text} NOT NULL,
  state_key {text},
  sender {text} NOT NULL,
  ts {bigint} NOT NULL,
  -- of m.room.member events
  membership {text},
  until_pos {bigint},
  relates_to {text},
  rel_type {text},
  redacted_by {text},
  -- whom it notifies who has no push rules of their own and is not mentioned: 0 nobody, 1 everybody, 2 everybody, so
  -- that it stands out
  notifies {bigint} NOT NULL,
  json {text} NOT NULL
){strict};
CREATE INDEX events_room ON events (room_num, pos);
CREATE INDEX events_notifying ON events (room_num, pos, sender, rel_type, relates_to, notifies) WHERE notifies > 0;
CREATE INDEX events_room_ts ON events (room_num, ts, pos);
CREATE INDEX events_state ON events (room_num, event_type, state_key, until_pos) WHERE until_pos IS NOT NULL;
CREATE INDEX events_state_until ON events (room_num, until_pos, pos) WHERE until_pos IS NOT NULL;
CREATE INDEX events_relations ON events (relates_to, rel_type, pos) WHERE relates_to IS NOT NULL;
CREATE INDEX events_sender ON events (sender, room_num, pos);
CREATE INDEX events_membership_sender ON events (sender, membership, ts) WHERE membership IS NOT NULL;
CREATE INDEX events_membership_target ON events (state_key, membership, ts) WHERE membership IS NOT NULL;

-- Where somebody stands in a room. `event_pos` is the newest membership event, `since_pos` the one that brought the
-- present membership.
CREATE TABLE memberships (
  user_id {text} NOT NULL,
  room_num {bigint} NOT NULL,
  membership {text} NOT NULL,
  event_pos {bigint} NOT NULL,
  since_pos {bigint} NOT NULL,
  forgotten {bigint} NOT NULL,
  -- whether the user has push rules of their own
  own_rules {bigint} NOT NULL,
  PRIMARY KEY (user_id, room_num)
){strict};
CREATE INDEX memberships_user ON memberships (user_id, membership, room_num);
CREATE INDEX memberships_own_rules ON memberships (room_num) WHERE own_rules = 1;
CREATE INDEX memberships_room ON memberships (room_num, membership, since_pos);

-- Threads, so that they can be listed by their latest reply.
CREATE TABLE threads (
  root_event_id {text} PRIMARY KEY,
  room_num {bigint} NOT NULL,
  latest_pos {bigint} NOT NULL,
  replies {bigint} NOT NULL
){strict};
CREATE INDEX threads_room ON threads (room_num, latest_pos);

-- Events that notify somebody otherwise than `events.notifies` says: who is mentioned, or has push rules of their own.
CREATE TABLE notifications (
  user_id {text} NOT NULL,
  room_num {bigint} NOT NULL,
  pos {bigint} NOT NULL,
  notifies {bigint} NOT NULL,
  PRIMARY KEY (user_id, room_num, pos)
){strict};
CREATE INDEX notifications_pos ON notifications (pos);

-- Words of messages.
-- only sqlite
CREATE VIRTUAL TABLE event_search USING fts5(words, content='', contentless_delete=1, detail=none);
-- end
-- only postgres
CREATE TABLE event_search (pos BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX event_search_words ON event_search USING gin (words);
-- end

-- `thread_id` is blank for a receipt that is about no thread.
CREATE TABLE receipts (
  room_num {bigint} NOT NULL,
  user_id {text} NOT NULL,
  receipt_type {text} NOT NULL,
  thread_id {text} NOT NULL,
  event_id {text} NOT NULL,
  event_pos {bigint} NOT NULL,
  ts {bigint} NOT NULL,
  pos {bigint} NOT NULL,
  PRIMARY KEY (room_num, user_id, receipt_type, thread_id)
){strict};
CREATE INDEX receipts_pos ON receipts (pos);
CREATE INDEX receipts_room ON receipts (room_num, pos);

-- Who types until when; 0 for who stopped.
CREATE TABLE typing (
  room_num {bigint} NOT NULL,
  user_id {text} NOT NULL,
  until_ts {bigint} NOT NULL,
  pos {bigint} NOT NULL,
  PRIMARY KEY (room_num, user_id)
){strict};
CREATE INDEX typing_pos ON typing (pos);
CREATE INDEX typing_until ON typing (until_ts);

CREATE TABLE presence (
  user_id {text} PRIMARY KEY,
  presence {text} NOT NULL,
  status_msg {text},
  last_active_ts {bigint} NOT NULL,
  pos {bigint} NOT NULL
){strict};
CREATE INDEX presence_pos ON presence (pos);
CREATE INDEX presence_active ON presence (presence, last_active_ts);

ALTER TABLE account_data ADD COLUMN pos {bigint} NOT NULL DEFAULT 0;
CREATE INDEX account_data_pos ON account_data (pos);
CREATE INDEX account_data_user_pos ON account_data (user_num, pos);

CREATE TABLE filters (
  user_num {bigint} NOT NULL,
  filter_id {bigint} NOT NULL,
  content {text} NOT NULL,
  PRIMARY KEY (user_num, filter_id)
){strict};

-- Requests with a transaction id and the event they led to, so that a repeated one has no second effect.
CREATE TABLE transactions (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  scope {text} NOT NULL,
  txn_id {text} NOT NULL,
  event_id {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id, scope, txn_id)
){strict};
CREATE INDEX transactions_event ON transactions (event_id);
CREATE INDEX transactions_created ON transactions (created_ts);

CREATE TABLE event_reports (
  id {identity},
  received_ts {bigint} NOT NULL,
  room_num {bigint} NOT NULL,
  event_id {text} NOT NULL,
  sender {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text},
  score {bigint}
){strict};
CREATE INDEX event_reports_received ON event_reports (received_ts, id);

CREATE TABLE room_reports (
  id {identity},
  received_ts {bigint} NOT NULL,
  room_id {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text} NOT NULL
){strict};

CREATE TABLE user_reports (
  id {identity},
  received_ts {bigint} NOT NULL,
  target_user_id {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text} NOT NULL
){strict};
CREATE INDEX user_reports_received ON user_reports (received_ts, id);

-- The room in which an account gets server notices.
CREATE TABLE notice_rooms (
  user_num {bigint} PRIMARY KEY,
  room_num {bigint} NOT NULL
){strict};

-- Connections of sliding sync: what a client was told, so that it is told changes only. `version` numbers the newest
-- answer that changed what it knows, `base` the answer that this one followed: the client may still ask from there.
-- `wanted` lists the kinds of state that its rooms refer to.
CREATE TABLE sliding_connections (
  num {identity},
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  conn_id {text} NOT NULL,
  base {bigint} NOT NULL,
  version {bigint} NOT NULL,
  used_ts {bigint} NOT NULL,
  wanted {text} NOT NULL,
  UNIQUE (user_num, device_id, conn_id)
){strict};
CREATE INDEX sliding_connections_used ON sliding_connections (used_ts);

-- What the client knows of a room since a version: everything up to the stream position `upto`, the newest
-- `timeline` events without gap, the state that the entry `wanted` of the connection names, and the membership events
-- at the positions `members`.
CREATE TABLE sliding_rooms (
  connection_num {bigint} NOT NULL,
  room_num {bigint} NOT NULL,
  version {bigint} NOT NULL,
  upto {bigint} NOT NULL,
  timeline {bigint} NOT NULL,
  wanted {bigint} NOT NULL,
  is_dm {bigint} NOT NULL,
  members {text} NOT NULL,
  PRIMARY KEY (connection_num, room_num, version)
){strict};
CREATE INDEX sliding_rooms_version ON sliding_rooms (connection_num, version);
