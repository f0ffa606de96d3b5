import { open } from "offline-ai-sync";

// The worker sends what closed tabs have left, and keeps these files for the time without a network.
const worker = "/sw.classic.js?precache=/&precache=/app.js&precache=/core.wasm";
const engine = open({ name: "notes", url: "/api/offline-ai", worker });
const [form, output, list] = ["form", "output", "ol"].map((tag) => document.querySelector(tag));

engine.status.subscribe(({ phase, pending }) => (output.textContent = `${phase}, ${pending} waiting`));

form.onsubmit = async (event) => {
  event.preventDefault();
  const text = form.text.value;
  const item = list.appendChild(document.createElement("li"));
  const receipt = await engine.queueEvent({ eventType: "note", eventData: { text } });
  item.textContent = `${text}: stored on this device`;
  const { kind } = await receipt.synced;
  item.textContent = `${text}: ${kind} at the server`;
};
