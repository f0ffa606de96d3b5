-- Edits larger than one event: pieces that wait for the last one. A person's pieces go with the person.

CREATE TABLE edit_part (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  space_id text NOT NULL,
  doc_key text COLLATE "C" NOT NULL,
  edit text NOT NULL,
  part bigint NOT NULL,
  principal_id text NOT NULL,
  body bytea NOT NULL,
  received_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, device_id, space_id, doc_key, edit, part)
);
CREATE INDEX edit_part_received ON edit_part (received_at);
