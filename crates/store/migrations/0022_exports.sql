-- Archives of everything about one account. `own` is 1 if the account ordered it for itself; else `requested_by` is an actor as in the
-- audit log. The archive is the object `object` of the media store, which has a name only when it is complete. A worker writes it
-- from `due_ts` on: while one does, `claim` is its claim and `due_ts` the end of its lease. `ends_ts`: the time at which the row
-- and the archive are deleted. The one link to download the archive is stored as the digest of its token.
CREATE TABLE exports (
  num {identity},
  id {text} NOT NULL UNIQUE,
  user_num {bigint} NOT NULL,
  own {bigint} NOT NULL,
  requested_by_kind {text} NOT NULL,
  requested_by {text} NOT NULL,
  with_history {bigint} NOT NULL,
  with_media {bigint} NOT NULL,
  -- the age recipient to which the archive is encrypted
  recipient {text},
  state {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  completed_ts {bigint},
  ends_ts {bigint},
  due_ts {bigint},
  claim {text},
  attempts {bigint} NOT NULL,
  error {text},
  object {text},
  length {bigint},
  sha256 {text},
  link_hash {blob},
  link_until_ts {bigint},
  link_by_kind {text},
  link_by {text},
  link_used {bigint} NOT NULL DEFAULT 0
){strict};
CREATE INDEX exports_user ON exports (user_num, created_ts, id);
CREATE INDEX exports_due ON exports (due_ts) WHERE due_ts IS NOT NULL;
CREATE INDEX exports_ends ON exports (ends_ts) WHERE ends_ts IS NOT NULL;
CREATE UNIQUE INDEX exports_link ON exports (link_hash) WHERE link_hash IS NOT NULL;
