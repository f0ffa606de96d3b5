-- The registry of models. A row is one file: a name, a version, a runtime and a quantisation. What was signed is stored as
-- text and never written anew; only state and roll-out of a row change.

-- Nothing has written the first form of this table.
DROP TABLE edge_ai_models;
CREATE TABLE edge_ai_models (
  tenant_id TEXT NOT NULL,
  model_id TEXT NOT NULL,
  slug TEXT NOT NULL,
  version TEXT NOT NULL,
  runtime TEXT NOT NULL,
  quant TEXT NOT NULL,
  state TEXT NOT NULL,
  statement TEXT NOT NULL,
  signature BLOB NOT NULL,
  -- Hashes of the file's blocks; null until the file has come.
  blocks BLOB,
  rollout_percent INTEGER NOT NULL,
  rollout_salt TEXT NOT NULL,
  -- Counts changes of the row.
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, model_id)
) STRICT;
CREATE INDEX edge_ai_models_state ON edge_ai_models (tenant_id, state, model_id);

-- The file, in parts of 65,536 bytes, so that a range reads what it needs.
CREATE TABLE edge_ai_model_part (
  tenant_id TEXT NOT NULL,
  model_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant_id, model_id, part)
) STRICT;

-- When the tenant's models last changed, ever later: devices refuse an older manifest. The row is the lock of all changes.
CREATE TABLE edge_ai_registry (
  tenant_id TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;
