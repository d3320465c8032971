-- What a room in the bin did not take along.

-- `expired_pos`: as in `rooms`. The messages before it were deleted since they had lived long enough, and are not looked at again
-- when the room is back.
ALTER TABLE room_bin ADD COLUMN expired_pos {bigint} NOT NULL DEFAULT 0;
