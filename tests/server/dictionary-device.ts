/** A device whose events repeat a sentence: it sends them one by one, referring to a dictionary that holds it. */

import assert from "node:assert/strict";
import { dictionaryOf, segmentWith, type TestDictionary } from "./dictionary-frames.ts";
import { type Mark, START, segment, type TestEvent } from "./frames.ts";
import { TestClient, type TestServer } from "./harness.ts";

export const OK = 0;
export const UNDECODABLE = 5;
const NORMAL = { epoch: 1n, lane: 2 };

const sentence = (name: string): string => `a sentence that the events of ${name} hold again and again`;

export class DictionaryDevice {
  readonly client: TestClient;
  readonly name: string;
  readonly #stream: typeof NORMAL;
  #mark: Mark = START;
  #taken = 0;

  constructor(client: TestClient, name: string, stream = NORMAL) {
    this.client = client;
    this.name = name;
    this.#stream = stream;
  }

  /** A fresh device of this principal; it is not registered. */
  static async of(server: TestServer, name = "ann", tenant = "acme", stream = NORMAL): Promise<DictionaryDevice> {
    return new DictionaryDevice(await server.client(tenant, name), name, stream);
  }

  get path(): string {
    return `/sync/dictionary/${this.client.deviceId}`;
  }

  /** What this device could learn; `more` makes another one of it. */
  dictionary(more = "another text"): TestDictionary {
    return dictionaryOf(more, sentence(this.name));
  }

  /** The same device as another process or another credential sees it. */
  at(server: TestServer, key = this.client.key): TestClient {
    return new TestClient(server.url, key, this.client.device);
  }

  register(): Promise<Response> {
    return this.client.json("POST", "/device/register", { deviceId: this.client.deviceId });
  }

  put({ packed }: TestDictionary, through = this.client): Promise<Response> {
    return through.put(this.path, packed);
  }

  /** Registers, and leaves the dictionary at the server. */
  async settle(dictionary = this.dictionary()): Promise<TestDictionary> {
    await this.register();
    const answer = await this.put(dictionary);
    assert.equal(answer.status, 200, await answer.text());
    return dictionary;
  }

  frame(dictionary: TestDictionary | undefined): { readonly bytes: Uint8Array; readonly after: Mark } {
    const json = JSON.stringify({ n: this.#taken, text: sentence(this.name) });
    const events: readonly TestEvent[] = [{ type: "note", json }];
    const { epoch, lane } = this.#stream;
    const item = dictionary
      ? segmentWith(dictionary, this.#stream, this.#mark, events)
      : segment(epoch, lane, this.#mark, events);
    const isReferredTo = !Buffer.from(item.bytes).includes(sentence(this.name));
    assert.equal(isReferredTo, dictionary !== undefined, "what is referred to does not stand in the segment");
    return { bytes: this.client.frame({ items: [item], stored: [{ epoch, lane, ...this.#mark }] }), after: item.after };
  }

  /** Sends the next event and returns what its stream was answered; it comes again until it is taken. */
  async push(dictionary: TestDictionary | undefined, through = this.client): Promise<number> {
    const { bytes, after } = this.frame(dictionary);
    const [answer] = (await through.reply(bytes)).streams;
    assert.ok(answer);
    assert.deepEqual(answer.mark, answer.status === OK ? after : this.#mark);
    if (answer.status === OK) this.#taken++;
    this.#mark = answer.mark;
    return answer.status;
  }

  /** Every event that was taken is there, as it was written, and nothing else. */
  async check(): Promise<void> {
    const events = (await this.client.history()).map(({ eventData }) => eventData);
    const written = Array.from({ length: this.#taken }, (_, n) => ({ n, text: sentence(this.name) }));
    assert.deepEqual(events, written);
  }
}
