-- Every account that is written is a piece of the index of grams, and four such pieces were joined as soon as they were
-- there, those of an import with a million accounts included: most of what it took to create an account.
-- only sqlite
INSERT INTO user_search (user_search, rank) VALUES ('automerge', 8);
-- end
