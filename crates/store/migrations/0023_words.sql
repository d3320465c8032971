-- Words of messages, as `words` divides texts: in the same way on both engines. A job fills it from the events there are.
-- only sqlite
DROP TABLE event_search;
CREATE VIRTUAL TABLE event_words USING fts5(
  words, content='', contentless_delete=1, detail=none, tokenize='ascii');
-- end
-- only postgres
DROP TABLE event_search;
CREATE TABLE event_words (pos BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX event_words_words ON event_words USING gin (words);
-- end

-- By which words of a message a member of a room may be meant: the first word of the name there, and of the localpart. Blank
-- where a job has not found out yet.
ALTER TABLE memberships ADD COLUMN name_word {text} NOT NULL DEFAULT '';
ALTER TABLE memberships ADD COLUMN id_word {text} NOT NULL DEFAULT '';
CREATE INDEX memberships_name_word ON memberships (room_num, name_word) WHERE membership = 'join';
CREATE INDEX memberships_id_word ON memberships (room_num, id_word) WHERE membership = 'join';
CREATE INDEX memberships_without_words ON memberships (room_num) WHERE membership = 'join' AND id_word = '';

-- The jobs are `index_words` in `rooms::words`, `index_member_names` in `rooms::push::names`, `index_accents` in
-- `accounts::accents`. A fresh database needs none of them. The time is that of the migration before.
INSERT INTO jobs (id, kind, subject, state, payload, done, total, attempts, run_after_ts, lease_until_ts, created_ts, updated_ts)
SELECT 'indexWordsEvents', 'index_words', '', 'scheduled', '{"before":9223372036854775807}', 0, 0, 0, 0, 0, max(applied_ts),
       max(applied_ts)
FROM schema_migrations WHERE EXISTS (SELECT 1 FROM events) HAVING count(*) > 0;
INSERT INTO jobs (id, kind, subject, state, payload, done, total, attempts, run_after_ts, lease_until_ts, created_ts, updated_ts)
SELECT 'indexNamesMember', 'index_member_names', '', 'scheduled', '{}', 0, 0, 0, 0, 0, max(applied_ts), max(applied_ts)
FROM schema_migrations WHERE EXISTS (SELECT 1 FROM memberships) HAVING count(*) > 0;
INSERT INTO jobs (id, kind, subject, state, payload, done, total, attempts, run_after_ts, lease_until_ts, created_ts, updated_ts)
SELECT 'indexAccentsUser', 'index_accents', '', 'scheduled', '{"after":0}', 0, 0, 0, 0, 0, max(applied_ts), max(applied_ts)
FROM schema_migrations WHERE EXISTS (SELECT 1 FROM users) HAVING count(*) > 0;
