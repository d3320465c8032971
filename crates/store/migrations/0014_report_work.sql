-- Reports as work. A report is resolved once it has a resolution; `assignee`, the user id of the administrator who deals with it,
-- stays. `changes` numbers the changes, so that of two people who change a report at the same time only one does. Each index
-- holds the reports that a filter of the list selects, in the order of the list.
ALTER TABLE event_reports ADD COLUMN assignee {text};
ALTER TABLE event_reports ADD COLUMN resolution {text};
ALTER TABLE event_reports ADD COLUMN changes {bigint} NOT NULL DEFAULT 0;
ALTER TABLE event_reports ADD COLUMN state {text} GENERATED ALWAYS AS (CASE WHEN resolution IS NOT NULL THEN 'resolved'
  WHEN assignee IS NOT NULL THEN 'assigned' ELSE 'open' END) {generated};
DROP INDEX event_reports_room;
DROP INDEX event_reports_user;
CREATE INDEX event_reports_room ON event_reports (room_num, received_ts, id);
CREATE INDEX event_reports_user ON event_reports (user_id, received_ts, id);
CREATE INDEX event_reports_unresolved ON event_reports (user_id) WHERE resolution IS NULL;
CREATE INDEX event_reports_sender ON event_reports (sender, received_ts, id);
CREATE INDEX event_reports_state ON event_reports (state, received_ts, id);
CREATE INDEX event_reports_assignee ON event_reports (assignee, received_ts, id) WHERE assignee IS NOT NULL;

ALTER TABLE room_reports ADD COLUMN assignee {text};
ALTER TABLE room_reports ADD COLUMN resolution {text};
ALTER TABLE room_reports ADD COLUMN changes {bigint} NOT NULL DEFAULT 0;
ALTER TABLE room_reports ADD COLUMN state {text} GENERATED ALWAYS AS (CASE WHEN resolution IS NOT NULL THEN 'resolved'
  WHEN assignee IS NOT NULL THEN 'assigned' ELSE 'open' END) {generated};
DROP INDEX room_reports_user;
CREATE INDEX room_reports_received ON room_reports (received_ts, id);
CREATE INDEX room_reports_room ON room_reports (room_id, received_ts, id);
CREATE INDEX room_reports_user ON room_reports (user_id, received_ts, id);
CREATE INDEX room_reports_unresolved ON room_reports (user_id) WHERE resolution IS NULL;
CREATE INDEX room_reports_state ON room_reports (state, received_ts, id);
CREATE INDEX room_reports_assignee ON room_reports (assignee, received_ts, id) WHERE assignee IS NOT NULL;

ALTER TABLE user_reports ADD COLUMN assignee {text};
ALTER TABLE user_reports ADD COLUMN resolution {text};
ALTER TABLE user_reports ADD COLUMN changes {bigint} NOT NULL DEFAULT 0;
ALTER TABLE user_reports ADD COLUMN state {text} GENERATED ALWAYS AS (CASE WHEN resolution IS NOT NULL THEN 'resolved'
  WHEN assignee IS NOT NULL THEN 'assigned' ELSE 'open' END) {generated};
DROP INDEX user_reports_user;
CREATE INDEX user_reports_user ON user_reports (user_id, received_ts, id);
CREATE INDEX user_reports_unresolved ON user_reports (user_id) WHERE resolution IS NULL;
CREATE INDEX user_reports_target ON user_reports (target_user_id, received_ts, id);
CREATE INDEX user_reports_state ON user_reports (state, received_ts, id);
CREATE INDEX user_reports_assignee ON user_reports (assignee, received_ts, id) WHERE assignee IS NOT NULL;

-- Notes on reports, the id of which belongs to its kind. The author is an actor as in the audit log.
CREATE TABLE report_notes (
  num {identity},
  kind {text} NOT NULL,
  report_id {bigint} NOT NULL,
  ts {bigint} NOT NULL,
  author_kind {text} NOT NULL,
  author {text} NOT NULL,
  note {text} NOT NULL
){strict};
CREATE INDEX report_notes_report ON report_notes (kind, report_id, num);
