-- The event by which somebody was made to leave a room that was deleted, as clients are shown it; none with what was
-- noted before there was this column.
ALTER TABLE departures ADD COLUMN event {text};

-- Counting what a search finds among very many rooms.
-- only sqlite
CREATE INDEX rooms_list_search_key ON rooms (search_key, list_class, room_id);
-- end
