-- One row while accounts are brought in by the mass: the lists, their counts and the search index do not know all accounts
-- yet, and their indexes may be missing. `searched_num`: the search index is done up to this account.
CREATE TABLE user_bulk (
  one {bigint} PRIMARY KEY,
  searched_num {bigint} NOT NULL
){strict};
