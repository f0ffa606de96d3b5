// A test of an application, in a real browser: it queues, waits for the server's word, and asks a model.
import { open } from "offline-ai-sync";
import { withModels } from "offline-ai-sync/models";
import { expect, test } from "vitest";

test("an event is stored, applied at the server, and a model answers", async () => {
  const auth = () => import.meta.env.VITE_OAS_KEY;
  const engine = withModels(open({ name: "vitest", url: "/api/offline-ai", auth }), { weights: "/models" });
  const receipt = await engine.queueEvent({ eventType: "note", eventData: { text: "hello" } });
  expect(receipt.durability).toBe("strict");
  expect((await receipt.synced).kind).toBe("applied");
  const { predictions } = await engine.predict("intent", "what is my balance", { top: 1 });
  expect(predictions[0]?.label).toBe("balance");
  await engine.close();
});
