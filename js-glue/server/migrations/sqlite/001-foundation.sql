-- Events, devices and what accompanies them; the remaining tables are filled by later features.
-- Every key starts with the tenant. 64-bit ids are stored as signed integers, times as milliseconds since 1970.

CREATE TABLE install (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  install_id TEXT NOT NULL,
  boots INTEGER NOT NULL,
  incarnation_minted_at INTEGER NOT NULL,
  incarnation_random INTEGER NOT NULL,
  database_identity TEXT NOT NULL
) STRICT;

CREATE TABLE device_sync_state (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  principal_id TEXT NOT NULL,
  device_type TEXT,
  platform TEXT,
  user_agent TEXT,
  capabilities TEXT,
  caps_digest TEXT,
  public_key TEXT,
  app_version TEXT,
  online INTEGER NOT NULL DEFAULT 0,
  network_type TEXT,
  quota_bytes INTEGER,
  usage_bytes INTEGER,
  stream_marks BLOB,
  arrival_head INTEGER NOT NULL DEFAULT 0,
  late_head INTEGER NOT NULL DEFAULT 0,
  deferred_count INTEGER NOT NULL DEFAULT 0,
  registered_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  revoked_at INTEGER,
  PRIMARY KEY (tenant_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_sync_state_principal ON device_sync_state (tenant_id, principal_id);

CREATE TABLE device_stream (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  roll_hash INTEGER NOT NULL,
  settled_seq INTEGER NOT NULL DEFAULT 0,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE offline_sync_queue (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  client_seq INTEGER NOT NULL,
  arrival INTEGER NOT NULL,
  roll_hash INTEGER NOT NULL,
  status INTEGER NOT NULL,
  code INTEGER NOT NULL DEFAULT 0,
  event_type TEXT NOT NULL,
  module_id TEXT NOT NULL,
  entity TEXT NOT NULL,
  hlc INTEGER NOT NULL,
  recovered INTEGER NOT NULL DEFAULT 0,
  received_at INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX offline_sync_queue_arrival ON offline_sync_queue (tenant_id, device_id, arrival);

CREATE TABLE event_verdict (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  client_seq INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  code INTEGER NOT NULL,
  late_no INTEGER,
  decided_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX event_verdict_late ON event_verdict (tenant_id, device_id, late_no) WHERE late_no IS NOT NULL;

CREATE TABLE stream_void (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  hash_before INTEGER NOT NULL,
  hash_after INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  recovered_at INTEGER,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, from_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE deferred (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  arrival INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  client_seq INTEGER NOT NULL,
  entity_hash INTEGER NOT NULL,
  waits_for TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  replaces TEXT,
  tries INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL,
  reason TEXT,
  PRIMARY KEY (tenant_id, device_id, arrival)
) STRICT, WITHOUT ROWID;
CREATE INDEX deferred_due ON deferred (next_at);

CREATE TABLE dead_letter (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  client_seq INTEGER NOT NULL,
  principal_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  module_id TEXT NOT NULL,
  entity TEXT NOT NULL,
  hlc INTEGER NOT NULL,
  payload BLOB NOT NULL,
  code INTEGER NOT NULL,
  message TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  retried_at INTEGER,
  retried_as TEXT,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_letter_open ON dead_letter (tenant_id, created_at, device_id, epoch, lane, client_seq) WHERE retried_at IS NULL;

CREATE TABLE dedupe_key (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  dedupe_key TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  client_seq INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (tenant_id, device_id, dedupe_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  tenant_id TEXT NOT NULL,
  prefix TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  name TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER,
  PRIMARY KEY (tenant_id, prefix)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_prefix ON api_key (prefix);

CREATE TABLE device_token (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  sha256 BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, device_id, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_log (
  tenant_id TEXT NOT NULL,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject_ref TEXT NOT NULL,
  detail TEXT,
  prev_hash BLOB,
  hash BLOB,
  PRIMARY KEY (tenant_id, at, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE space (
  tenant_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  head INTEGER NOT NULL DEFAULT 0,
  checksum INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'open',
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, space_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE edge_ai_models (
  tenant_id TEXT NOT NULL,
  model_id TEXT NOT NULL,
  version TEXT NOT NULL,
  name TEXT NOT NULL,
  runtime TEXT NOT NULL,
  sha256 BLOB,
  bytes INTEGER,
  signature BLOB,
  min_caps TEXT,
  accuracy REAL,
  data_set TEXT,
  data_set_sha256 BLOB,
  report TEXT,
  rollout_percent INTEGER NOT NULL DEFAULT 100,
  state TEXT NOT NULL DEFAULT 'draft',
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, model_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE offline_analytics_buffer (
  tenant_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  block_no INTEGER NOT NULL,
  principal_id TEXT NOT NULL,
  ranges TEXT NOT NULL,
  events INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  key_id TEXT,
  received_at INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant_id, device_id, block_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE offline_content_cache (
  tenant_id TEXT NOT NULL,
  cache_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  content_type TEXT NOT NULL,
  content_id TEXT NOT NULL,
  key_id TEXT,
  etag TEXT NOT NULL,
  priority INTEGER NOT NULL DEFAULT 0,
  hits INTEGER NOT NULL DEFAULT 0,
  size_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  expires_at INTEGER,
  ciphertext BLOB NOT NULL,
  PRIMARY KEY (tenant_id, cache_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX offline_content_cache_content ON offline_content_cache (tenant_id, device_id, content_type, content_id);

CREATE TABLE conflict_resolution_log (
  tenant_id TEXT NOT NULL,
  conflict_id TEXT NOT NULL,
  device_id BLOB NOT NULL,
  document_id TEXT NOT NULL,
  path TEXT NOT NULL,
  base BLOB,
  local BLOB,
  remote BLOB,
  result BLOB,
  policy TEXT NOT NULL,
  automatic INTEGER NOT NULL,
  resolver TEXT,
  reason TEXT,
  version INTEGER NOT NULL DEFAULT 1,
  duration_ms INTEGER,
  created_at INTEGER NOT NULL,
  resolved_at INTEGER,
  PRIMARY KEY (tenant_id, conflict_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conflict_resolution_log_open ON conflict_resolution_log (tenant_id, device_id, created_at) WHERE resolved_at IS NULL;
