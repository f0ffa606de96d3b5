// What an application written against the published package does: it queues, waits for the server's word, and asks a model.
import { open } from "offline-ai-sync";
import { withModels } from "offline-ai-sync/models";

const engine = withModels(open({ name: "fixture", url: "/api/offline-ai" }), { weights: "/models" });

globalThis.run = async (text) => {
  const receipt = await engine.queueEvent({ eventType: "note", eventData: { text } });
  const verdict = await receipt.synced;
  const { predictions } = await engine.predict("intent", "what is my balance", { top: 1 });
  return { kind: verdict.kind, durability: receipt.durability, label: predictions[0]?.label };
};
