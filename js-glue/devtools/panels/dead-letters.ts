/** Events the server refused: why, and what can be done about each. */

import { type ComponentChild, h } from "preact";
import { useState } from "preact/hooks";
import { failure } from "../../core/errors.ts";
import type { DeadLetter } from "../../core/pages.ts";
import type { PanelProps } from "../app.ts";
import { type Acting, useActing, useLive } from "../hooks.ts";
import { button, download, empty, outcome, quiet, short, text } from "../view.ts";

const SHOWN_MAX = 50;

/** JSON as a person wrote it; the engine checks the rest. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw failure("invalid_json", `this is no JSON (${String(error)})`, { cause: error });
  }
}

interface LetterProps extends Pick<PanelProps, "engine" | "allowed"> {
  readonly letter: DeadLetter;
  readonly acting: Acting;
}

function Letter({ engine, allowed, letter, acting }: LetterProps): ComponentChild {
  const { id, eventType, entity, code, createdAt, lane } = letter;
  const whole = JSON.stringify(letter.eventData, null, 2);
  const [draft, setDraft] = useState<string>();
  const says = (what: string): string => `${what} ${eventType} of ${new Date(createdAt).toLocaleTimeString()}`;
  const send = async (): Promise<void> => {
    await engine.deadLetters.edit(id, parsed(draft ?? ""));
    setDraft(undefined);
  };
  const { busy: disabled } = acting;
  const buttons = [
    button("Retry", () => acting.act(() => engine.deadLetters.retry(id), "Queued again."), {
      disabled,
      says: says("Retry"),
    }),
    button("Edit", () => setDraft(whole), { disabled, says: says("Edit") }),
    button("Drop", () => acting.act(() => engine.deadLetters.drop(id), "Dropped for good."), {
      ...{ disabled, look: "danger", says: says("Drop") },
    }),
  ];
  return h(
    "li",
    { class: "card" },
    h("div", { class: "line" }, h("strong", null, eventType), h("span", { class: "badge bad" }, code)),
    quiet(`${entity ? `${entity}, ` : ""}${lane}, made ${text.span(Date.now() - createdAt)} ago`),
    draft === undefined
      ? h("pre", { tabIndex: 0, "aria-label": says("Data of") }, short(whole, 600))
      : h("textarea", {
          ...{ rows: 6, value: draft, spellcheck: false, "aria-label": says("New data of") },
          onInput: (event: Event) => setDraft((event.currentTarget as HTMLTextAreaElement).value),
        }),
    allowed
      ? h(
          "div",
          { class: "buttons" },
          draft === undefined
            ? buttons
            : [
                button("Send this instead", () => acting.act(send, "Queued with the new data."), {
                  look: "strong",
                  disabled,
                }),
                button("Cancel", () => setDraft(undefined)),
              ],
        )
      : null,
  );
}

export function DeadLettersPanel({ engine, allowed }: PanelProps): ComponentChild {
  const { value, trouble, refresh } = useLive(
    () => engine.deadLetters.list({ limit: SHOWN_MAX }),
    (changed) => engine.status.subscribe(changed),
    [engine],
  );
  const acting = useActing(refresh);
  const items = value?.items ?? [];
  const save = async (): Promise<void> =>
    download(
      "dead-letters.ndjson",
      "application/x-ndjson",
      (await engine.deadLetters.export()).map((letter) => `${JSON.stringify(letter)}\n`),
    );
  return h(
    "div",
    null,
    items.length === 0
      ? empty("The server has refused nothing. What it refuses stays here until somebody decides.")
      : h(
          "div",
          { class: "line" },
          quiet("Refused for good by the server. Each stays until somebody decides."),
          button("Export all", () => acting.act(save, "Exported."), { disabled: acting.busy }),
        ),
    h(
      "ul",
      { class: "cards" },
      items.map((letter) => h(Letter, { engine, allowed, letter, acting, key: letter.id })),
    ),
    value?.next ? quiet(`The first ${SHOWN_MAX} are shown; an export has all.`) : null,
    outcome(acting, trouble),
  );
}
