-- End-to-end encryption: keys of devices and accounts, messages from device to device, backups of room keys.

-- The keys of a device, as it uploaded them, as JSON.
CREATE TABLE device_keys (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  json {text} NOT NULL,
  PRIMARY KEY (user_num, device_id)
){strict};

-- Keys that are given out once, in the order of `num`. `json` is a text or an object.
CREATE TABLE one_time_keys (
  num {identity},
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  algorithm {text} NOT NULL,
  key_id {text} NOT NULL,
  json {text} NOT NULL,
  UNIQUE (user_num, device_id, algorithm, key_id)
){strict};
CREATE INDEX one_time_keys_next ON one_time_keys (user_num, device_id, algorithm, num);

-- Keys that are given out when there are no others, again and again.
CREATE TABLE fallback_keys (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  algorithm {text} NOT NULL,
  key_id {text} NOT NULL,
  json {text} NOT NULL,
  used {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id, algorithm)
){strict};

-- `usage` is master, self_signing or user_signing; `replaceable_until_ts`, of the first, until when it can be replaced
-- without authentication.
CREATE TABLE cross_signing_keys (
  user_num {bigint} NOT NULL,
  usage {text} NOT NULL,
  public_key {text} NOT NULL,
  json {text} NOT NULL,
  replaceable_until_ts {bigint},
  PRIMARY KEY (user_num, usage)
){strict};

-- Signatures of keys that came after the keys. `target` is the id of a device of the account `user_num`, or its public
-- master key; `signer_key` is a key of the account `signer_num`.
CREATE TABLE key_signatures (
  user_num {bigint} NOT NULL,
  signer_num {bigint} NOT NULL,
  target {text} NOT NULL,
  signer_key {text} NOT NULL,
  signature {text} NOT NULL,
  pos {bigint} NOT NULL,
  PRIMARY KEY (user_num, signer_num, target, signer_key)
){strict};
CREATE INDEX key_signatures_signer ON key_signatures (signer_num, pos);
CREATE INDEX key_signatures_pos ON key_signatures (pos);

-- The position in the stream at which the devices or the keys of an account changed last, as far as others see them.
CREATE TABLE device_changes (
  user_id {text} PRIMARY KEY,
  pos {bigint} NOT NULL
){strict};
CREATE INDEX device_changes_pos ON device_changes (pos, user_id);

-- Messages to devices that were not acknowledged yet. `event` is a whole event as JSON; `seq` numbers those of a device
-- without gaps, so that their number is known from the first and the last.
-- `upto_bytes` likewise counts the bytes of this message and those before it.
CREATE TABLE to_device (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  pos {bigint} NOT NULL,
  seq {bigint} NOT NULL,
  upto_bytes {bigint} NOT NULL,
  event {text} NOT NULL,
  PRIMARY KEY (user_num, device_id, pos)
){strict};
CREATE INDEX to_device_pos ON to_device (pos, user_num);

-- A device that waits, with keys but without a session, for messages to be read later.
CREATE TABLE dehydrated_devices (
  user_num {bigint} PRIMARY KEY,
  device_id {text} NOT NULL,
  device_data {text} NOT NULL
){strict};

-- Backups of room keys. `keys` is the number of keys, `bytes` their length when encrypted; `etag` changes with them.
-- `slot`: the `version` of its keys in `backed_up_keys`. When all are deleted at once, the backup gets another slot, and the
-- keys in the old one are deleted in batches. Deleted backups are remembered, since their versions are not used again; their
-- keys are deleted in batches, too.
CREATE TABLE key_backups (
  user_num {bigint} NOT NULL,
  version {bigint} NOT NULL,
  algorithm {text} NOT NULL,
  auth_data {text} NOT NULL,
  keys {bigint} NOT NULL,
  etag {bigint} NOT NULL,
  deleted {bigint} NOT NULL,
  slot {bigint} NOT NULL,
  bytes {bigint} NOT NULL DEFAULT 0,
  PRIMARY KEY (user_num, version)
){strict};
CREATE INDEX key_backups_live ON key_backups (user_num, version) WHERE deleted = 0;
CREATE INDEX key_backups_to_clear ON key_backups (user_num, version) WHERE deleted = 1 AND keys > 0;

CREATE TABLE backed_up_keys (
  user_num {bigint} NOT NULL,
  version {bigint} NOT NULL,
  room_id {text} NOT NULL,
  session_id {text} NOT NULL,
  first_message_index {bigint} NOT NULL,
  forwarded_count {bigint} NOT NULL,
  is_verified {bigint} NOT NULL,
  session_data {text} NOT NULL,
  PRIMARY KEY (user_num, version, room_id, session_id)
){strict};

-- One-time keys that were given out, so that none is given out again if it is uploaded once more.
CREATE TABLE given_keys (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  algorithm {text} NOT NULL,
  key_id {text} NOT NULL,
  given_ts {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id, algorithm, key_id)
){strict};
CREATE INDEX given_keys_ts ON given_keys (given_ts);

-- Messages to devices that are gone: those up to a position. They are nobody's, and are deleted bit by bit.
CREATE TABLE left_queues (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  upto_pos {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id)
){strict};

-- The slots of backups whose keys are to be deleted.
CREATE TABLE left_backup_keys (
  user_num {bigint} NOT NULL,
  slot {bigint} NOT NULL,
  PRIMARY KEY (user_num, slot)
){strict};
