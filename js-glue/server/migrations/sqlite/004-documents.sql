-- Documents: spaces with their members, records, the change order, conflicts. `principal_id` in these tables names whose own
-- space a row belongs to; rows of shared spaces have none, and stay when one of the authors is erased.

ALTER TABLE space ADD COLUMN name TEXT;
ALTER TABLE space ADD COLUMN principal_id TEXT;

CREATE TABLE space_member (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  role TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, space_id, principal_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX space_member_principal ON space_member (tenant_id, principal_id, space_id);

-- A document as accepted: `body` is the merge state, `visible` what it shows under the rules that `rules` names.
CREATE TABLE record (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  doc_key TEXT NOT NULL,
  principal_id TEXT,
  version INTEGER NOT NULL,
  digest INTEGER NOT NULL,
  body BLOB NOT NULL,
  visible TEXT,
  rules INTEGER NOT NULL,
  -- Changes since the last fold, open conflicts, and numbers that edits of the server itself have used.
  edits INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  server_n INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, space_id, doc_key)
) STRICT;
CREATE INDEX record_unfolded ON record (tenant_id, space_id) WHERE edits > 64;

CREATE TABLE record_key (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  collection TEXT NOT NULL,
  pointer TEXT NOT NULL,
  value TEXT NOT NULL,
  doc_key TEXT NOT NULL,
  principal_id TEXT,
  PRIMARY KEY (tenant_id, space_id, collection, pointer, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_key_document ON record_key (tenant_id, space_id, doc_key);

-- `checksum` is the sum over this row and all before it: a cursor carries it, so a history that was replaced is noticed.
CREATE TABLE change (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  principal_id TEXT,
  doc_key TEXT NOT NULL,
  body BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  device_id BLOB,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, space_id, seq)
) STRICT;

-- How far a device has stored a space.
CREATE TABLE space_cursor (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  seq INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, space_id, device_id)
) STRICT, WITHOUT ROWID;

-- Nothing has written the first form of this table: conflicts belong to documents, not to devices.
DROP TABLE conflict_resolution_log;
CREATE TABLE conflict_resolution_log (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  conflict_id TEXT NOT NULL,
  doc_key TEXT NOT NULL,
  principal_id TEXT,
  class TEXT NOT NULL,
  policy TEXT NOT NULL,
  automatic INTEGER NOT NULL,
  record TEXT NOT NULL,
  resolver TEXT,
  created_at INTEGER NOT NULL,
  resolved_at INTEGER,
  PRIMARY KEY (tenant_id, space_id, conflict_id, doc_key)
) STRICT;
CREATE INDEX conflict_resolution_log_open ON conflict_resolution_log (tenant_id, space_id, doc_key) WHERE resolved_at IS NULL;
