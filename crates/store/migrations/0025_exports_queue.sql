-- The queue of exports in the order of the workers.

-- Orders of administrators come before those of people about themselves.
CREATE INDEX exports_queue ON exports (own, due_ts) WHERE due_ts IS NOT NULL;
