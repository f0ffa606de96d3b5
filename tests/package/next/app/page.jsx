"use client";

import { open } from "offline-ai-sync";
import { withModels } from "offline-ai-sync/models";
import { useSyncStatus } from "offline-ai-sync/react";
import { useEffect, useState } from "react";

export default function Page() {
  const [engine, setEngine] = useState();
  const { pending } = useSyncStatus(engine);
  useEffect(() => {
    const opened = withModels(open({ name: "fixture", url: "/api/offline-ai" }), { weights: "/models" });
    setEngine(opened);
    globalThis.run = async (text) => {
      const receipt = await opened.queueEvent({ eventType: "note", eventData: { text } });
      const verdict = await receipt.synced;
      const { predictions } = await opened.predict("intent", "what is my balance", { top: 1 });
      return { kind: verdict.kind, durability: receipt.durability, label: predictions[0]?.label };
    };
  }, []);
  return <p>{pending} waiting</p>;
}
