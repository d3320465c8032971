-- A search that matches a large part of all accounts walks a list and compares each account. The lists of names and
-- display names, in whose order the matches may lie far from the beginning, hold what is compared. Counting takes the
-- one that was made last, so the smaller one comes last.
DROP INDEX users_list_search_key;
DROP INDEX users_list_name;
DROP INDEX users_list_displayname;
-- only sqlite
CREATE INDEX users_list_displayname ON users (list_class, displayname, user_id, search_key);
CREATE INDEX users_list_name ON users (list_class, user_id, search_key);
-- end
-- only postgres
CREATE INDEX users_list_displayname ON users (list_class, displayname, user_id) INCLUDE (search_key, num);
CREATE INDEX users_list_name ON users (list_class, user_id) INCLUDE (search_key, num);
-- end
