-- Counts per day, written by the processes a few times a minute. Nothing in them names a person.
CREATE TABLE insight (
  tenant_id text NOT NULL,
  day integer NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  count integer NOT NULL,
  PRIMARY KEY (tenant_id, day, kind, name)
) STRICT, WITHOUT ROWID;
