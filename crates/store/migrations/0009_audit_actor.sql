-- The kind of the actor of an entry in the audit log: `user`, `service`, `appservice`, `server`, `cli` or `job`. `actor` is its id
-- among those of the kind. Entries from before were made by accounts, the command line, and scripts with the shared secret.
ALTER TABLE audit ADD COLUMN actor_kind {text} NOT NULL DEFAULT 'user';
UPDATE audit SET actor_kind = 'cli' WHERE actor = 'cli';
UPDATE audit SET actor_kind = 'service' WHERE actor = 'shared secret';
