-- Uploads whose bytes are not what their type says are never shown within a page.
ALTER TABLE media ADD COLUMN disguised {bigint} NOT NULL DEFAULT 0;

-- The copies of bytes, in order; and those that are quarantined, so that finding one reads no others.
DROP INDEX media_blob;
CREATE INDEX media_copies ON media (blob_num, num);
CREATE INDEX media_copies_quarantined ON media (blob_num, num) WHERE quarantined_by IS NOT NULL;

-- What cannot be deleted from the store now is passed by.
DROP INDEX media_strays_since;
CREATE INDEX media_strays_since ON media_strays (doomed, since_ts, object);
