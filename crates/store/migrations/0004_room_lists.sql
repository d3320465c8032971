-- What the administration of rooms needs: lists of rooms in every order, the end of purged history, and who was made
-- to leave rooms that no longer are.

-- Events before this position were purged: they are in nobody's timeline, though some may be stored still.
ALTER TABLE rooms ADD COLUMN purged_pos {bigint} NOT NULL DEFAULT 0;

-- Name and local part of the main alias, case-folded, for substring search.
ALTER TABLE rooms ADD COLUMN search_key {text} NOT NULL DEFAULT '';

-- By what lists filter: 2 if published, plus 1 if anybody has joined.
ALTER TABLE rooms ADD COLUMN list_class {bigint} NOT NULL DEFAULT 0;

-- What lists sort by, as much of it as an index can hold, after an `a`; a `b` where there is no value. Columns of their
-- own, since SQLite does not answer from an index alone where one of its columns is generated.
ALTER TABLE rooms ADD COLUMN sort_name {text} NOT NULL DEFAULT 'b';
ALTER TABLE rooms ADD COLUMN sort_alias {text} NOT NULL DEFAULT 'b';
ALTER TABLE rooms ADD COLUMN sort_encryption {text} NOT NULL DEFAULT 'b';
ALTER TABLE rooms ADD COLUMN sort_join_rule {text} NOT NULL DEFAULT 'b';
ALTER TABLE rooms ADD COLUMN sort_guest_access {text} NOT NULL DEFAULT 'b';
ALTER TABLE rooms ADD COLUMN sort_history_visibility {text} NOT NULL DEFAULT 'b';
UPDATE rooms SET
  list_class = published * 2 + CASE WHEN joined_members > 0 THEN 1 ELSE 0 END,
  sort_name = coalesce('a' || substr(name, 1, 250), 'b'),
  sort_alias = coalesce('a' || substr(canonical_alias, 1, 250), 'b'),
  sort_encryption = coalesce('a' || substr(encryption, 1, 250), 'b'),
  sort_join_rule = coalesce('a' || substr(join_rule, 1, 250), 'b'),
  sort_guest_access = coalesce('a' || substr(guest_access, 1, 250), 'b'),
  sort_history_visibility = coalesce('a' || substr(history_visibility, 1, 250), 'b');

-- One index for each order. It holds all that finding a page needs, so that a deep page reads the index alone.
CREATE INDEX rooms_list_name ON rooms (sort_name, room_id, list_class, num);
CREATE INDEX rooms_list_alias ON rooms (sort_alias, room_id, list_class, num);
CREATE INDEX rooms_list_encryption ON rooms (sort_encryption, room_id, list_class, num);
CREATE INDEX rooms_list_join_rule ON rooms (sort_join_rule, room_id, list_class, num);
CREATE INDEX rooms_list_guest_access ON rooms (sort_guest_access, room_id, list_class, num);
CREATE INDEX rooms_list_history_visibility ON rooms (sort_history_visibility, room_id, list_class, num);
CREATE INDEX rooms_list_joined_members ON rooms (joined_members, room_id, list_class, num);
CREATE INDEX rooms_list_version ON rooms (version, room_id, list_class, num);
CREATE INDEX rooms_list_creator ON rooms (creator, room_id, list_class, num);
CREATE INDEX rooms_list_federatable ON rooms (federatable, room_id, list_class, num);
CREATE INDEX rooms_list_published ON rooms (published, room_id, list_class, num);
CREATE INDEX rooms_list_state_events ON rooms (state_events, room_id, list_class, num);
CREATE INDEX rooms_list_class ON rooms (list_class);

-- How many rooms there are of each class. `lane` keeps concurrent writers off each other's rows.
CREATE TABLE room_list_counts (
  list_class {bigint} NOT NULL,
  lane {bigint} NOT NULL,
  n {bigint} NOT NULL,
  PRIMARY KEY (list_class, lane)
){strict};
INSERT INTO room_list_counts (list_class, lane, n) SELECT list_class, 0, count(*) FROM rooms GROUP BY list_class;

-- Substring search: one to three letters long pieces of `search_key`.
-- only sqlite
CREATE VIRTUAL TABLE room_search USING fts5(
  grams, content='', contentless_delete=1, detail=none, tokenize='ascii');
-- end
-- only postgres
CREATE TABLE room_search (num BIGINT PRIMARY KEY, grams INTEGER[] NOT NULL);
CREATE INDEX room_search_grams ON room_search USING gin (grams);
-- end

-- Who was made to leave a room when it was deleted, and at which position of the stream. Clients that sync on after
-- the room itself is gone are told from here.
CREATE TABLE departures (
  user_id {text} NOT NULL,
  room_id {text} NOT NULL,
  pos {bigint} NOT NULL,
  PRIMARY KEY (user_id, room_id)
){strict};
CREATE INDEX departures_user ON departures (user_id, pos);
CREATE INDEX departures_room ON departures (room_id, pos);
CREATE INDEX departures_pos ON departures (pos);

CREATE INDEX event_reports_room ON event_reports (room_num);
