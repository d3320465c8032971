-- A second, coarse cut of each order of the list of accounts, whose buckets begin where each eighth of the others does: a
-- place is found by the coarse ones first, so that few are read however many there are.
INSERT INTO user_list_buckets (sort, low_key, low_user_id)
SELECT sort || ', coarse', low_key, low_user_id FROM (
  SELECT sort, low_key, low_user_id, row_number() OVER (PARTITION BY sort ORDER BY low_key, low_user_id) AS place
  FROM user_list_buckets
) AS fine WHERE (place - 1) % 8 = 0;

INSERT INTO user_list_counts (bucket, list_class, lane, n)
SELECT coarse, list_class, 0, CAST(sum(n) AS BIGINT) FROM (
  SELECT c.list_class, c.n, (
    SELECT b.bucket FROM user_list_buckets b
    WHERE b.sort = f.sort || ', coarse' AND (b.low_key, b.low_user_id) <= (f.low_key, f.low_user_id)
    ORDER BY b.low_key DESC, b.low_user_id DESC LIMIT 1
  ) AS coarse
  FROM user_list_counts c JOIN user_list_buckets f ON f.bucket = c.bucket
) AS fine WHERE coarse IS NOT NULL GROUP BY coarse, list_class;
