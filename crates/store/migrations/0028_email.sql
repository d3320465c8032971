-- Proofs that e-mail addresses belong to people, the mails that this server writes to them, and the renewal of accounts by mail.

-- A proof that an e-mail address is somebody's: begun when they give the address, and complete (`validated_ts`) when they confirm it at
-- the link in a mail. `purpose` is one of `add`, `register` and `reset`, `address` the canonical address. `user_num`: the account to which
-- it is to be added, or whose password is to be set. `secret_hash` is the digest of the secret of the client that began it, which
-- uses the proof under its id `sid`; nothing if it was begun on a page of the server, where the link does everything. `token_hash` is
-- the digest of the token in the link of the last mail; nothing if the mail had none, since the address is of no use for the purpose.
-- That a row exists says nothing about the address, so that clients learn nothing from it. `expires_ts`: the row counts as gone from
-- then on.
CREATE TABLE email_validations (
  sid {text} PRIMARY KEY,
  purpose {text} NOT NULL,
  address {text} NOT NULL,
  user_num {bigint},
  secret_hash {blob},
  token_hash {blob},
  send_attempt {bigint} NOT NULL,
  next_link {text},
  created_ts {bigint} NOT NULL,
  expires_ts {bigint} NOT NULL,
  validated_ts {bigint}
){strict};
CREATE INDEX email_validations_address ON email_validations (address, created_ts);
CREATE INDEX email_validations_user ON email_validations (user_num) WHERE user_num IS NOT NULL;
CREATE UNIQUE INDEX email_validations_token ON email_validations (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX email_validations_expires ON email_validations (expires_ts);

-- Mails that are not sent yet; each has a row in `deliveries` (`mail`), and both go when the mail server has accepted it. `letter` is
-- what it says, as JSON, with the token of its link. A token has to be readable until it is sent, and is kept nowhere after that. To
-- derive it from a secret instead would keep every link that is still valid readable for whoever has the database, since the secret
-- would be in it, too. `user_num`: the account that it is about. `ends_ts`: the time from which on it is of no use.
CREATE TABLE mails (
  num {identity},
  address {text} NOT NULL,
  user_num {bigint},
  language {text} NOT NULL,
  letter {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  ends_ts {bigint}
){strict};
CREATE INDEX mails_user ON mails (user_num) WHERE user_num IS NOT NULL;

-- `reminded`: 1 if the owner was sent a link by which the account is renewed, and it was not used. `renewal_hash` is the digest of
-- the token in the last link; it stays when the link was used, so that a second click is no error.
ALTER TABLE account_validity ADD COLUMN reminded {bigint} NOT NULL DEFAULT 0;
ALTER TABLE account_validity ADD COLUMN renewal_hash {blob};
CREATE INDEX account_validity_due ON account_validity (expiration_ts) WHERE reminded = 0 AND renewal_emails = 1;
CREATE UNIQUE INDEX account_validity_renewal ON account_validity (renewal_hash) WHERE renewal_hash IS NOT NULL;
