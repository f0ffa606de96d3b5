-- What a device has learned from its own events, so that its segments may refer to it on the way. One of a device; the last it
-- sent. Nothing that is kept needs it.

CREATE TABLE device_dictionary (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  dictionary_id bigint NOT NULL,
  body bytea NOT NULL,
  stored_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, device_id)
);
ALTER TABLE device_dictionary ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX device_dictionary_stored ON device_dictionary (stored_at);
