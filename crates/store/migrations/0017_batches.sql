-- Acts on a selection of accounts. A batch belongs to the job whose subject is its `id`; `spec` is JSON: the act, the selection and
-- the requester. `digest` identifies the order, so that a repetition with the same key is recognised.
CREATE TABLE batches (
  num {identity},
  id {text} NOT NULL UNIQUE,
  actor_kind {text} NOT NULL,
  actor {text} NOT NULL,
  idempotency_key {text},
  digest {blob} NOT NULL,
  spec {text} NOT NULL,
  total {bigint} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};
CREATE INDEX batches_created ON batches (created_ts, id);
CREATE UNIQUE INDEX batches_key ON batches (actor_kind, actor, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The accounts of a batch, as they were selected when it began: their numbers in parts, each a JSON array.
CREATE TABLE batch_parts (
  batch_num {bigint} NOT NULL,
  part {bigint} NOT NULL,
  user_nums {text} NOT NULL,
  PRIMARY KEY (batch_num, part)
){clustered};

-- What became of each account, by its place in the batch. It is written in the transaction of the act.
CREATE TABLE batch_outcomes (
  batch_num {bigint} NOT NULL,
  place {bigint} NOT NULL,
  user_num {bigint} NOT NULL,
  outcome {text} NOT NULL,
  reason {text},
  PRIMARY KEY (batch_num, place)
){clustered};
CREATE INDEX batch_outcomes_outcome ON batch_outcomes (batch_num, outcome, place);

-- Orders that were shown and can be confirmed. The token is stored as its digest.
CREATE TABLE batch_confirmations (
  token_hash {blob} PRIMARY KEY,
  digest {blob} NOT NULL,
  total {bigint} NOT NULL,
  expires_ts {bigint} NOT NULL
){strict};
CREATE INDEX batch_confirmations_expires ON batch_confirmations (expires_ts);
