-- Sessions of people in browsers, on the pages of the server. `token_hash` is the digest of the secret in the cookie. `proven_ts` is when
-- the person last proved to be there, such as with the password; `valid_until_ts` moves on while the session is used, until a time after
-- `created_ts` that nothing moves. Address and program are those with which the person signed in.
CREATE TABLE browser_sessions (
  token_hash {blob} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  proven_ts {bigint} NOT NULL,
  last_seen_ts {bigint} NOT NULL,
  valid_until_ts {bigint} NOT NULL,
  ip {text},
  user_agent {text} NOT NULL
){strict};
CREATE INDEX browser_sessions_user ON browser_sessions (user_num, created_ts);
CREATE INDEX browser_sessions_valid_until ON browser_sessions (valid_until_ts);
CREATE INDEX browser_sessions_with_address ON browser_sessions (last_seen_ts) WHERE ip IS NOT NULL;
