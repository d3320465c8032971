-- One-time keys that are given out once for ever, queues that are emptied bit by bit, and push rules found without reading
-- them.

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

-- `slot`: under which version the keys of a backup are stored. When all are deleted at once the backup gets another one, and
-- the keys under the old one, which are nobody's, are deleted bit by bit.
ALTER TABLE key_backups ADD COLUMN slot {bigint} NOT NULL DEFAULT 0;
UPDATE key_backups SET slot = version;
CREATE TABLE left_backup_keys (
  user_num {bigint} NOT NULL,
  slot {bigint} NOT NULL,
  PRIMARY KEY (user_num, slot)
){strict};

-- Since when the push rules of an account are as they are.
CREATE INDEX account_data_push_rules ON account_data (user_num, pos) WHERE room_id = '' AND data_type = 'm.push_rules';
