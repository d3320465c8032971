-- The bin: media and rooms that administrators deleted, until they are deleted for good or brought back. A row moves here from
-- the table in which all readers find it, so that nothing else has to know of the bin; what refers to the row by its number stays
-- where it is.

-- Uploads in the bin, with the columns of `media` that are not derived. Their blobs stay.
-- `deleted_by_kind`, `deleted_by`: the actor, as in the audit log. From `purge_ts` on the upload is deleted for good.
CREATE TABLE media_bin (
  num {bigint} PRIMARY KEY,
  media_id {text} NOT NULL UNIQUE,
  user_num {bigint} NOT NULL,
  blob_num {bigint} NOT NULL,
  media_type {text} NOT NULL,
  media_length {bigint} NOT NULL,
  upload_name {text},
  created_ts {bigint} NOT NULL,
  last_access_ts {bigint},
  quarantined_by {text},
  safe_from_quarantine {bigint} NOT NULL,
  url_cache {text},
  authenticated {bigint} NOT NULL,
  disguised {bigint} NOT NULL,
  deleted_ts {bigint} NOT NULL,
  deleted_by_kind {text} NOT NULL,
  deleted_by {text} NOT NULL,
  purge_ts {bigint} NOT NULL
){strict};
CREATE INDEX media_bin_deleted ON media_bin (deleted_ts, num);
CREATE INDEX media_bin_user ON media_bin (user_num, deleted_ts, num);
CREATE INDEX media_bin_purge ON media_bin (purge_ts, num);
CREATE INDEX media_bin_blob ON media_bin (blob_num);

-- Rooms in the bin, with the columns of `rooms` that are not derived. Events, memberships and the like stay under the number of
-- the room.
-- `was_published`, `blocked_ts`, `from_pos`: what the deletion changed. It took the room out of the directory, blocked it at that
-- time, and made the members leave after that position.
CREATE TABLE room_bin (
  num {bigint} PRIMARY KEY,
  room_id {text} NOT NULL UNIQUE,
  version {text} NOT NULL,
  creator {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  last_event_id {text} NOT NULL,
  depth {bigint} NOT NULL,
  last_pos {bigint} NOT NULL,
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
  purged_pos {bigint} NOT NULL,
  was_published {bigint} NOT NULL,
  blocked_ts {bigint},
  from_pos {bigint} NOT NULL,
  deleted_ts {bigint} NOT NULL,
  deleted_by_kind {text} NOT NULL,
  deleted_by {text} NOT NULL,
  purge_ts {bigint} NOT NULL
){strict};
CREATE INDEX room_bin_deleted ON room_bin (deleted_ts, num);
CREATE INDEX room_bin_purge ON room_bin (purge_ts, num);
CREATE INDEX room_bin_avatar_url ON room_bin (substr(avatar_url, 1, 250)) WHERE avatar_url IS NOT NULL;

-- The aliases of rooms in the bin, which others may take meanwhile.
CREATE TABLE room_bin_aliases (
  room_num {bigint} NOT NULL,
  alias {text} NOT NULL,
  creator {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  PRIMARY KEY (room_num, alias)
){clustered};

-- The reports of events of rooms in the bin, as in `event_reports`.
CREATE TABLE room_bin_reports (
  id {bigint} PRIMARY KEY,
  received_ts {bigint} NOT NULL,
  room_num {bigint} NOT NULL,
  event_id {text} NOT NULL,
  sender {text} NOT NULL,
  user_id {text} NOT NULL,
  reason {text},
  score {bigint},
  assignee {text},
  resolution {text},
  changes {bigint} NOT NULL
){strict};
CREATE INDEX room_bin_reports_room ON room_bin_reports (room_num, id);
