-- Puts the accounts that `reeve-bench accounts-file` writes into Synapse's database, into the tables and columns where it
-- keeps them itself. Nobody has a password: those who log in are made through the API. The administrator is there already.
\set ON_ERROR_STOP on
BEGIN;
CREATE TEMPORARY TABLE lines (account jsonb NOT NULL) ON COMMIT DROP;
-- One column with whole lines: the characters for quotes and between columns do not occur.
\copy lines FROM pstdin WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

CREATE TEMPORARY TABLE accounts ON COMMIT DROP AS
SELECT
  account ->> 'user_id' AS user_id,
  (account ->> 'creation_ts')::bigint AS creation_ts,
  (account ->> 'last_seen_ts')::bigint AS last_seen_ts,
  (account ->> 'admin')::boolean AS admin,
  (account ->> 'is_guest')::boolean AS is_guest,
  (account ->> 'deactivated')::boolean AS deactivated,
  (account ->> 'locked')::boolean AS locked,
  (account ->> 'shadow_banned')::boolean AS shadow_banned,
  account ->> 'user_type' AS user_type,
  account ->> 'displayname' AS displayname,
  account ->> 'avatar_url' AS avatar_url,
  account -> 'threepids' AS threepids,
  account -> 'external_ids' AS external_ids,
  account -> 'devices' AS devices
FROM lines;

INSERT INTO users (name, creation_ts, admin, is_guest, deactivated, locked, shadow_banned, user_type, approved)
SELECT user_id, creation_ts / 1000, admin::int, is_guest::int, deactivated::int, locked, shadow_banned, user_type, TRUE
FROM accounts ON CONFLICT (name) DO UPDATE SET creation_ts = EXCLUDED.creation_ts;

INSERT INTO profiles (user_id, full_user_id, displayname, avatar_url)
SELECT substring(user_id FROM '^@([^:]*)'), user_id, displayname, avatar_url
FROM accounts ON CONFLICT (user_id) DO UPDATE SET displayname = EXCLUDED.displayname;

INSERT INTO devices (user_id, device_id, display_name, last_seen, ip, user_agent)
SELECT user_id, device ->> 'device_id', device ->> 'display_name', (device ->> 'last_seen_ts')::bigint,
  device ->> 'last_seen_ip', device ->> 'last_seen_user_agent'
FROM accounts, jsonb_array_elements(devices) AS device;

INSERT INTO user_ips (user_id, access_token, device_id, ip, user_agent, last_seen)
SELECT user_id, 'race-' || (device ->> 'device_id'), device ->> 'device_id', device ->> 'last_seen_ip',
  device ->> 'last_seen_user_agent', (device ->> 'last_seen_ts')::bigint
FROM accounts, jsonb_array_elements(devices) AS device;

-- Whoever was seen without a device that is left.
INSERT INTO user_ips (user_id, access_token, device_id, ip, user_agent, last_seen)
SELECT user_id, 'race', NULL, '192.0.2.1', 'A Matrix client', last_seen_ts
FROM accounts WHERE last_seen_ts IS NOT NULL AND devices = '[]';

INSERT INTO user_threepids (user_id, medium, address, validated_at, added_at)
SELECT user_id, threepid ->> 'medium', threepid ->> 'address', (threepid ->> 'validated_at')::bigint,
  (threepid ->> 'validated_at')::bigint
FROM accounts, jsonb_array_elements(threepids) AS threepid;

INSERT INTO user_external_ids (auth_provider, external_id, user_id)
SELECT external_id ->> 'auth_provider', external_id ->> 'external_id', user_id
FROM accounts, jsonb_array_elements(external_ids) AS external_id;
COMMIT;
-- Not of tables that belong to the whole cluster.
SET client_min_messages TO error;
VACUUM ANALYZE;
