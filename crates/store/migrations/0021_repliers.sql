-- Who has replied in a thread.
CREATE INDEX events_repliers ON events (relates_to, sender, pos) WHERE rel_type = 'm.thread' AND redacted_by IS NULL;
