-- Analytics as the client's own segments: one row for what one push brought of a stream. block_no is the arrival number of
-- the first event, so a block stands in the device's history where its events do.

ALTER TABLE offline_analytics_buffer ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE offline_analytics_buffer ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE offline_analytics_buffer ADD COLUMN last_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE offline_analytics_buffer ADD COLUMN hashes BLOB NOT NULL DEFAULT x'';
ALTER TABLE offline_analytics_buffer ADD COLUMN kinds TEXT NOT NULL DEFAULT '[]';
CREATE INDEX offline_analytics_buffer_stream ON offline_analytics_buffer (tenant_id, device_id, epoch, last_seq);
