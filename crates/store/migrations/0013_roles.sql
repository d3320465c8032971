-- Roles of accounts: named sets of scopes. Those that are built in are in the code. Owners are the accounts
-- with the flag `admin`, and have no other role. `scopes` are words, separated by spaces.
CREATE TABLE roles (
  name {text} PRIMARY KEY,
  description {text} NOT NULL,
  scopes {text} NOT NULL,
  created_ts {bigint} NOT NULL
){strict};

ALTER TABLE users ADD COLUMN role {text};
CREATE INDEX users_role ON users (role) WHERE role IS NOT NULL;
CREATE INDEX users_owners ON users (num) WHERE admin = 1 AND deactivated = 0 AND locked = 0 AND suspended = 0;
