// The same where no file can be placed beside the script: the core is inside.
import { open } from "offline-ai-sync/inline";

const engine = open({ name: "fixture", url: "/api/offline-ai" });

globalThis.run = async (text) => {
  const receipt = await engine.queueEvent({ eventType: "note", eventData: { text } });
  return { kind: (await receipt.synced).kind, durability: receipt.durability };
};
