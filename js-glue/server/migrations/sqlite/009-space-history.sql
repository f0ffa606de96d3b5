-- Where the history of a space parted from that of a server before this one: behind which change each incarnation went on. Of a
-- backup put in use one row a space; replicas of the older history are told by it which of their changes are here.

CREATE TABLE space_history (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  minted_at INTEGER NOT NULL,
  head INTEGER NOT NULL,
  principal_id TEXT,
  PRIMARY KEY (tenant_id, space_id, minted_at)
) STRICT;
