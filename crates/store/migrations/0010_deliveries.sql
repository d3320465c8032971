-- Deliveries to destinations outside this server. There is no row for a message: a delivery has a cursor, and is marked
-- when there may be something beyond it.
--
-- `kind`: `push`, for notifications. `target_num`: the number of the row that it is for, of its kind: of a pusher.
-- `cursor`: everything up to this position of what the kind follows was delivered, or need not be delivered any more.
-- For pushers it is a position in the stream.
-- `marks`: grows with everything that may concern it, so that a worker sees when more came during a delivery.
-- `due_ts`: when a worker is to claim it; nothing if there is nothing to deliver.
-- `claim`: the claim of a worker. `due_ts` is then the end of the lease, at which another may claim it.
-- `failures`, `failing_since_ts`: how often in a row, and since when, it failed.
CREATE TABLE deliveries (
  kind {text} NOT NULL,
  target_num {bigint} NOT NULL,
  cursor {bigint} NOT NULL,
  marks {bigint} NOT NULL,
  due_ts {bigint},
  claim {text},
  failures {bigint} NOT NULL,
  failing_since_ts {bigint},
  PRIMARY KEY (kind, target_num)
){clustered};
-- Each kind has its own workers, which look for what is due of it.
CREATE INDEX deliveries_due ON deliveries (kind, due_ts) WHERE due_ts IS NOT NULL;

INSERT INTO deliveries (kind, target_num, cursor, marks, due_ts, claim, failures, failing_since_ts)
  SELECT 'push', num, last_pos, marks, due_ts, claim, failures, failing_since_ts FROM pushers;

DROP INDEX pushers_due;
-- The position up to which a pusher has delivered, its marks, due time, claim and failures are in its row of `deliveries`.
ALTER TABLE pushers DROP COLUMN last_pos;
ALTER TABLE pushers DROP COLUMN marks;
ALTER TABLE pushers DROP COLUMN due_ts;
ALTER TABLE pushers DROP COLUMN claim;
ALTER TABLE pushers DROP COLUMN failures;
ALTER TABLE pushers DROP COLUMN failing_since_ts;
