-- Each order of what an account uploaded is cut into buckets of some thousand uploads, so that a page at any offset costs
-- the same. Only accounts with very many uploads have any. A bucket begins at a value, which is a number or a text, and
-- a media id; the first of an order begins before everything.
CREATE TABLE media_list_buckets (
  bucket {identity},
  user_num {bigint} NOT NULL,
  sort {text} NOT NULL,
  low_int {bigint} NOT NULL,
  low_text {text} NOT NULL,
  low_media_id {text} NOT NULL,
  n {bigint} NOT NULL,
  UNIQUE (user_num, sort, low_int, low_text, low_media_id)
){strict};

-- The buckets of accounts that have very many uploads already: in each order all but the first, then all first ones.
-- Until all are there, `n` is how many uploads come before.
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'media_id', 0, media_id, media_id, place FROM (
    SELECT user_num, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'upload_name', 0, sort_name, media_id, place FROM (
    SELECT user_num, sort_name, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY sort_name, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'created_ts', created_ts, '', media_id, place FROM (
    SELECT user_num, created_ts, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY created_ts, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'last_access_ts', sort_access_ts, '', media_id, place FROM (
    SELECT user_num, sort_access_ts, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY sort_access_ts, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'media_length', media_length, '', media_id, place FROM (
    SELECT user_num, media_length, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY media_length, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'media_type', 0, media_type, media_id, place FROM (
    SELECT user_num, media_type, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY media_type, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'quarantined_by', 0, sort_quarantined_by, media_id, place FROM (
    SELECT user_num, sort_quarantined_by, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY sort_quarantined_by, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT user_num, 'safe_from_quarantine', safe_from_quarantine, '', media_id, place FROM (
    SELECT user_num, safe_from_quarantine, media_id,
      row_number() OVER (PARTITION BY user_num ORDER BY safe_from_quarantine, media_id) - 1 AS place
    FROM media WHERE user_num IN (SELECT user_num FROM media_users WHERE media_count > 8192)) AS placed
  WHERE place > 0 AND place % 4096 = 0;
INSERT INTO media_list_buckets (user_num, sort, low_int, low_text, low_media_id, n)
  SELECT DISTINCT user_num, sort, CAST('-9223372036854775808' AS {bigint}), '', '', 0 FROM media_list_buckets;
UPDATE media_list_buckets SET n = (
  SELECT CASE WHEN u.media_count - n < 4096 THEN u.media_count - n ELSE 4096 END
  FROM media_users u WHERE u.user_num = media_list_buckets.user_num);
