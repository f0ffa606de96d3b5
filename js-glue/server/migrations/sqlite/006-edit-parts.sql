-- Edits larger than one event: pieces that wait for the last one. A person's pieces go with the person.

CREATE TABLE edit_part (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  space_id TEXT NOT NULL,
  doc_key TEXT NOT NULL,
  edit TEXT NOT NULL,
  part INTEGER NOT NULL,
  principal_id TEXT NOT NULL,
  body BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, device_id, space_id, doc_key, edit, part)
) STRICT;
CREATE INDEX edit_part_received ON edit_part (received_at);
