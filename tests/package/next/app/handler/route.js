// At the server: the same import, a queue in memory.
import { open } from "offline-ai-sync";

export async function GET() {
  const engine = open({ name: "at-the-server", url: "http://127.0.0.1:9/api/offline-ai" });
  const receipt = await engine.queueEvent({ eventType: "note", eventData: { from: "a route handler" } });
  await engine.close();
  return Response.json({ durability: receipt.durability });
}
