-- Events, devices and what accompanies them; the remaining tables are filled by later features.
-- Every key starts with the tenant. 64-bit ids are stored as signed integers, times as milliseconds since 1970.

CREATE TABLE install (
  id bigint PRIMARY KEY CHECK (id = 1),
  install_id text NOT NULL,
  boots bigint NOT NULL,
  incarnation_minted_at bigint NOT NULL,
  incarnation_random bigint NOT NULL,
  database_identity text NOT NULL
);

CREATE TABLE device_sync_state (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  principal_id text NOT NULL,
  device_type text,
  platform text,
  user_agent text,
  capabilities text,
  caps_digest text,
  public_key text,
  app_version text,
  online smallint NOT NULL DEFAULT 0,
  network_type text,
  quota_bytes bigint,
  usage_bytes bigint,
  stream_marks bytea,
  arrival_head bigint NOT NULL DEFAULT 0,
  late_head bigint NOT NULL DEFAULT 0,
  deferred_count bigint NOT NULL DEFAULT 0,
  registered_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  revoked_at bigint,
  PRIMARY KEY (tenant_id, device_id)
) WITH (fillfactor = 60);
CREATE INDEX device_sync_state_principal ON device_sync_state (tenant_id, principal_id);

CREATE TABLE device_stream (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  last_seq bigint NOT NULL,
  roll_hash bigint NOT NULL,
  settled_seq bigint NOT NULL DEFAULT 0,
  seen_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane)
) WITH (fillfactor = 60);

CREATE TABLE offline_sync_queue (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  client_seq bigint NOT NULL,
  arrival bigint NOT NULL,
  roll_hash bigint NOT NULL,
  status smallint NOT NULL,
  code integer NOT NULL DEFAULT 0,
  event_type text NOT NULL,
  module_id text NOT NULL,
  entity text NOT NULL,
  hlc bigint NOT NULL,
  recovered smallint NOT NULL DEFAULT 0,
  received_at bigint NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
);
CREATE UNIQUE INDEX offline_sync_queue_arrival ON offline_sync_queue (tenant_id, device_id, arrival);

CREATE TABLE event_verdict (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  client_seq bigint NOT NULL,
  kind smallint NOT NULL,
  code integer NOT NULL,
  late_no bigint,
  decided_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
);
CREATE UNIQUE INDEX event_verdict_late ON event_verdict (tenant_id, device_id, late_no) WHERE late_no IS NOT NULL;

CREATE TABLE stream_void (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  from_seq bigint NOT NULL,
  to_seq bigint NOT NULL,
  reason smallint NOT NULL,
  hash_before bigint NOT NULL,
  hash_after bigint NOT NULL,
  created_at bigint NOT NULL,
  recovered_at bigint,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, from_seq)
);

CREATE TABLE deferred (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  arrival bigint NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  client_seq bigint NOT NULL,
  entity_hash bigint NOT NULL,
  waits_for text NOT NULL,
  dedupe_key text NOT NULL,
  replaces text,
  tries bigint NOT NULL DEFAULT 0,
  next_at bigint NOT NULL,
  reason text,
  PRIMARY KEY (tenant_id, device_id, arrival)
);
CREATE INDEX deferred_due ON deferred (next_at);

CREATE TABLE dead_letter (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  client_seq bigint NOT NULL,
  principal_id text NOT NULL,
  event_type text NOT NULL,
  module_id text NOT NULL,
  entity text NOT NULL,
  hlc bigint NOT NULL,
  payload bytea NOT NULL,
  code integer NOT NULL,
  message text NOT NULL,
  created_at bigint NOT NULL,
  retried_at bigint,
  retried_as text,
  PRIMARY KEY (tenant_id, device_id, epoch, lane, client_seq)
);
CREATE INDEX dead_letter_open ON dead_letter (tenant_id, created_at, device_id, epoch, lane, client_seq) WHERE retried_at IS NULL;

CREATE TABLE dedupe_key (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  dedupe_key text NOT NULL,
  epoch bigint NOT NULL,
  lane smallint NOT NULL,
  client_seq bigint NOT NULL,
  expires_at bigint,
  PRIMARY KEY (tenant_id, device_id, dedupe_key)
);

CREATE TABLE api_key (
  tenant_id text NOT NULL,
  prefix text NOT NULL,
  principal_id text NOT NULL,
  name text NOT NULL,
  sha256 bytea NOT NULL,
  scopes text NOT NULL,
  created_at bigint NOT NULL,
  revoked_at bigint,
  PRIMARY KEY (tenant_id, prefix)
);
CREATE UNIQUE INDEX api_key_prefix ON api_key (prefix);

CREATE TABLE device_token (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  sha256 bytea NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, device_id, sha256)
);

CREATE TABLE audit_log (
  tenant_id text NOT NULL,
  id text NOT NULL,
  at bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  subject_ref text NOT NULL,
  detail text,
  prev_hash bytea,
  hash bytea,
  PRIMARY KEY (tenant_id, at, id)
);

CREATE TABLE space (
  tenant_id text NOT NULL,
  space_id text NOT NULL,
  head bigint NOT NULL DEFAULT 0,
  checksum bigint NOT NULL DEFAULT 0,
  state text NOT NULL DEFAULT 'open',
  created_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, space_id)
);

CREATE TABLE edge_ai_models (
  tenant_id text NOT NULL,
  model_id text NOT NULL,
  version text NOT NULL,
  name text NOT NULL,
  runtime text NOT NULL,
  sha256 bytea,
  bytes bigint,
  signature bytea,
  min_caps text,
  accuracy double precision,
  data_set text,
  data_set_sha256 bytea,
  report text,
  rollout_percent smallint NOT NULL DEFAULT 100,
  state text NOT NULL DEFAULT 'draft',
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, model_id, version)
);

CREATE TABLE offline_analytics_buffer (
  tenant_id text NOT NULL,
  device_id bytea NOT NULL,
  block_no bigint NOT NULL,
  principal_id text NOT NULL,
  ranges text NOT NULL,
  events bigint NOT NULL,
  codec smallint NOT NULL,
  key_id text,
  received_at bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (tenant_id, device_id, block_no)
);

CREATE TABLE offline_content_cache (
  tenant_id text NOT NULL,
  cache_id text NOT NULL,
  device_id bytea NOT NULL,
  content_type text NOT NULL,
  content_id text NOT NULL,
  key_id text,
  etag text NOT NULL,
  priority bigint NOT NULL DEFAULT 0,
  hits bigint NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL,
  created_at bigint NOT NULL,
  used_at bigint NOT NULL,
  expires_at bigint,
  ciphertext bytea NOT NULL,
  PRIMARY KEY (tenant_id, cache_id)
);
CREATE UNIQUE INDEX offline_content_cache_content ON offline_content_cache (tenant_id, device_id, content_type, content_id);

CREATE TABLE conflict_resolution_log (
  tenant_id text NOT NULL,
  conflict_id text NOT NULL,
  device_id bytea NOT NULL,
  document_id text NOT NULL,
  path text NOT NULL,
  base bytea,
  local bytea,
  remote bytea,
  result bytea,
  policy text NOT NULL,
  automatic smallint NOT NULL,
  resolver text,
  reason text,
  version bigint NOT NULL DEFAULT 1,
  duration_ms bigint,
  created_at bigint NOT NULL,
  resolved_at bigint,
  PRIMARY KEY (tenant_id, conflict_id)
);
CREATE INDEX conflict_resolution_log_open ON conflict_resolution_log (tenant_id, device_id, created_at) WHERE resolved_at IS NULL;

-- Blocks are compressed by the client; compressing them again only costs time.
ALTER TABLE offline_analytics_buffer ALTER COLUMN body SET STORAGE EXTERNAL;
