-- Credentials of administration that belong to no account. `scopes` are words and `networks` are addresses or networks of
-- clients, each separated by spaces; without networks a token can be used from anywhere. `created_by` is an actor as in the audit
-- log, and `last_used_ts` is written a few seconds late.
CREATE TABLE service_tokens (
  num {identity},
  name {text} NOT NULL UNIQUE,
  description {text} NOT NULL,
  scopes {text} NOT NULL,
  networks {text} NOT NULL,
  created_by_kind {text} NOT NULL,
  created_by {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  expires_ts {bigint},
  last_used_ts {bigint},
  last_used_ip {text}
){strict};
CREATE INDEX service_tokens_created ON service_tokens (created_ts, num);

-- The secrets of a token: the newest, and former ones until their end.
CREATE TABLE service_token_secrets (
  token_hash {blob} PRIMARY KEY,
  token_num {bigint} NOT NULL,
  created_ts {bigint} NOT NULL,
  valid_until_ts {bigint}
){strict};
CREATE INDEX service_token_secrets_token ON service_token_secrets (token_num);
CREATE INDEX service_token_secrets_ended ON service_token_secrets (valid_until_ts) WHERE valid_until_ts IS NOT NULL;
