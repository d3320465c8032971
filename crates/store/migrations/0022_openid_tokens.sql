-- Tokens by which people prove to other services who they are. They are good for nothing else.
CREATE TABLE openid_tokens (
  token_hash {blob} PRIMARY KEY,
  user_num {bigint} NOT NULL,
  valid_until_ts {bigint} NOT NULL
){strict};
CREATE INDEX openid_tokens_user ON openid_tokens (user_num, valid_until_ts);
CREATE INDEX openid_tokens_valid_until ON openid_tokens (valid_until_ts);
