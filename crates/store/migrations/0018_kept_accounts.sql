-- What is kept of deactivated accounts for a while, so that they can be restored. Deactivating moves it here, and restoring moves it
-- back; nothing else reads these tables.

-- One row for each deactivation of which something is kept, until `purge_ts`: from then on it counts as gone, and a job deletes
-- it in steps. `open` is 1 while the account is deactivated by it, so that the job of the deactivation adds what it removes.
-- `expiration_ts` and `renewal_emails` are its row of `account_validity`, if it had one.
CREATE TABLE kept_accounts (
  num {identity},
  user_num {bigint} NOT NULL,
  deactivated_ts {bigint} NOT NULL,
  purge_ts {bigint} NOT NULL,
  open {bigint} NOT NULL,
  expiration_ts {bigint},
  renewal_emails {bigint}
){strict};
CREATE INDEX kept_accounts_user ON kept_accounts (user_num, num);
CREATE INDEX kept_accounts_purge ON kept_accounts (purge_ts, num);

CREATE TABLE kept_threepids (
  kept_num {bigint} NOT NULL,
  medium {text} NOT NULL,
  address {text} NOT NULL,
  validated_at {bigint} NOT NULL,
  added_at {bigint} NOT NULL,
  PRIMARY KEY (kept_num, medium, address)
){clustered};

-- The rooms that the account left when it was deactivated, and its memberships before. By id, since a room may be deleted.
CREATE TABLE kept_memberships (
  kept_num {bigint} NOT NULL,
  room_id {text} NOT NULL,
  membership {text} NOT NULL,
  PRIMARY KEY (kept_num, room_id)
){clustered};

CREATE TABLE kept_account_data (
  kept_num {bigint} NOT NULL,
  room_id {text} NOT NULL,
  data_type {text} NOT NULL,
  content {text} NOT NULL,
  PRIMARY KEY (kept_num, room_id, data_type)
){strict};

-- `kept_num` marks deleted backups of room keys that can be restored. They stay where they are, since they may be large; to all
-- others they are deleted, but their keys are not cleared.
ALTER TABLE key_backups ADD COLUMN kept_num {bigint};
DROP INDEX key_backups_to_clear;
CREATE INDEX key_backups_to_clear ON key_backups (user_num, version) WHERE deleted = 1 AND keys > 0 AND kept_num IS NULL;
