-- What finds and remembers old data that is to be deleted: see `[retention]` in the settings.

-- The rules by which old data is deleted. `scheduled_ts`: when the server last queued a run by itself; before the first one, when it
-- first saw that the rule is on; nothing while it is off. The rest is about the last run that is over: its job, the time before
-- which it deleted, when it ended, and the numbers of things that it deleted and that it kept although they are as old.
CREATE TABLE retention_runs (
  rule {text} PRIMARY KEY,
  scheduled_ts {bigint},
  job {text},
  before_ts {bigint},
  ended_ts {bigint},
  deleted {bigint},
  kept {bigint}
){strict};

-- Devices by when they were seen. Each is in one of the two indexes: those whose address is stored, and the others.
CREATE INDEX devices_with_address ON devices (coalesce(last_seen_ts, created_ts), user_num, device_id)
  WHERE last_seen_ip IS NOT NULL;
CREATE INDEX devices_without_address ON devices (coalesce(last_seen_ts, created_ts), user_num, device_id)
  WHERE last_seen_ip IS NULL;

-- Guests by when they were seen, and accounts that were never seen by when they were made.
CREATE INDEX users_guests ON users (coalesce(last_seen_ts, created_ts), num) WHERE is_guest = 1 AND deactivated = 0;
CREATE INDEX users_never_seen ON users (created_ts, num)
  WHERE last_seen_ts IS NULL AND is_guest = 0 AND deactivated = 0 AND appservice_id IS NULL;

-- Pictures of previews by when they were used.
DROP INDEX media_previews;
CREATE INDEX media_previews ON media (sort_access_ts, created_ts, num) WHERE url_cache IS NOT NULL;

-- The rooms with a lifetime of messages of their own.
CREATE INDEX events_lifetimes ON events (room_num)
  WHERE event_type = 'm.room.retention' AND state_key = '' AND until_pos = 9223372036854775807;

-- The position before which the messages of a room were deleted since they had lived long enough.
ALTER TABLE rooms ADD COLUMN expired_pos {bigint} NOT NULL DEFAULT 0;
