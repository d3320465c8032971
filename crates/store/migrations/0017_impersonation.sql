-- Login-as tokens end with the rights of the administrator who asked for them; from earlier releases some are left.
DELETE FROM access_tokens WHERE owner_num <> acting_num AND owner_num NOT IN
  (SELECT num FROM users WHERE admin = 1 AND locked = 0 AND suspended = 0 AND deactivated = 0);
DELETE FROM access_tokens WHERE acting_num IN (SELECT num FROM users WHERE deactivated = 1);
