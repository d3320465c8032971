-- `password_change_required`: 1 if the person must change the password before doing anything else that writes. It is 0 for an
-- account without a password, which could not change it.
ALTER TABLE users ADD COLUMN password_change_required {bigint} NOT NULL DEFAULT 0;
