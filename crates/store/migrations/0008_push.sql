-- Delivery of notifications.

-- A pusher knows how far in the stream it has told its owner, so that the queue needs no row
-- for a message.
--
-- `updated_ts`: when its key was last set. `enabled`: whether it is switched on.
-- `last_pos`: everything up to this position of the stream was told, or need not be told any more.
-- `told_unread`: the number of unread rooms or messages that the device was last told.
-- `marks`: grows with everything that may concern it, so that whoever works on it sees when there is more.
-- `due_ts`: when it is to be looked at next; nothing if there is nothing to tell.
-- `claim`: who works on it, until `due_ts`.
-- `failures`, `failing_since_ts`: how often in a row, and since when, it could not be delivered.
CREATE TABLE pushers (
  num {identity},
  user_num {bigint} NOT NULL,
  app_id {text} NOT NULL,
  pushkey {text} NOT NULL,
  kind {text} NOT NULL,
  app_display_name {text} NOT NULL,
  device_display_name {text} NOT NULL,
  profile_tag {text} NOT NULL,
  lang {text} NOT NULL,
  data {text} NOT NULL,
  device_id {text},
  created_ts {bigint} NOT NULL,
  updated_ts {bigint} NOT NULL,
  enabled {bigint} NOT NULL,
  last_pos {bigint} NOT NULL,
  told_unread {bigint} NOT NULL,
  marks {bigint} NOT NULL,
  due_ts {bigint},
  claim {text},
  failures {bigint} NOT NULL,
  failing_since_ts {bigint},
  UNIQUE (user_num, app_id, pushkey)
){strict};
CREATE INDEX pushers_pushkey ON pushers (app_id, pushkey);
CREATE INDEX pushers_due ON pushers (due_ts) WHERE due_ts IS NOT NULL;

-- Up to which position of the stream pushers were marked.
CREATE TABLE push_position (pos {bigint} NOT NULL){strict};
INSERT INTO push_position (pos) VALUES (0);

-- When an e-mail pusher last wrote about a room, and how long it waits before it does again.
CREATE TABLE mailed_rooms (
  pusher_num {bigint} NOT NULL,
  room_num {bigint} NOT NULL,
  sent_ts {bigint} NOT NULL,
  wait_ms {bigint} NOT NULL,
  PRIMARY KEY (pusher_num, room_num)
){strict};
CREATE INDEX mailed_rooms_sent ON mailed_rooms (sent_ts);
