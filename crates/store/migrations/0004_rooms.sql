-- Rooms and what happens in them. Users are named by their full ids, since members of a room may be at home on other
-- servers.

-- `last_event_id`, `depth`, `last_pos`: the end of the room's history, which the next event follows.
-- From `name` to `state_events`: what lists show, kept with the state it comes from.
-- `purged_pos`: events before it were purged; they are in nobody's timeline, though some may be stored still.
-- `search_key`: name and local part of the main alias, case-folded, for substring search.
-- `list_class`: what lists filter by; 2 if published, plus 1 if anybody has joined.
-- `sort_…`: what lists sort by, as much of it as an index can hold, after an `a`; a `b` where there is no value. They are
-- columns of their own, since SQLite does not answer from an index alone where one of its columns is generated.
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
  state_events {bigint} NOT NULL,
  purged_pos {bigint} NOT NULL DEFAULT 0,
  search_key {text} NOT NULL DEFAULT '',
  list_class {bigint} NOT NULL DEFAULT 0,
  sort_name {text} NOT NULL DEFAULT 'b',
  sort_alias {text} NOT NULL DEFAULT 'b',
  sort_encryption {text} NOT NULL DEFAULT 'b',
  sort_join_rule {text} NOT NULL DEFAULT 'b',
  sort_guest_access {text} NOT NULL DEFAULT 'b',
  sort_history_visibility {text} NOT NULL DEFAULT 'b'
){strict};
CREATE INDEX rooms_published ON rooms (published, joined_members, room_id);
CREATE INDEX rooms_avatar_url ON rooms (substr(avatar_url, 1, 250)) WHERE avatar_url IS NOT NULL;

CREATE TABLE room_aliases (
  alias {text} PRIMARY KEY,
  room_num {bigint} NOT NULL,
  creator {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
CREATE INDEX room_aliases_room ON room_aliases (room_num, created_ts);
CREATE INDEX room_aliases_creator ON room_aliases (creator);

-- Rooms that nobody may join, known here or not.
CREATE TABLE blocked_rooms (
  room_id {text} PRIMARY KEY,
  user_id {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};

-- `json` is the whole signed event in the format of its room version. State events hold from `pos` to `until_pos`,
-- where another replaced them; the largest number means that they still hold. So the state at any position can be found.
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
  -- the members that it notifies, of those who have no push rules of their own and are not mentioned: 0 none, 1 all,
  -- 2 all, with a highlight
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
-- The people who replied in a thread.
CREATE INDEX events_repliers ON events (relates_to, sender, pos) WHERE rel_type = 'm.thread' AND redacted_by IS NULL;

-- The words of messages, names and topics, divided in the same way on both engines (`words`).
-- only sqlite
CREATE VIRTUAL TABLE event_words USING fts5(
  words, content='', contentless_delete=1, detail=none, tokenize='ascii');
-- end
-- only postgres
CREATE TABLE event_words (pos BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX event_words_words ON event_words USING gin (words);
-- end

-- The membership of each user in each room. `event_pos` is the newest membership event, `since_pos` the one that brought the
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
  -- whether the user ever had a pusher here, so that the pushers of a room are found without reading every member
  pushes {bigint} NOT NULL DEFAULT 0,
  -- by which words of a message the member may be meant: the first word of the name in the room, and of the localpart
  name_word {text} NOT NULL,
  id_word {text} NOT NULL,
  PRIMARY KEY (user_id, room_num)
){strict};
CREATE INDEX memberships_user ON memberships (user_id, membership, room_num);
CREATE INDEX memberships_own_rules ON memberships (room_num) WHERE own_rules = 1;
CREATE INDEX memberships_room ON memberships (room_num, membership, since_pos);
CREATE INDEX memberships_pushes ON memberships (room_num, user_id) WHERE pushes = 1;
CREATE INDEX memberships_name_word ON memberships (room_num, name_word) WHERE membership = 'join';
CREATE INDEX memberships_id_word ON memberships (room_num, id_word) WHERE membership = 'join';

-- Threads, so that they can be listed by their latest reply.
CREATE TABLE threads (
  root_event_id {text} PRIMARY KEY,
  room_num {bigint} NOT NULL,
  latest_pos {bigint} NOT NULL,
  replies {bigint} NOT NULL
){strict};
CREATE INDEX threads_room ON threads (room_num, latest_pos);

-- Events that notify a user otherwise than `events.notifies` says, since the user is mentioned or has push rules of their own.
CREATE TABLE notifications (
  user_id {text} NOT NULL,
  room_num {bigint} NOT NULL,
  pos {bigint} NOT NULL,
  notifies {bigint} NOT NULL,
  PRIMARY KEY (user_id, room_num, pos)
){clustered};
CREATE INDEX notifications_pos ON notifications (pos);
CREATE INDEX notifications_user_pos ON notifications (user_id, pos);

-- The events of a room from one position to another one notify the user of nothing. What has not ended goes up to the
-- last of all positions. The silences of a user in a room do not overlap, and no row of `notifications` is in one.
CREATE TABLE silences (
  user_id {text} NOT NULL,
  room_num {bigint} NOT NULL,
  from_pos {bigint} NOT NULL,
  upto_pos {bigint} NOT NULL,
  PRIMARY KEY (user_id, room_num, from_pos)
){strict};
CREATE INDEX silences_lasting ON silences (room_num, user_id) WHERE upto_pos = 9223372036854775807;

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

-- The time until which each user types in a room; 0 if the user has stopped.
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

-- The presence of each device, and the time at which it ends if nothing more is heard of the device. `presence` holds the
-- best of these, as it was last published.
CREATE TABLE presence_devices (
  user_id {text} NOT NULL,
  device_id {text} NOT NULL,
  presence {text} NOT NULL,
  until_ts {bigint} NOT NULL,
  PRIMARY KEY (user_id, device_id)
){strict};
CREATE INDEX presence_devices_until ON presence_devices (until_ts);

-- Requests with a transaction id and the event they led to, so that a repeated one has no second effect.
CREATE TABLE transactions (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  scope {text} NOT NULL,
  txn_id {text} NOT NULL,
  event_id {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id, scope, txn_id)
){clustered};
CREATE INDEX transactions_event ON transactions (event_id);
CREATE INDEX transactions_created ON transactions (created_ts);

-- Forced leaves: the members that a room had when it was deleted, and the position of the stream at which they left.
-- Clients that sync after the room itself is gone learn of it from here.
CREATE TABLE departures (
  user_id {text} NOT NULL,
  room_id {text} NOT NULL,
  pos {bigint} NOT NULL,
  -- the event by which the user left, as clients are shown it
  event {text},
  PRIMARY KEY (user_id, room_id)
){strict};
CREATE INDEX departures_user ON departures (user_id, pos);
CREATE INDEX departures_room ON departures (room_id, pos);
CREATE INDEX departures_pos ON departures (pos);

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
CREATE INDEX event_reports_room ON event_reports (room_num);
CREATE INDEX event_reports_user ON event_reports (user_id);

CREATE TABLE room_reports (
  id {identity},
  received_ts {bigint} NOT NULL,
  room_id {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text} NOT NULL
){strict};
CREATE INDEX room_reports_user ON room_reports (user_id);

CREATE TABLE user_reports (
  id {identity},
  received_ts {bigint} NOT NULL,
  target_user_id {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text} NOT NULL
){strict};
CREATE INDEX user_reports_received ON user_reports (received_ts, id);
CREATE INDEX user_reports_user ON user_reports (user_id);

-- The room in which an account gets server notices.
CREATE TABLE notice_rooms (
  user_num {bigint} PRIMARY KEY,
  room_num {bigint} NOT NULL
){strict};

-- Connections of sliding sync: the data that a client has received, so that it receives changes only. `version` numbers the
-- newest response with changes, `base` the response that this one followed: the client may still ask from there.
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

-- The part of a room that the client knows since a version: everything up to the stream position `upto`, the newest
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
