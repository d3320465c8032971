-- What selections of accounts are read from beside the accounts themselves.

-- The accounts that changed, in order, so that a process that holds facts of all accounts in memory reads again only those
-- that changed. Triggers write it: no statement can forget to. A position is a number that rises with every change on
-- SQLite, where there is one writer; on PostgreSQL, where a common number would need a lock, it is the number of the
-- transaction, by which a snapshot says whether it sees the change. The last row is never deleted, since SQLite would
-- give its position again.
-- only sqlite
CREATE TABLE user_changes (
  pos INTEGER PRIMARY KEY,
  user_num INTEGER NOT NULL
) STRICT;
-- end
-- only postgres
CREATE TABLE user_changes (
  pos BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  PRIMARY KEY (pos, user_num)
);
-- end

-- Changes before this position may be deleted.
CREATE TABLE user_changes_kept (
  one {bigint} PRIMARY KEY,
  since {bigint} NOT NULL
){strict};
INSERT INTO user_changes_kept (one, since) VALUES (1, 0);

-- A bulk load writes no changes: it ends with a rebuild, from which on everything is read anew.
-- only sqlite
CREATE TRIGGER users_inserted AFTER INSERT ON users WHEN NOT EXISTS (SELECT 1 FROM user_bulk) BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.num);
END;
CREATE TRIGGER users_updated AFTER UPDATE ON users BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.num);
END;
CREATE TRIGGER devices_inserted AFTER INSERT ON devices WHEN NOT EXISTS (SELECT 1 FROM user_bulk) BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER devices_deleted AFTER DELETE ON devices BEGIN
  INSERT INTO user_changes (user_num) VALUES (old.user_num);
END;
CREATE TRIGGER user_threepids_inserted AFTER INSERT ON user_threepids WHEN NOT EXISTS (SELECT 1 FROM user_bulk) BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER user_threepids_updated AFTER UPDATE ON user_threepids BEGIN
  INSERT INTO user_changes (user_num) VALUES (old.user_num);
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER user_threepids_deleted AFTER DELETE ON user_threepids BEGIN
  INSERT INTO user_changes (user_num) VALUES (old.user_num);
END;
CREATE TRIGGER user_external_ids_inserted AFTER INSERT ON user_external_ids WHEN NOT EXISTS (SELECT 1 FROM user_bulk) BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER user_external_ids_deleted AFTER DELETE ON user_external_ids BEGIN
  INSERT INTO user_changes (user_num) VALUES (old.user_num);
END;
CREATE TRIGGER media_users_inserted AFTER INSERT ON media_users BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER media_users_updated AFTER UPDATE OF media_length ON media_users BEGIN
  INSERT INTO user_changes (user_num) VALUES (new.user_num);
END;
CREATE TRIGGER media_users_deleted AFTER DELETE ON media_users BEGIN
  INSERT INTO user_changes (user_num) VALUES (old.user_num);
END;
-- end
-- only postgres
CREATE FUNCTION user_changed() RETURNS TRIGGER LANGUAGE plpgsql AS
  'BEGIN
     INSERT INTO user_changes (pos, user_num)
       VALUES (CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT), new.num) ON CONFLICT DO NOTHING;
     RETURN NULL;
   END';
CREATE FUNCTION things_of_user_changed() RETURNS TRIGGER LANGUAGE plpgsql AS
  'BEGIN
     IF TG_OP <> ''INSERT'' THEN
       INSERT INTO user_changes (pos, user_num)
         VALUES (CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT), old.user_num) ON CONFLICT DO NOTHING;
     END IF;
     IF TG_OP <> ''DELETE'' THEN
       INSERT INTO user_changes (pos, user_num)
         VALUES (CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT), new.user_num) ON CONFLICT DO NOTHING;
     END IF;
     RETURN NULL;
   END';
CREATE TRIGGER users_changed AFTER INSERT OR UPDATE ON users
  FOR EACH ROW EXECUTE FUNCTION user_changed();
CREATE TRIGGER devices_changed AFTER INSERT OR DELETE ON devices
  FOR EACH ROW EXECUTE FUNCTION things_of_user_changed();
CREATE TRIGGER user_threepids_changed AFTER INSERT OR UPDATE OR DELETE ON user_threepids
  FOR EACH ROW EXECUTE FUNCTION things_of_user_changed();
CREATE TRIGGER user_external_ids_changed AFTER INSERT OR DELETE ON user_external_ids
  FOR EACH ROW EXECUTE FUNCTION things_of_user_changed();
CREATE TRIGGER media_users_changed AFTER INSERT OR UPDATE OF media_length OR DELETE ON media_users
  FOR EACH ROW EXECUTE FUNCTION things_of_user_changed();
-- end

-- The address of a connection in a form whose order is that of addresses: `4` or `6` and the address in hexadecimal digits; blank
-- for a text that is no address. It is missing in rows from before there was this column, until housekeeping adds it.
ALTER TABLE user_connections ADD COLUMN ip_key {text};
CREATE INDEX user_connections_ip ON user_connections (ip_key, user_num);
CREATE INDEX user_connections_unkeyed ON user_connections (user_num) WHERE ip_key IS NULL;
