-- What is written to an index of grams waits in a list that each search goes through, up to 4 MB of it by default.
-- only postgres
ALTER INDEX user_search_grams SET (gin_pending_list_limit = 128);
ALTER INDEX room_search_grams SET (gin_pending_list_limit = 128);
-- end
