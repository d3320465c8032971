-- Bounds of what one account stores.

-- How many pieces of account data an account has, and how many bytes they have.
CREATE TABLE account_data_totals (
  user_num {bigint} PRIMARY KEY,
  entries {bigint} NOT NULL,
  bytes {bigint} NOT NULL
){strict};
INSERT INTO account_data_totals (user_num, entries, bytes)
SELECT user_num, count(*), sum(octet_length(content)) FROM account_data GROUP BY user_num;

-- `upto_bytes`: how many bytes this message and those before it have in the numbering of `seq`, so that how many wait is
-- known from the first and the last.
ALTER TABLE to_device ADD COLUMN upto_bytes {bigint} NOT NULL DEFAULT 0;
UPDATE to_device SET upto_bytes = sums.bytes FROM
  (SELECT user_num, device_id, pos, sum(octet_length(event)) OVER (PARTITION BY user_num, device_id ORDER BY pos) AS bytes
   FROM to_device) sums
WHERE sums.user_num = to_device.user_num AND sums.device_id = to_device.device_id AND sums.pos = to_device.pos;

-- `bytes`: how many bytes the encrypted keys have.
ALTER TABLE key_backups ADD COLUMN bytes {bigint} NOT NULL DEFAULT 0;
UPDATE key_backups SET bytes = sums.bytes FROM
  (SELECT user_num, version, sum(octet_length(session_data)) AS bytes FROM backed_up_keys GROUP BY user_num, version) sums
WHERE sums.user_num = key_backups.user_num AND sums.version = key_backups.slot AND key_backups.deleted = 0;
CREATE INDEX key_backups_live ON key_backups (user_num, version) WHERE deleted = 0;
CREATE INDEX room_aliases_creator ON room_aliases (creator);
CREATE INDEX event_reports_user ON event_reports (user_id);
CREATE INDEX room_reports_user ON room_reports (user_id);
CREATE INDEX user_reports_user ON user_reports (user_id);
