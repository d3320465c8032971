-- Addresses to which the server reports what happens. `url` was checked when it was set, and is checked again at each
-- request. `created_by` is an actor as in the audit log. The state of the delivery is in `deliveries`, with the kind
-- `webhook`; its cursor is a position in the stream.
CREATE TABLE webhooks (
  num {identity},
  name {text} NOT NULL UNIQUE,
  description {text} NOT NULL,
  url {text} NOT NULL,
  enabled {bigint} NOT NULL,
  created_by_kind {text} NOT NULL,
  created_by {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
CREATE INDEX webhooks_created ON webhooks (created_ts, num);

-- The kinds of happenings that a webhook wants. What no webhook wants is not recorded.
CREATE TABLE webhook_kinds (
  webhook_num {bigint} NOT NULL,
  kind {text} NOT NULL,
  PRIMARY KEY (webhook_num, kind)
){clustered};
CREATE INDEX webhook_kinds_kind ON webhook_kinds (kind, webhook_num);

-- The secrets of a webhook: the newest, and former ones until their end. They sign what is sent, so they are stored as they
-- are, not as digests.
CREATE TABLE webhook_secrets (
  num {identity},
  webhook_num {bigint} NOT NULL,
  secret {text} NOT NULL,
  created_ts {bigint} NOT NULL,
  valid_until_ts {bigint}
){strict};
CREATE INDEX webhook_secrets_webhook ON webhook_secrets (webhook_num, num);
CREATE INDEX webhook_secrets_ended ON webhook_secrets (valid_until_ts) WHERE valid_until_ts IS NOT NULL;

-- What happened, for webhooks, for a limited time. `pos` is a position in the stream. `action` and `audit_id` belong to the
-- entry of the audit log, if there is one; the entry may be gone earlier. `details` is JSON without secrets.
CREATE TABLE happenings (
  pos {bigint} PRIMARY KEY,
  ts {bigint} NOT NULL,
  kind {text} NOT NULL,
  target {text},
  actor_kind {text} NOT NULL,
  actor {text} NOT NULL,
  action {text},
  audit_id {bigint},
  details {text} NOT NULL
){strict};
CREATE INDEX happenings_kind ON happenings (kind, pos);
CREATE INDEX happenings_ts ON happenings (ts, pos);

-- Happenings that a webhook was not told, after many tries. They are kept as long as the happenings.
CREATE TABLE webhook_dead_letters (
  webhook_num {bigint} NOT NULL,
  pos {bigint} NOT NULL,
  failed_ts {bigint} NOT NULL,
  reason {text} NOT NULL,
  PRIMARY KEY (webhook_num, pos)
){clustered};
CREATE INDEX webhook_dead_letters_pos ON webhook_dead_letters (pos);
