-- The registry of models. A row is one file: a name, a version, a runtime and a quantisation. What was signed is stored as
-- text and never written anew; only state and roll-out of a row change.

-- Nothing has written the first form of this table.
DROP TABLE edge_ai_models;
CREATE TABLE edge_ai_models (
  tenant_id text NOT NULL,
  model_id text COLLATE "C" NOT NULL,
  slug text NOT NULL,
  version text NOT NULL,
  runtime text NOT NULL,
  quant text NOT NULL,
  state text NOT NULL,
  statement text NOT NULL,
  signature bytea NOT NULL,
  -- Hashes of the file's blocks; null until the file has come.
  blocks bytea,
  rollout_percent bigint NOT NULL,
  rollout_salt text NOT NULL,
  -- Counts changes of the row.
  revision bigint NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, model_id)
);
CREATE INDEX edge_ai_models_state ON edge_ai_models (tenant_id, state, model_id);

-- The file, in parts of 65,536 bytes, so that a range reads what it needs.
CREATE TABLE edge_ai_model_part (
  tenant_id text NOT NULL,
  model_id text NOT NULL,
  part bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (tenant_id, model_id, part)
);

-- When the tenant's models last changed, ever later: devices refuse an older manifest. The row is the lock of all changes.
CREATE TABLE edge_ai_registry (
  tenant_id text NOT NULL,
  issued_at bigint NOT NULL,
  PRIMARY KEY (tenant_id)
);
