-- Lists of accounts in every order: indexes, counts, and substring search.

-- only postgres
CREATE FUNCTION instr(haystack TEXT, needle TEXT) RETURNS INTEGER
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT strpos($1, $2)';
-- end

-- One index for each order. A search that matches a large part of all accounts walks a list and compares each account;
-- the indexes of names and display names, in whose order the matches may lie far from the beginning, hold what is
-- compared. SQLite counts in the index that was created last, so the smaller of the two comes last.
CREATE INDEX users_list_avatar_url ON users (list_class, avatar_url, user_id);
CREATE INDEX users_list_created_ts ON users (list_class, created_ts, user_id);
CREATE INDEX users_list_last_seen_ts ON users (list_class, last_seen_ts, user_id);
-- only sqlite
CREATE INDEX users_list_displayname ON users (list_class, displayname, user_id, search_key);
CREATE INDEX users_list_name ON users (list_class, user_id, search_key);
-- end
-- only postgres
CREATE INDEX users_list_displayname ON users (list_class, displayname, user_id) INCLUDE (search_key, num);
CREATE INDEX users_list_name ON users (list_class, user_id) INCLUDE (search_key, num);
-- end

-- Each sort order of the list of accounts is cut into buckets of some thousand rows, counted by class, so that
-- a page at any offset and every total cost the same. A second, coarse cut has buckets that begin where some of the fine
-- ones do: a place is looked for in the coarse ones first, so that few are read however many there are. `lane` keeps
-- concurrent writers off each other's rows.
CREATE TABLE user_list_buckets (
  bucket {identity},
  sort {text} NOT NULL,
  low_key {text} NOT NULL,
  low_user_id {text} NOT NULL,
  UNIQUE (sort, low_key, low_user_id)
){strict};

CREATE TABLE user_list_counts (
  bucket {bigint} NOT NULL,
  list_class {text} NOT NULL,
  lane {bigint} NOT NULL,
  n {bigint} NOT NULL,
  PRIMARY KEY (bucket, list_class, lane)
){clustered};

INSERT INTO user_list_buckets (sort, low_key, low_user_id) VALUES
  ('name', '', ''), ('name, coarse', '', ''),
  ('displayname', '', ''), ('displayname, coarse', '', ''),
  ('displayname null', '', ''), ('displayname null, coarse', '', ''),
  ('avatar_url', '', ''), ('avatar_url, coarse', '', ''),
  ('avatar_url null', '', ''), ('avatar_url null, coarse', '', ''),
  ('creation_ts', '', ''), ('creation_ts, coarse', '', ''),
  ('last_seen_ts', '', ''), ('last_seen_ts, coarse', '', ''),
  ('last_seen_ts null', '', ''), ('last_seen_ts null, coarse', '', '');

-- Substring search: an index of the n-grams (n = 1 to 3) of `search_key`. Its size is bounded by the settings here: SQLite
-- merges eight segments at a time, so that those of a large import are not rewritten by each new account; PostgreSQL
-- searches its list of pending entries one by one, so that the list is kept short.
-- only sqlite
CREATE VIRTUAL TABLE user_search USING fts5(
  grams, content='', contentless_delete=1, detail=none, tokenize='ascii');
INSERT INTO user_search (user_search, rank) VALUES ('automerge', 8);
-- end
-- only postgres
CREATE TABLE user_search (num BIGINT PRIMARY KEY, grams INTEGER[] NOT NULL);
CREATE INDEX user_search_grams ON user_search USING gin (grams) WITH (gin_pending_list_limit = 128);
-- end

-- One row during a bulk load: the lists, their counts and the search index lag behind the accounts, and their indexes may be
-- missing. `searched_num`: the search index is done up to this account.
CREATE TABLE user_bulk (
  one {bigint} PRIMARY KEY,
  searched_num {bigint} NOT NULL
){strict};
