-- Counts per day, written by the processes a few times a minute. Nothing in them names a person.
CREATE TABLE insight (
  tenant_id text NOT NULL,
  day bigint NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, kind, name)
);
