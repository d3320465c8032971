-- Delivery of notifications.
--
-- A pusher has a position in the stream, so that no message needs a row. Migration 10 moves the columns for that to
-- `deliveries`:
-- `last_pos`: everything up to this position was delivered, or need not be delivered any more.
-- `marks`: grows with everything that may concern the pusher, so that a worker sees when there is more.
-- `due_ts`: the time at which a worker is to look at it next; nothing if there is nothing to deliver.
-- `claim`: the claim of a worker, until `due_ts`.
-- `failures`, `failing_since_ts`: the number of failures in a row, and the time of the first of these.

-- An address to which the notifications of an account are sent: an app at a push gateway, or an e-mail address.
--
-- `updated_ts`: the time at which its key was last set. `enabled`: whether it is switched on.
-- `told_unread`: the number of unread rooms or messages in the last notification that was delivered to it.
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

-- The position of the stream up to which pushers were marked.
CREATE TABLE push_position (pos {bigint} NOT NULL){strict};
INSERT INTO push_position (pos) VALUES (0);

-- The time at which an e-mail pusher last wrote about a room, and the pause before it does again.
CREATE TABLE mailed_rooms (
  pusher_num {bigint} NOT NULL,
  room_num {bigint} NOT NULL,
  sent_ts {bigint} NOT NULL,
  wait_ms {bigint} NOT NULL,
  PRIMARY KEY (pusher_num, room_num)
){strict};
CREATE INDEX mailed_rooms_sent ON mailed_rooms (sent_ts);
