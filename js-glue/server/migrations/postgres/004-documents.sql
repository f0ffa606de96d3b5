-- Documents: spaces with their members, records, the change order, conflicts. `principal_id` in these tables names whose own
-- space a row belongs to; rows of shared spaces have none, and stay when one of the authors is erased.

ALTER TABLE space ADD COLUMN name text;
ALTER TABLE space ADD COLUMN principal_id text;

CREATE TABLE space_member (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  principal_id text NOT NULL,
  role text NOT NULL,
  added_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, space_id, principal_id)
);
CREATE INDEX space_member_principal ON space_member (tenant_id, principal_id, space_id);

-- A document as accepted: `body` is the merge state, `visible` what it shows under the rules that `rules` names.
CREATE TABLE record (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  principal_id text,
  version bigint NOT NULL,
  digest bigint NOT NULL,
  body bytea NOT NULL,
  visible text,
  rules bigint NOT NULL,
  -- Changes since the last fold, open conflicts, and numbers that edits of the server itself have used.
  edits bigint NOT NULL,
  conflicts bigint NOT NULL,
  server_n bigint NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, space_id, doc_key)
);
CREATE INDEX record_unfolded ON record (tenant_id, space_id) WHERE edits > 64;

CREATE TABLE record_key (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  collection text NOT NULL,
  pointer text NOT NULL,
  value text NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  principal_id text,
  PRIMARY KEY (tenant_id, space_id, collection, pointer, value)
);
CREATE INDEX record_key_document ON record_key (tenant_id, space_id, doc_key);

-- `checksum` is the sum over this row and all before it: a cursor carries it, so a history that was replaced is noticed.
CREATE TABLE change (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  seq bigint NOT NULL,
  principal_id text,
  doc_key text COLLATE "C" NOT NULL,
  body bytea NOT NULL,
  checksum bigint NOT NULL,
  device_id bytea,
  received_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, space_id, seq)
);

-- How far a device has stored a space.
CREATE TABLE space_cursor (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  device_id bytea NOT NULL,
  seq bigint NOT NULL,
  seen_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, space_id, device_id)
);

-- Nothing has written the first form of this table: conflicts belong to documents, not to devices.
DROP TABLE conflict_resolution_log;
CREATE TABLE conflict_resolution_log (
  tenant_id text NOT NULL,
  space_id text COLLATE "C" NOT NULL,
  conflict_id text COLLATE "C" NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  principal_id text,
  class text NOT NULL,
  policy text NOT NULL,
  automatic smallint NOT NULL,
  record text NOT NULL,
  resolver text,
  created_at bigint NOT NULL,
  resolved_at bigint,
  PRIMARY KEY (tenant_id, space_id, conflict_id, doc_key)
);
CREATE INDEX conflict_resolution_log_open ON conflict_resolution_log (tenant_id, space_id, doc_key) WHERE resolved_at IS NULL;
