-- The epochs of the stream: one begins with each start of a server, at a position that it takes from the stream. A position
-- that was given out in an epoch belongs to this database's past if it is below the beginning of the next epoch. A
-- database restored from a backup does not know the epochs that began after the backup, and its first epoch after
-- restoring begins below the positions that were undone.
CREATE TABLE stream_epochs (
  began_pos {bigint} PRIMARY KEY,
  epoch {text} NOT NULL UNIQUE
){strict};
