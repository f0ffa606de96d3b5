-- What a device has learned from its own events, so that its segments may refer to it on the way. One of a device; the last it
-- sent. Nothing that is kept needs it.

CREATE TABLE device_dictionary (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  dictionary_id INTEGER NOT NULL,
  body BLOB NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, device_id)
) STRICT;
CREATE INDEX device_dictionary_stored ON device_dictionary (stored_at);
