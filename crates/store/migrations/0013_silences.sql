-- Whom push rules keep from what notifies everybody: noted once when that begins, and not with each event.

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

INSERT INTO silences (user_id, room_num, from_pos, upto_pos)
  SELECT user_id, room_num, pos, pos FROM notifications WHERE notifies = 0;
DELETE FROM notifications WHERE notifies = 0;
