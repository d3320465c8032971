-- Accounts and everything that hangs on them.
--
-- `num` stands for an account in every other table. Times are milliseconds since the Unix epoch, flags 0 or 1,
-- secrets SHA-256 digests. There are no foreign keys: accounts are never deleted, and what hangs on one goes
-- through the deed that retires it.

-- only postgres
CREATE FUNCTION instr(haystack TEXT, needle TEXT) RETURNS INTEGER
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT strpos($1, $2)';
-- end

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
CREATE INDEX users_list_name ON users (list_class, user_id);
CREATE INDEX users_list_displayname ON users (list_class, displayname, user_id);
CREATE INDEX users_list_avatar_url ON users (list_class, avatar_url, user_id);
CREATE INDEX users_list_created_ts ON users (list_class, created_ts, user_id);
CREATE INDEX users_list_last_seen_ts ON users (list_class, last_seen_ts, user_id);
-- A search that matches a large part of all accounts is counted in this index alone.
CREATE INDEX users_list_search_key ON users (list_class, search_key);

-- Each sort order of the list of accounts is cut into buckets of some thousand rows, counted by class, so that
-- a page at any offset and every total cost the same. `lane` keeps concurrent writers off each other's rows.
CREATE TABLE user_list_buckets (
  bucket {identity},
  sort {text} NOT NULL,
  low_key {text} NOT NULL,
  low_user_id {text} NOT NULL,
  UNIQUE (sort, low_key, low_user_id)
){strict};

CREATE TABLE user_list_counts (
  bucket {bigint} NOT NULL,
  list_class {text} NOT NULL,
  lane {bigint} NOT NULL,
  n {bigint} NOT NULL,
  PRIMARY KEY (bucket, list_class, lane)
){strict};

INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES
  ('name', '', ''),
  ('displayname', '', ''), ('displayname null', '', ''),
  ('avatar_url', '', ''), ('avatar_url null', '', ''),
  ('creation_ts', '', ''),
  ('last_seen_ts', '', ''), ('last_seen_ts null', '', '');

-- Substring search: one to three letters long pieces of `search_key`.
-- only sqlite
CREATE VIRTUAL TABLE user_search USING fts5(
  grams, content='', contentless_delete=1, detail=none, tokenize='ascii');
-- end
-- only postgres
CREATE TABLE user_search (num BIGINT PRIMARY KEY, grams INTEGER[] NOT NULL);
CREATE INDEX user_search_grams ON user_search USING gin (grams);
-- end

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
CREATE INDEX login_tokens_valid_until ON login_tokens (valid_until_ts);

-- Where an account was seen: one row for each access token and address, kept after logout.
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
  PRIMARY KEY (user_num, room_id, data_type)
){strict};

CREATE TABLE pushers (
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
  PRIMARY KEY (user_num, app_id, pushkey)
){strict};
CREATE INDEX pushers_pushkey ON pushers (app_id, pushkey);

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

-- Durable work. `state` is scheduled, active, complete, failed or cancelled.
CREATE TABLE jobs (
  id {text} PRIMARY KEY,
  kind {text} NOT NULL,
  subject {text} NOT NULL,
  state {text} NOT NULL,
  payload {text} NOT NULL,
  done {bigint} NOT NULL,
  total {bigint} NOT NULL,
  result {text},
  error {text},
  attempts {bigint} NOT NULL,
  run_after_ts {bigint} NOT NULL,
  lease_until_ts {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  updated_ts {bigint} NOT NULL
){strict};
CREATE INDEX jobs_due ON jobs (state, run_after_ts);
CREATE INDEX jobs_created ON jobs (created_ts, id);
CREATE INDEX jobs_subject ON jobs (subject, created_ts, id);
CREATE INDEX jobs_updated ON jobs (state, updated_ts);

-- Who did what to whom. `changes` is JSON without secrets.
CREATE TABLE audit (
  id {identity},
  ts {bigint} NOT NULL,
  actor {text} NOT NULL,
  ip {text},
  request_id {text} NOT NULL,
  action {text} NOT NULL,
  target {text} NOT NULL,
  changes {text} NOT NULL
){strict};
CREATE INDEX audit_ts ON audit (ts, id);
CREATE INDEX audit_actor ON audit (actor, ts, id);
CREATE INDEX audit_target ON audit (target, ts, id);
CREATE INDEX audit_action ON audit (action, ts, id);

-- The Ed25519 keys with which the server signs: PKCS#8 documents.
CREATE TABLE signing_keys (
  version {text} PRIMARY KEY,
  secret {blob} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
