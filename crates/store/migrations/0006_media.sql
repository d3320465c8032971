-- Uploads and what is made of them.

-- Bytes that are complete in the store. Equal bytes are stored once: each upload of them is a row in `media` that
-- points here, and the bytes are deleted with the last of these.
CREATE TABLE media_blobs (
  num {identity},
  sha256 {text} NOT NULL UNIQUE,
  length {bigint} NOT NULL,
  -- where the bytes are; used once, never again
  object {text} NOT NULL
){strict};

CREATE TABLE media (
  num {identity},
  media_id {text} NOT NULL UNIQUE,
  user_num {bigint} NOT NULL,
  blob_num {bigint} NOT NULL,
  media_type {text} NOT NULL,
  media_length {bigint} NOT NULL,
  upload_name {text},
  created_ts {bigint} NOT NULL,
  last_access_ts {bigint},
  quarantined_by {text},
  safe_from_quarantine {bigint} NOT NULL DEFAULT 0,
  -- the address of which this is a preview
  url_cache {text},
  -- 0: may be downloaded without an access token
  authenticated {bigint} NOT NULL DEFAULT 1,
  -- the bytes are not what the type says, and are never shown within a page
  disguised {bigint} NOT NULL DEFAULT 0,
  -- Sort keys of lists where a value may be missing, which then comes last: a text after an `a`, or else a `b`; a time
  -- or else the end of time. Columns of their own, so that indexes hold them.
  sort_name {text} NOT NULL,
  sort_access_ts {bigint} NOT NULL,
  sort_quarantined_by {text} NOT NULL
){strict};

-- The copies of bytes, in order; and those that are quarantined, so that finding one reads no others.
CREATE INDEX media_copies ON media (blob_num, num);
CREATE INDEX media_copies_quarantined ON media (blob_num, num) WHERE quarantined_by IS NOT NULL;
-- The media of an account, one index for each order. Each holds all that finding a page needs.
CREATE INDEX media_list_id ON media (user_num, media_id, num);
CREATE INDEX media_list_name ON media (user_num, sort_name, media_id, num);
CREATE INDEX media_list_created_ts ON media (user_num, created_ts, media_id, num);
CREATE INDEX media_list_access_ts ON media (user_num, sort_access_ts, media_id, num);
CREATE INDEX media_list_length ON media (user_num, media_length, media_id, num);
CREATE INDEX media_list_type ON media (user_num, media_type, media_id, num);
CREATE INDEX media_list_quarantined_by ON media (user_num, sort_quarantined_by, media_id, num);
CREATE INDEX media_list_safe ON media (user_num, safe_from_quarantine, media_id, num);
-- Uploads that nobody has used for long, and the uploads of each account in a span of time.
CREATE INDEX media_unused ON media (sort_access_ts, created_ts, num);
CREATE INDEX media_created ON media (created_ts, user_num, media_length);
-- Pictures of previews, which go after a while.
CREATE INDEX media_previews ON media (created_ts) WHERE url_cache IS NOT NULL;

-- Pictures made smaller, by the bytes they are made of.
CREATE TABLE media_thumbnails (
  blob_num {bigint} NOT NULL,
  width {bigint} NOT NULL,
  height {bigint} NOT NULL,
  method {text} NOT NULL,
  animated {bigint} NOT NULL,
  media_type {text} NOT NULL,
  length {bigint} NOT NULL,
  -- blank if the picture itself is small enough
  object {text} NOT NULL,
  PRIMARY KEY (blob_num, width, height, method, animated)
){strict};

-- Objects in the store that belong to nothing: bytes that are still being written (or were, when the server crashed),
-- and doomed ones, which are about to be deleted and cannot be saved any more.
CREATE TABLE media_strays (
  object {text} PRIMARY KEY,
  since_ts {bigint} NOT NULL,
  doomed {bigint} NOT NULL
){strict};
CREATE INDEX media_strays_since ON media_strays (doomed, since_ts, object);

-- Media ids that were given out before the bytes.
CREATE TABLE media_pending (
  media_id {text} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  expires_ts {bigint} NOT NULL
){strict};
CREATE INDEX media_pending_user ON media_pending (user_num, expires_ts);
CREATE INDEX media_pending_expires ON media_pending (expires_ts);

-- The number and the size of the uploads of each account that has any.
CREATE TABLE media_users (
  user_num {bigint} PRIMARY KEY,
  user_id {text} NOT NULL UNIQUE,
  -- the display name after an `a`, or a `b` where there is none
  sort_displayname {text} NOT NULL,
  media_count {bigint} NOT NULL,
  media_length {bigint} NOT NULL
){strict};
CREATE INDEX media_users_displayname ON media_users (sort_displayname, user_id);
CREATE INDEX media_users_count ON media_users (media_count, user_id);
CREATE INDEX media_users_length ON media_users (media_length, user_id);

-- All together: accounts that have media, media, and bytes stored. `lane` keeps concurrent writers off each other's rows.
CREATE TABLE media_totals (
  lane {bigint} PRIMARY KEY,
  users {bigint} NOT NULL,
  media {bigint} NOT NULL,
  bytes {bigint} NOT NULL
){strict};

-- Uploads that were quarantined or released, in order.
CREATE TABLE media_quarantine_changes (
  pos {bigint} PRIMARY KEY,
  media_id {text} NOT NULL,
  quarantined {bigint} NOT NULL,
  ts {bigint} NOT NULL
){strict};

-- The accounts that have an upload as avatar.
CREATE INDEX users_avatar_url ON users (avatar_url) WHERE avatar_url IS NOT NULL;

-- Each order of what an account uploaded is cut into buckets of some thousand uploads, so that a page at any offset costs
-- the same. Only accounts with very many uploads have any. A bucket begins at a value, which is a number or a text, and
-- a media id; the first of an order begins before everything.
CREATE TABLE media_list_buckets (
  bucket {identity},
  user_num {bigint} NOT NULL,
  sort {text} NOT NULL,
  low_int {bigint} NOT NULL,
  low_text {text} NOT NULL,
  low_media_id {text} NOT NULL,
  n {bigint} NOT NULL,
  UNIQUE (user_num, sort, low_int, low_text, low_media_id)
){strict};
