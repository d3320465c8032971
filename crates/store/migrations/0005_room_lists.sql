-- Lists of rooms in every order: indexes, counts, and substring search.

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
-- Counting what a search finds among very many rooms.
-- only sqlite
CREATE INDEX rooms_list_search_key ON rooms (search_key, list_class, room_id);
-- end

-- The number of rooms of each class. `lane` keeps concurrent writers off each other's rows.
CREATE TABLE room_list_counts (
  list_class {bigint} NOT NULL,
  lane {bigint} NOT NULL,
  n {bigint} NOT NULL,
  PRIMARY KEY (list_class, lane)
){clustered};

-- Substring search, as for accounts.
-- only sqlite
CREATE VIRTUAL TABLE room_search USING fts5(
  grams, content='', contentless_delete=1, detail=none, tokenize='ascii');
-- end
-- only postgres
CREATE TABLE room_search (num BIGINT PRIMARY KEY, grams INTEGER[] NOT NULL);
CREATE INDEX room_search_grams ON room_search USING gin (grams) WITH (gin_pending_list_limit = 128);
-- end
