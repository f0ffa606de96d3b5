-- Identity, audit chain, privacy.

CREATE UNIQUE INDEX device_token_sha256 ON device_token (sha256);

-- One row per subject: the key its data is sealed under, and the name it has in rows that outlive it. Erasing a subject
-- deletes the row; what is left then names nobody.
CREATE TABLE subject_key (
  tenant_id text NOT NULL,
  principal_id text NOT NULL,
  subject_ref text NOT NULL,
  key blob NOT NULL,
  created_at integer NOT NULL,
  PRIMARY KEY (tenant_id, principal_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX subject_key_ref ON subject_key (tenant_id, subject_ref);

-- Who was erased, as keyed digests of principals and devices: late events are refused by them.
CREATE TABLE erased_subject (
  tenant_id text NOT NULL,
  digest blob NOT NULL,
  erased_at integer NOT NULL,
  PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE privacy_job (
  tenant_id text NOT NULL,
  job_id text NOT NULL,
  kind text NOT NULL,
  subject_ref text NOT NULL,
  -- Known only until the job has ended.
  principal_id text,
  state text NOT NULL,
  counts text NOT NULL,
  created_at integer NOT NULL,
  finished_at integer,
  PRIMARY KEY (tenant_id, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX privacy_job_open ON privacy_job (state) WHERE state <> 'done';

-- Audit rows are chained after they were committed, in an order of their own: no lock in the way of a push.
ALTER TABLE audit_log ADD COLUMN seal_no integer;
CREATE UNIQUE INDEX audit_log_sealed ON audit_log (tenant_id, seal_no) WHERE seal_no IS NOT NULL;
CREATE INDEX audit_log_open ON audit_log (tenant_id, at, id) WHERE seal_no IS NULL;
CREATE TABLE audit_head (
  tenant_id text NOT NULL,
  seal_no integer NOT NULL,
  hash blob NOT NULL,
  PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedupe_key_expiry ON dedupe_key (expires_at) WHERE expires_at IS NOT NULL;
