/** What this device holds of a person, as a file, and its end. */

import { type ComponentChild, h } from "preact";
import { useState } from "preact/hooks";
import type { PanelProps } from "../app.ts";
import { useActing, useStatus } from "../hooks.ts";
import { button, download, outcome, quiet, text } from "../view.ts";

export function PrivacyPanel({ engine, documents, cache, allowed }: PanelProps): ComponentChild {
  const acting = useActing();
  const [sure, setSure] = useState(false);
  const { pending } = useStatus(engine);
  const { database } = engine.inspect();
  const save = async (): Promise<void> => {
    const { exportDevice } = await import("../../privacy/index.ts");
    const lines: string[] = [];
    for await (const line of exportDevice({ engine, documents, cache })) lines.push(line);
    download("my-data.ndjson", "application/x-ndjson", lines);
  };
  const erase = async (): Promise<void> => {
    const { eraseDevice } = await import("../../privacy/index.ts");
    const [, name = "", subject = ""] = /^oas:([^:]*):?(.*)$/.exec(database) ?? [];
    await documents?.close();
    await eraseDevice({ name, subject, engine, cache });
    setSure(false);
  };
  const { busy: disabled } = acting;
  return h(
    "div",
    null,
    h("h3", null, "Export"),
    quiet("Everything this device holds under this name, one JSON object a line. The server has an export of its own."),
    button("Export this device's data", () => acting.act(save, "Exported."), { disabled }),
    h("h3", null, "Erase"),
    quiet(
      `Deletes queue, documents, cached content with its keys, models and what they have learned: ${database}. `,
      pending > 0
        ? `${text.counted(pending, "event")} not sent yet would be gone for ever.`
        : "Nothing unsent would be lost.",
    ),
    allowed
      ? sure
        ? h(
            "div",
            { class: "buttons" },
            button("Yes, erase it", () => acting.act(erase, "Erased. Reload the page to start anew."), {
              ...{ look: "danger", disabled },
            }),
            button("Keep it", () => setSure(false)),
          )
        : button("Erase this device's data", () => setSure(true), { look: "danger", disabled })
      : quiet("The page that shows this does not allow actions."),
    outcome(acting),
  );
}
