-- Identity, audit chain, privacy.

CREATE UNIQUE INDEX device_token_sha256 ON device_token (sha256);

-- One row per subject: the key its data is sealed under, and the name it has in rows that outlive it. Erasing a subject
-- deletes the row; what is left then names nobody.
CREATE TABLE subject_key (
  tenant_id text NOT NULL,
  principal_id text NOT NULL,
  subject_ref text NOT NULL,
  key bytea NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, principal_id)
);
CREATE UNIQUE INDEX subject_key_ref ON subject_key (tenant_id, subject_ref);

-- Who was erased, as keyed digests of principals and devices: late events are refused by them.
CREATE TABLE erased_subject (
  tenant_id text NOT NULL,
  digest bytea NOT NULL,
  erased_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, digest)
);

CREATE TABLE privacy_job (
  tenant_id text NOT NULL,
  job_id text NOT NULL,
  kind text NOT NULL,
  subject_ref text NOT NULL,
  -- Known only until the job has ended.
  principal_id text,
  state text NOT NULL,
  counts text NOT NULL,
  created_at bigint NOT NULL,
  finished_at bigint,
  PRIMARY KEY (tenant_id, job_id)
);
CREATE INDEX privacy_job_open ON privacy_job (state) WHERE state <> 'done';

-- Audit rows are chained after they were committed, in an order of their own: no lock in the way of a push.
ALTER TABLE audit_log ADD COLUMN seal_no bigint;
CREATE UNIQUE INDEX audit_log_sealed ON audit_log (tenant_id, seal_no) WHERE seal_no IS NOT NULL;
CREATE INDEX audit_log_open ON audit_log (tenant_id, at, id) WHERE seal_no IS NULL;
CREATE TABLE audit_head (
  tenant_id text NOT NULL,
  seal_no bigint NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (tenant_id)
);

CREATE INDEX offline_sync_queue_received ON offline_sync_queue USING brin (received_at);
CREATE INDEX dedupe_key_expiry ON dedupe_key (expires_at) WHERE expires_at IS NOT NULL;
