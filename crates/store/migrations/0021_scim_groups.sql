-- The ids of groups at the identity provider that provisions them with SCIM. `group_id` is the id of a room, or `role:` and the name
-- of a role. A group without such an id has no row.
CREATE TABLE scim_groups (
  group_id {text} PRIMARY KEY,
  external_id {text} NOT NULL
){strict};
