-- One row while accounts are brought in by the mass: the lists, their counts and the search index do not know the
-- accounts after `first_num` yet, and their indexes may be missing. `searched_num`: the search index is done up to this one.
CREATE TABLE user_bulk (
  one {bigint} PRIMARY KEY,
  first_num {bigint} NOT NULL,
  searched_num {bigint} NOT NULL
){strict};
