-- Clients that registered themselves with OAuth 2.0. `metadata` is the part of the registration that was kept, as JSON, and `client_id` its digest, so
-- that equal registrations are one client. `last_used_ts` is noted once a day.
CREATE TABLE oauth_clients (
  client_id {text} PRIMARY KEY,
  metadata {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  last_used_ts {bigint} NOT NULL
){strict};
CREATE INDEX oauth_clients_last_used ON oauth_clients (last_used_ts);

-- Requests of clients to act for an account, made in its browser. `user_num` is the account that allowed it. Until then `ends_ts` is the
-- end of the request, afterwards that of the code, which is stored as a digest. `used_ts`: the time at which the code was exchanged for a
-- session; the row stays for a while, so that a second exchange is recognised. `proves_again` is 1 if the person must sign in again
-- although the browser has a session.
CREATE TABLE oauth_requests (
  id {text} PRIMARY KEY,
  client_id {text} NOT NULL,
  redirect_uri {text} NOT NULL,
  response_mode {text} NOT NULL,
  state {text},
  scope {text} NOT NULL,
  code_challenge {text} NOT NULL,
  proves_again {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  ends_ts {bigint} NOT NULL,
  user_num {bigint},
  code_hash {blob},
  used_ts {bigint}
){strict};
CREATE UNIQUE INDEX oauth_requests_code ON oauth_requests (code_hash) WHERE code_hash IS NOT NULL;
CREATE INDEX oauth_requests_user ON oauth_requests (user_num) WHERE user_num IS NOT NULL;
CREATE INDEX oauth_requests_ends ON oauth_requests (ends_ts);

-- Requests of clients on devices without a browser. The client asks with the device code, which is stored as a digest; the person allows it
-- in a browser, with the user code.
CREATE TABLE oauth_device_requests (
  device_code_hash {blob} PRIMARY KEY,
  user_code {text} NOT NULL UNIQUE,
  client_id {text} NOT NULL,
  scope {text} NOT NULL,
  consent {text} NOT NULL,
  user_num {bigint},
  ends_ts {bigint} NOT NULL,
  interval_ms {bigint} NOT NULL,
  last_poll_ts {bigint}
){strict};
CREATE INDEX oauth_device_requests_user ON oauth_device_requests (user_num) WHERE user_num IS NOT NULL;
CREATE INDEX oauth_device_requests_ends ON oauth_device_requests (ends_ts);

-- Sessions that began with OAuth 2.0: a row beside the device, whose tokens are like those of all sessions.
CREATE TABLE oauth_sessions (
  user_num {bigint} NOT NULL,
  device_id {text} NOT NULL,
  client_id {text} NOT NULL,
  scope {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  PRIMARY KEY (user_num, device_id)
){strict};
CREATE INDEX oauth_sessions_client ON oauth_sessions (client_id);

-- `family_hash` is the digest of the part that all refresh tokens of a session share. A token of a family that is not stored (any more) was
-- valid once, so that somebody has a copy of it. Older tokens have none.
ALTER TABLE refresh_tokens ADD COLUMN family_hash {blob};
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_hash);
