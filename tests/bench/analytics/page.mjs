// The page of the analytics proofs: our tracker, Segment's and PostHog's, each by one call.

import { AnalyticsBrowser } from "@segment/analytics-next";
import posthog from "posthog-js";

const origin = location.origin;

const trackers = {
  async ours(key, name) {
    const [{ open }, { Analytics }] = await Promise.all([import("/lib/index.js"), import("/lib/analytics.js")]);
    const engine = open({ name, url: "/api/offline-ai", auth: () => key });
    globalThis.engine = engine;
    const analytics = new Analytics(engine, { consent: () => true });
    await engine.registerDevice();
    return (n) => analytics.trackEvent("n", { n, at: Date.now() });
  },
  async segment() {
    const host = `${location.host}/segment`;
    const integrations = { "Segment.io": { apiKey: "k", apiHost: host, protocol: "http" } };
    const [analytics] = await AnalyticsBrowser.load({ writeKey: "k", cdnSettings: { integrations } });
    return async (n) => void analytics.track("n", { n });
  },
  async posthog() {
    const options = {
      api_host: `${origin}/posthog`,
      autocapture: false,
      capture_pageview: false,
      capture_pageleave: false,
      disable_session_recording: true,
      disable_surveys: true,
      disable_compression: true,
      disable_external_dependency_loading: true,
      advanced_disable_flags: true,
      opt_out_useragent_filter: true, // a headless browser is no bot here
    };
    await new Promise((resolve) => posthog.init("k", { ...options, loaded: resolve }));
    return async (n) => void posthog.capture("n", { n });
  },
};

globalThis.begin = async (id, key, name) => {
  globalThis.track = await trackers[id](key, name);
};
/** Resolves when the calls have been made; what has become of them is the tracker's affair. */
globalThis.trackMany = async (from, count) => {
  await Promise.all(Array.from({ length: count }, (_, i) => globalThis.track(from + i)));
};
globalThis.ready = true;
