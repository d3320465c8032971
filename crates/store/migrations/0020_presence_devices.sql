-- On which devices somebody is there, and until when, if nothing more is heard of the device. `presence` holds the best of
-- these as others were told it.
CREATE TABLE presence_devices (
  user_id {text} NOT NULL,
  device_id {text} NOT NULL,
  presence {text} NOT NULL,
  until_ts {bigint} NOT NULL,
  PRIMARY KEY (user_id, device_id)
){strict};
CREATE INDEX presence_devices_until ON presence_devices (until_ts);

-- Those who are there go two minutes after they last did something, unless one of their devices is heard of.
INSERT INTO presence_devices (user_id, device_id, presence, until_ts)
  SELECT user_id, '', presence, last_active_ts + 120000 FROM presence WHERE presence <> 'offline';
DROP INDEX presence_active;
