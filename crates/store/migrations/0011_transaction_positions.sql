-- A device recognises what it sent by the position of the event: an index on positions grows at its end, while one on event ids
-- is written to all over.
ALTER TABLE transactions ADD COLUMN event_pos {bigint};
UPDATE transactions SET event_pos = (SELECT e.pos FROM events e WHERE e.event_id = transactions.event_id);
CREATE INDEX transactions_event_pos ON transactions (event_pos) WHERE event_pos IS NOT NULL;
DROP INDEX transactions_event;
