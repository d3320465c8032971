-- Accounts, their sessions and devices, and registration. Most other tables refer to an account by its `num`.

CREATE TABLE users (
  num {identity},
  user_id {text} NOT NULL UNIQUE,
  created_ts {bigint} NOT NULL,
  password_hash {text},
  displayname {text},
  avatar_url {text},
  user_type {text},
  is_guest {bigint} NOT NULL,
  admin {bigint} NOT NULL,
  deactivated {bigint} NOT NULL,
  locked {bigint} NOT NULL,
  shadow_banned {bigint} NOT NULL,
  suspended {bigint} NOT NULL,
  erased {bigint} NOT NULL,
  appservice_id {text},
  consent_version {text},
  consent_server_notice_sent {text},
  consent_ts {bigint},
  last_seen_ts {bigint},
  -- localpart and display name, case-folded, for substring search
  search_key {text} NOT NULL,
  -- the flags by which lists filter, so that each filtered list is a merge of few index ranges
  list_class {text} NOT NULL GENERATED ALWAYS AS (
    CAST(is_guest AS TEXT) || CAST(admin AS TEXT) || CAST(deactivated AS TEXT) || CAST(locked AS TEXT)
    || CAST(shadow_banned AS TEXT) || coalesce(user_type, '')) {generated}
){strict};
-- Names are created in lower case; the few historical ones that are not must not clash with new ones.
CREATE INDEX users_mixed_case ON users (lower(user_id)) WHERE user_id <> lower(user_id);

CREATE TABLE user_threepids (
  medium {text} NOT NULL,
  address {text} NOT NULL,
  user_num {bigint} NOT NULL,
  validated_at {bigint} NOT NULL,
  added_at {bigint} NOT NULL,
  PRIMARY KEY (medium, address)
){strict};
CREATE INDEX user_threepids_user ON user_threepids (user_num, added_at);

CREATE TABLE user_external_ids (
  auth_provider {text} NOT NULL,
  external_id {text} NOT NULL,
  user_num {bigint} NOT NULL,
  PRIMARY KEY (auth_provider, external_id)
){strict};
CREATE INDEX user_external_ids_user ON user_external_ids (user_num);

CREATE TABLE profile_fields (
  user_num {bigint} NOT NULL,
  field {text} NOT NULL,
  value {text} NOT NULL,
  PRIMARY KEY (user_num, field)
){strict};

CREATE TABLE devices (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  display_name {text},
  created_ts {bigint} NOT NULL,
  last_seen_ts {bigint},
  last_seen_ip {text},
  last_seen_user_agent {text},
  PRIMARY KEY (user_num, device_id)
){strict};

-- `acting_num` differs from `owner_num` when an administrator logged in as somebody else.
-- `unconfirmed`: issued by a refresh and not used yet, so that what it replaces still works.
CREATE TABLE access_tokens (
  token_hash {blob} PRIMARY KEY,
  owner_num {bigint} NOT NULL,
  acting_num {bigint} NOT NULL,
  device_id {text},
  valid_until_ts {bigint},
  created_ts {bigint} NOT NULL,
  unconfirmed {bigint} NOT NULL
){strict};
CREATE INDEX access_tokens_owner ON access_tokens (owner_num, device_id);
CREATE INDEX access_tokens_acting ON access_tokens (acting_num);

-- `successor` is the refresh token that was handed out for this one.
CREATE TABLE refresh_tokens (
  token_hash {blob} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  access_token_hash {blob} NOT NULL,
  successor {blob},
  valid_until_ts {bigint},
  created_ts {bigint} NOT NULL
){strict};
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_num, device_id);
CREATE INDEX refresh_tokens_successor ON refresh_tokens (successor);

CREATE TABLE login_tokens (
  token_hash {blob} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX login_tokens_user ON login_tokens (user_num);
CREATE INDEX login_tokens_valid_until ON login_tokens (valid_until_ts);

-- Tokens by which people prove to other services who they are. They are good for nothing else.
CREATE TABLE openid_tokens (
  token_hash {blob} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX openid_tokens_user ON openid_tokens (user_num, valid_until_ts);
CREATE INDEX openid_tokens_valid_until ON openid_tokens (valid_until_ts);

-- Addresses from which an account was seen: one row for each access token and address, kept after logout.
CREATE TABLE user_connections (
  user_num {bigint} NOT NULL,
  token_hash {blob} NOT NULL,
  ip {text} NOT NULL,
  user_agent {text} NOT NULL,
  device_id {text},
  last_seen_ts {bigint} NOT NULL,
  PRIMARY KEY (user_num, token_hash, ip)
){strict};
CREATE INDEX user_connections_last_seen ON user_connections (last_seen_ts);

CREATE TABLE ratelimit_overrides (
  user_num {bigint} PRIMARY KEY,
  messages_per_second {bigint} NOT NULL,
  burst_count {bigint} NOT NULL
){strict};

CREATE TABLE experimental_features (
  user_num {bigint} NOT NULL,
  feature {text} NOT NULL,
  enabled {bigint} NOT NULL,
  PRIMARY KEY (user_num, feature)
){strict};

-- Keyed by user id, since a term may be set before the account exists.
CREATE TABLE account_validity (
  user_id {text} PRIMARY KEY,
  expiration_ts {bigint} NOT NULL,
  renewal_emails {bigint} NOT NULL
){strict};

-- `room_id` is empty for global account data.
CREATE TABLE account_data (
  user_num {bigint} NOT NULL,
  room_id {text} NOT NULL,
  data_type {text} NOT NULL,
  content {text} NOT NULL,
  pos {bigint} NOT NULL,
  PRIMARY KEY (user_num, room_id, data_type)
){strict};
CREATE INDEX account_data_pos ON account_data (pos);
CREATE INDEX account_data_user_pos ON account_data (user_num, pos);
-- The position at which the push rules of an account changed last.
CREATE INDEX account_data_push_rules ON account_data (user_num, pos) WHERE room_id = '' AND data_type = 'm.push_rules';

-- The number of entries of account data of an account, and the number of their bytes.
CREATE TABLE account_data_totals (
  user_num {bigint} PRIMARY KEY,
  entries {bigint} NOT NULL,
  bytes {bigint} NOT NULL
){strict};

CREATE TABLE filters (
  user_num {bigint} NOT NULL,
  filter_id {bigint} NOT NULL,
  content {text} NOT NULL,
  PRIMARY KEY (user_num, filter_id)
){strict};

CREATE TABLE registration_tokens (
  num {identity},
  token {text} NOT NULL UNIQUE,
  uses_allowed {bigint},
  pending {bigint} NOT NULL,
  completed {bigint} NOT NULL,
  expiry_ts {bigint}
){strict};

-- Uses of registration tokens that are pending, each by one user-interactive authentication session.
CREATE TABLE registration_token_uses (
  session {text} PRIMARY KEY,
  token {text} NOT NULL,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX registration_token_uses_valid_until ON registration_token_uses (valid_until_ts);
CREATE INDEX registration_token_uses_token ON registration_token_uses (token);

-- Nonces of shared-secret registration.
CREATE TABLE registration_nonces (
  nonce {text} PRIMARY KEY,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX registration_nonces_valid_until ON registration_nonces (valid_until_ts);

-- User-interactive authentication under way. `details` is JSON: the stages done and what the operation needs to remember.
CREATE TABLE uia_sessions (
  session {text} PRIMARY KEY,
  operation {text} NOT NULL,
  details {text} NOT NULL,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX uia_sessions_valid_until ON uia_sessions (valid_until_ts);
